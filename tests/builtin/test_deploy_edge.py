import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from fiat.builtin.deploy_edge import EdgeTarget
from fiat.builtin.edge_child import work
from fiat.builtin.edge_verdict import broken_rules
from fiat.builtin.edge_work import work_in_child
from fiat.errors import EnvironmentFault, SpecError
from fiat.ports.deploy import DeployRequest, DeployTarget
from fiat.testing.deploy_suite import DeploySuite, Read

sys.path.insert(0, str(Path(__file__).parent))
from edge_stage import Staged, on_a_matrix, with_texts, without_weights

PATIENCE_S = 0.05
SAME = {
    "rows": "test", "n_rows": 100, "max_abs": 0.0, "mean_abs": 0.0, "max_rel": 0.0, "disagreement": 0.0, "metrics": {},
    "file": "model.onnx", "runtime": "none", "size_bytes": 1, "packaged_size_bytes": 1, "row_us": 1.0,
    "packaged_row_us": 1.0,
}  # fmt: skip


def copied(request: Mapping[str, object], scratch: Path) -> Mapping[str, Any]:
    """A conversion that copies: what takes time and threads stays out of the tests that kill and fork."""
    shutil.copyfile(Path(str(request["package"])) / "model.onnx", Path(str(request["folder"])) / "model.onnx")
    return SAME


def done_here(request: Mapping[str, object], scratch: Path) -> Mapping[str, Any]:
    """The same work as in a child, without its start."""
    return work(request)


TARGET = EdgeTarget(work=done_here)
REAL = EdgeTarget()


class TestConformance(DeploySuite):
    @pytest.fixture
    def target(self) -> EdgeTarget:
        return EdgeTarget(PATIENCE_S, copied)

    @pytest.fixture
    def settings(self) -> Mapping[str, object]:
        return {"to": "edge", "format": "onnx"}

    @pytest.fixture
    def stride(self) -> int:
        return 6

    def check_whole(self, target: DeployTarget, request: DeployRequest, read_back: Read | None) -> None:
        super().check_whole(target, request, None)
        assert target.state(request).phase == "serving"
        folder = request.root / "edge" / "tiny"
        for name in ("model.onnx", "signature.json", "MODEL.md"):
            assert (folder / name).read_bytes() == (request.package / name).read_bytes()
        assert json.loads((folder / "edge.json").read_bytes())["package"] == request.digest


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Staged:
    return with_texts(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Staged:
    return on_a_matrix(tmp_path_factory.mktemp("matrix"))


Ask = Callable[..., DeployRequest]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    root = tmp_path / "root"
    root.mkdir()

    def make(staged: Staged, **settings: object) -> DeployRequest:
        said = {"to": "edge", "model": "tiny", **settings}
        return DeployRequest(
            "device", said, staged.package, staged.digest, root, inputs={"rows": staged.dataset}
        )

    return make


def folder_of(request: DeployRequest) -> Path:
    return request.root / "edge" / "tiny"


def about(request: DeployRequest) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder_of(request) / "edge.json").read_bytes())
    return found


# What comes out, read by the device's own runtime.


@pytest.mark.parametrize("form", ["onnx", "ort"])
@pytest.mark.parametrize("quantize", ["none", "dynamic", "static"])
def test_a_model_behind_texts_is_converted_and_predicts_the_same(
    ask: Ask, texts: Staged, form: str, quantize: str
) -> None:
    request = ask(texts, format=form, quantize=quantize)
    TARGET.apply(request)
    assert TARGET.observe(request) == texts.digest
    names = {"edge.json", "signature.json", "MODEL.md", f"model.{form}"}
    names |= {"required_operators.config"} if form == "ort" else set()
    assert {path.name for path in folder_of(request).iterdir()} == names
    session = ort.InferenceSession(
        str(folder_of(request) / f"model.{form}"), providers=["CPUExecutionProvider"]
    )
    feed = {"size": np.array([[3.0], [-3.0]]), "kind": np.array([["c"], ["a"]], dtype=object)}
    (scores,) = session.run(["scores"], feed)
    assert scores.argmax(axis=1).tolist() == [1, 0]
    measured = about(request)["measured"]
    assert (measured["rows"], measured["n_rows"]) == ("test", 100)
    assert measured["disagreement"] <= 0.02
    assert measured["metrics"]["accuracy"][0] >= 0.97
    assert measured["row_us"] > 0
    assert (measured["max_abs"] > 0) == (quantize != "none")


