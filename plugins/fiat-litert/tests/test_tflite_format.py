"""Graphs said in LiteRT's words, and run by it beside onnxruntime."""

import json
import os
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

if not os.environ.get("CI"):
    pytest.importorskip(
        "ai_edge_litert", reason="ai-edge-litert is not installed: pip install -e plugins/fiat-litert"
    )

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[3] / "tests" / "builtin"))
from edge_stage import on_a_matrix, with_texts
from litert_graphs import both, model

from fiat.builtin.deploy_edge import EdgeTarget
from fiat.builtin.edge_child import work
from fiat.errors import SpecError
from fiat.ports.deploy import DeployRequest
from fiat_litert.format import TfliteFormat
from fiat_litert.operators_weighted import in_int8

DRAWS = np.random.default_rng(11)
N_ROWS = 5


def numbers(*shape: int) -> np.ndarray:
    return DRAWS.standard_normal(shape).astype(np.float32)


def close(ours: np.ndarray, theirs: np.ndarray, limit: float = 1e-4) -> None:
    assert ours.shape == theirs.shape
    left, right = ours.astype(np.float64), theirs.astype(np.float64)
    assert (np.abs(left - right) / np.maximum(1, np.abs(left))).max() <= limit
    assert np.abs(left).max() > 0


@pytest.mark.parametrize(
    ("kernel", "settings"),
    [
        ((4, 3, 3, 3), {"pads": [1, 1, 1, 1]}),
        ((4, 3, 3, 3), {}),
        ((4, 3, 3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
        ((4, 3, 3, 3), {"pads": [0, 0, 1, 1], "strides": [2, 2]}),
        ((4, 3, 5, 3), {"pads": [2, 1, 2, 1]}),
        ((4, 3, 3, 3), {"pads": [2, 2, 2, 2], "dilations": [2, 2]}),
        ((4, 3, 1, 1), {}),
        ((6, 1, 3, 3), {"pads": [1, 1, 1, 1], "group": 3}),
        ((3, 1, 3, 3), {"pads": [0, 2, 1, 0], "group": 3}),
    ],
)
def test_convolutions(tmp_path: Path, kernel: tuple[int, ...], settings: dict[str, Any]) -> None:
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], **settings)
    path = model(tmp_path, [node], ("n", 3, 8, 8), {"w": numbers(*kernel), "b": numbers(kernel[0])})
    close(*both(path, tmp_path, numbers(N_ROWS, 3, 8, 8)))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("AveragePool", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
        ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}),
        ("GlobalAveragePool", {}),
    ],
)
def test_windows(tmp_path: Path, kind: str, settings: dict[str, Any]) -> None:
    path = model(tmp_path, [helper.make_node(kind, ["x"], ["y"], **settings)], ("n", 3, 8, 8))
    close(*both(path, tmp_path, numbers(N_ROWS, 3, 8, 8) - 3))


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("Gemm", ["x", "w", "b"], ["y"]),
        helper.make_node("Gemm", ["x", "t", "b"], ["y"], transB=1, alpha=0.5, beta=2.0),
        helper.make_node("Gemm", ["x", "w"], ["y"]),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ],
)
def test_products(tmp_path: Path, node: Any) -> None:
    constants = {"w": numbers(6, 4), "t": numbers(4, 6), "b": numbers(4)}
    used = {name: array for name, array in constants.items() if name in node.input}
    close(*both(model(tmp_path, [node], ("n", 6), used), tmp_path, numbers(N_ROWS, 6)))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("Relu", {}),
        ("Sigmoid", {}),
        ("Tanh", {}),
        ("Elu", {}),
        ("LeakyRelu", {"alpha": 0.2}),
        ("HardSwish", {}),
        ("Softmax", {"axis": -1}),
        ("LogSoftmax", {"axis": 1}),
        ("Exp", {}),
        ("Abs", {}),
        ("Neg", {}),
        ("Floor", {}),
    ],
)
def test_functions_of_one_number(tmp_path: Path, kind: str, settings: dict[str, Any]) -> None:
    path = model(tmp_path, [helper.make_node(kind, ["x"], ["y"], **settings)], ("n", 6))
    close(*both(path, tmp_path, 3 * numbers(N_ROWS, 6)))


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div", "Max", "Min"])
def test_functions_of_two_numbers(tmp_path: Path, kind: str) -> None:
    path = model(
        tmp_path, [helper.make_node(kind, ["x", "c"], ["y"])], ("n", 6), {"c": 1 + np.abs(numbers(6))}
    )
    close(*both(path, tmp_path, numbers(N_ROWS, 6)))


def test_missing_numbers_are_filled_and_numbers_kept_within_ends(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["single"], to=TensorProto.FLOAT),
        helper.make_node("IsNaN", ["single"], ["missing"]),
        helper.make_node("Where", ["missing", "median", "single"], ["known"]),
        helper.make_node("Clip", ["known", "low", "high"], ["y"]),
    ]
    constants = {"median": np.float32([2.5]), "low": np.float32(-1), "high": np.float32(3)}
    path = model(tmp_path, nodes, ("n", 6), constants, kind=TensorProto.DOUBLE)
    rows = 3 * DRAWS.standard_normal((N_ROWS, 6))
    rows[1, 2] = np.nan
    ours, theirs = both(path, tmp_path, rows)
    close(ours, theirs)
    assert theirs[1, 2] == 2.5