def test_int8_weights_make_the_file_smaller_and_are_in_it(ask: Ask, matrix: Staged) -> None:
    kinds: dict[str, set[str]] = {}
    for quantize in ("dynamic", "static"):
        request = ask(matrix, format="onnx", quantize=quantize)
        TARGET.apply(request)
        kinds[quantize] = {
            node.op_type for node in onnx.load(str(folder_of(request) / "model.onnx")).graph.node
        }
        stored = onnx.load(str(folder_of(request) / "model.onnx")).graph.initializer
        assert {tuple(item.dims) for item in stored if item.data_type == onnx.TensorProto.INT8} >= {
            (8, 32),
            (32, 2),
        }
    assert "MatMulInteger" in kinds["dynamic"]
    assert "QuantizeLinear" in kinds["static"]


def test_the_transforms_in_front_are_left_as_they_are(ask: Ask, texts: Staged) -> None:
    request = ask(texts, format="onnx", quantize="static")
    TARGET.apply(request)
    graph = onnx.load(str(folder_of(request) / "model.onnx")).graph
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    inside = {node.op_type: [made_by.get(name, "") for name in node.input] for node in graph.node}
    assert inside["Concat"] == ["Cast", "LabelEncoder"]
    assert {"LabelEncoder", "Cast", "Concat"} <= set(made_by.values())


def test_without_data_rows_are_made_up_and_it_is_said(ask: Ask, matrix: Staged) -> None:
    request = replace(ask(matrix, format="ort"), inputs=None)
    TARGET.apply(request)
    assert about(request)["measured"]["rows"] == "made up"
    assert "rows made up" in TARGET.state(request).sentence
    assert about(request)["measured"]["metrics"] == {}


def test_its_state_tells_size_speed_and_parity(ask: Ask, matrix: Staged) -> None:
    request = ask(matrix, format="ort", quantize="dynamic")
    assert REAL.state(request).phase == "absent"
    REAL.apply(request)
    state = TARGET.state(request)
    assert (state.phase, state.digest, state.refused) == ("serving", matrix.digest, "")
    for word in ("ort, int8 (dynamic)", "us a row", "at most", "of 100 rows of test otherwise", "accuracy"):
        assert word in state.sentence
    (folder_of(request) / "model.ort").write_bytes(b"")
    assert TARGET.observe(request) is None
    assert TARGET.state(request).faults == ("model.ort is gone or was changed",)
    TARGET.apply(request)
    assert TARGET.state(request).phase == "serving"


def test_other_settings_are_another_wish(ask: Ask, matrix: Staged) -> None:
    TARGET.apply(ask(matrix, format="onnx"))
    assert TARGET.observe(ask(matrix, format="onnx")) == matrix.digest
    assert TARGET.observe(ask(matrix, format="ort")) is None
    assert TARGET.observe(ask(matrix, format="onnx", quantize="dynamic")) is None


# What is refused.