def test_a_whole_network_with_norms_branches_and_a_mean(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["p"]),
        helper.make_node("Conv", ["p", "w1"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "s", "b", "m", "v"], ["nn"]),
        helper.make_node("Relu", ["nn"], ["r"]),
        helper.make_node("Conv", ["r", "w2"], ["left"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["left", "r"], ["sum"]),
        helper.make_node("Concat", ["sum", "p"], ["all"], axis=1),
        helper.make_node("BatchNormalization", ["all", "s2", "b2", "m2", "v2"], ["again"]),
        helper.make_node("ReduceMean", ["again", "axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["u"]),
        helper.make_node("Transpose", ["u"], ["t"], perm=[0, 2, 1]),
        helper.make_node("Flatten", ["t"], ["f"]),
        helper.make_node("Gemm", ["f", "w3"], ["y"]),
    ]
    norm = {"s": numbers(4), "b": numbers(4), "m": numbers(4), "v": np.abs(numbers(4))}
    other = {"s2": numbers(5), "b2": numbers(5), "m2": numbers(5), "v2": np.abs(numbers(5))}
    constants = {
        "shape": np.int64([-1, 1, 8, 8]), "w1": numbers(4, 1, 3, 3), "w2": numbers(4, 4, 3, 3), "axes": np.int64([2, 3]),
        "one": np.int64([1]), "w3": numbers(5, 3), **norm, **other,
    }  # fmt: skip
    path = model(tmp_path, nodes, ("n", 64), constants, rank=2)
    for n_rows in (N_ROWS, 1, 64):
        close(*both(path, tmp_path, numbers(n_rows, 64)), limit=1e-3)


def test_the_highest_score_is_a_label(tmp_path: Path) -> None:
    node = helper.make_node("ArgMax", ["x"], ["y"], axis=1, keepdims=0)
    path = model(tmp_path, [node], ("n", 6), gives=TensorProto.INT64, rank=1)
    ours, theirs = both(path, tmp_path, numbers(N_ROWS, 6))
    assert (ours == theirs).all()
    assert theirs.dtype == np.int64


def test_int8_weights_take_a_third_and_say_nearly_the_same(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w2"], ["y"]),
    ]
    path = model(
        tmp_path,
        nodes,
        ("n", 64),
        {"w1": numbers(64, 256) / 8, "b1": numbers(256), "w2": numbers(256, 10) / 16},
    )
    rows = numbers(200, 64)
    ours, theirs = both(path, tmp_path, rows, "dynamic")
    assert 0 < np.abs(ours - theirs).max() < 0.05 * np.abs(ours).max()
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).mean() > 0.97
    assert (tmp_path / "model.tflite").stat().st_size < 0.34 * path.stat().st_size


def test_each_output_has_a_scale_of_its_own() -> None:
    weights = np.float32([[1, -2], [100, 50], [0, 0]])
    small, scales = in_int8(weights, 0)
    assert small.dtype == np.int8
    assert small.tolist() == [[64, -127], [127, 64], [0, 0]]
    assert np.allclose(scales, [2 / 127, 100 / 127, 1])


@pytest.mark.parametrize("kind", ["Erf", "Sin"])
def test_an_operator_that_is_not_known_is_told_by_its_name(tmp_path: Path, kind: str) -> None:
    path = model(tmp_path, [helper.make_node(kind, ["x"], ["y"])], ("n", 6))
    with pytest.raises(SpecError, match=f"can't say the operator {kind}"):
        TfliteFormat().convert(path, tmp_path, "none")


def test_a_free_axis_besides_the_rows_is_refused(tmp_path: Path) -> None:
    path = model(tmp_path, [helper.make_node("Relu", ["x"], ["y"])], ("n", "width"))
    with pytest.raises(SpecError, match="a free axis besides the batch"):
        TfliteFormat().convert(path, tmp_path, "none")


# Through the target.


def done_here(asked: Mapping[str, object], scratch: Path) -> Mapping[str, Any]:
    """The same work as in a child, without its start."""
    return work(asked)


def request(staged: Any, root: Path, **settings: object) -> DeployRequest:
    said = {"to": "edge", "format": "tflite", "model": "tiny", **settings}
    return DeployRequest("phone", said, staged.package, staged.digest, root, inputs={"rows": staged.dataset})


def test_the_target_puts_a_file_there_that_litert_was_seen_to_run(tmp_path: Path) -> None:
    staged, root = on_a_matrix(tmp_path / "staged"), tmp_path / "root"
    root.mkdir()
    target = EdgeTarget(work=done_here)
    for quantize in ("none", "dynamic"):
        target.apply(request(staged, root, quantize=quantize))
        about = json.loads((root / "edge" / "tiny" / "edge.json").read_bytes())["measured"]
        assert about["runtime"].startswith("ai-edge-litert ")
        assert (about["rows"], about["n_rows"]) == ("test", 100)
        assert about["disagreement"] <= 0.02
    assert (root / "edge" / "tiny" / "model.tflite").read_bytes()[4:8] == b"TFL3"


def test_texts_and_static_ranges_are_refused_with_a_way_out(tmp_path: Path) -> None:
    staged, matrix = with_texts(tmp_path / "staged"), on_a_matrix(tmp_path / "matrix")
    with pytest.raises(SpecError, match="LiteRT takes no texts, and the model takes kind") as refused:
        EdgeTarget(work=done_here).apply(request(staged, tmp_path))
    assert "format: ort" in refused.value.hint
    with pytest.raises(SpecError, match="can't be quantized in the static way") as refused:
        EdgeTarget(work=done_here).apply(request(matrix, tmp_path, quantize="static"))
    assert refused.value.hint == "say quantize: none or dynamic"


def test_the_plugin_is_found_by_its_name() -> None:
    (found,) = entry_points(group="fiat.edge", name="tflite")
    assert found.load() is TfliteFormat