def test_a_model_that_predicts_too_differently_is_refused_and_the_old_one_stays(
    ask: Ask, matrix: Staged
) -> None:
    before = ask(matrix, format="onnx", quantize="none")
    TARGET.apply(before)
    strict = replace(ask(matrix, format="onnx", quantize="static", parity={"max_abs": 1e-9}), generation=4)
    with pytest.raises(SpecError, match="is refused: its scores differ by .* more than 1e-09") as refused:
        TARGET.apply(strict)
    assert "deploy.device.parity" in refused.value.hint
    assert TARGET.observe(before) == matrix.digest
    state = TARGET.state(before)
    assert (state.refused, state.refused_generation) == (matrix.digest, 4)
    assert state.reason == refused.value.message
    shelf = folder_of(before).parent / ".tiny.edge"
    assert len([path for path in shelf.iterdir() if path.is_dir()]) == 1

    def interrupted(asked: Mapping[str, Any], scratch: Path) -> Mapping[str, Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        EdgeTarget(work=interrupted).apply(ask(matrix, format="onnx", quantize="static"))
    assert TARGET.state(before).refused == "", "said of the try before, not of this one"
    TARGET.apply(ask(matrix, format="onnx", quantize="static"))
    assert TARGET.state(ask(matrix, format="onnx", quantize="static")).refused == ""


def test_a_graph_without_weights_is_not_quantized(ask: Ask, tmp_path: Path) -> None:
    plain = without_weights(tmp_path / "plain")
    for quantize in ("dynamic", "static"):
        with pytest.raises(SpecError, match=f"quantize: {quantize} finds no matrix product"):
            TARGET.apply(ask(plain, format="onnx", quantize=quantize))


def test_static_ranges_need_rows_to_train_on(ask: Ask, matrix: Staged) -> None:
    with pytest.raises(SpecError, match="needs rows of the train split"):
        TARGET.apply(replace(ask(matrix, format="onnx", quantize="static"), inputs={}))


def test_a_format_without_a_plugin_is_told_by_its_name(ask: Ask, matrix: Staged) -> None:
    with pytest.raises(EnvironmentFault, match="no plugin writes the format mlmodel"):
        REAL.apply(ask(matrix, format="mlmodel"))


def test_a_dataset_that_is_not_the_models_is_told(ask: Ask, matrix: Staged, texts: Staged) -> None:
    with pytest.raises(SpecError, match="reads the columns f0"):
        TARGET.apply(replace(ask(matrix, format="onnx"), inputs={"rows": texts.dataset}))
    TARGET.apply(replace(ask(matrix, format="onnx"), inputs={"other": texts.dataset, "rows": matrix.dataset}))


def test_a_conversion_that_takes_too_long_or_too_much_ends_alone(ask: Ask, matrix: Staged) -> None:
    def hurried(request: Mapping[str, object], scratch: Path) -> Mapping[str, Any]:
        return work_in_child(request, scratch, timeout_s=0.05)

    def starved(request: Mapping[str, object], scratch: Path) -> Mapping[str, Any]:
        return work_in_child(request, scratch, memory_bytes=200 << 20)

    with pytest.raises(SpecError, match=r"took longer than 0\.05 s"):
        EdgeTarget(work=hurried).apply(ask(matrix, format="onnx"))
    with pytest.raises((SpecError, EnvironmentFault)):
        EdgeTarget(work=starved).apply(ask(matrix, format="onnx"))
    assert TARGET.state(ask(matrix, format="onnx")).phase == "absent"


# The rules.


@pytest.mark.parametrize(
    ("quantize", "parity", "measured", "ok"),
    [
        ("none", None, {"max_rel": 1e-4}, True),
        ("none", None, {"max_rel": 2e-4}, False),
        ("none", None, {"max_rel": 1e-5, "disagreement": 0.05}, False),
        ("none", None, {"max_rel": None}, False),
        ("static", None, {"max_rel": 5.0, "max_abs": 5.0, "disagreement": 0.02}, True),
        ("static", None, {"disagreement": 0.021}, False),
        ("dynamic", {"max_abs": 0.1}, {"max_abs": 0.1, "disagreement": 0.5}, True),
        ("dynamic", {"max_abs": 0.1, "disagreement": None}, {"max_abs": 0.11}, False),
        ("dynamic", {"max_abs": 0.1}, {"max_abs": None}, False),
        ("none", {"disagreement": 0.0}, {"max_abs": 9.0, "max_rel": 9.0}, True),
        ("none", {"disagreement": 0.0}, {"disagreement": 0.001}, False),
    ],
)
def test_what_is_too_far(
    quantize: str, parity: dict[str, float] | None, measured: dict[str, float], ok: bool
) -> None:
    said = broken_rules({**SAME, **measured}, quantize, parity)
    assert (not said) == ok
