import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from fiat.errors import SpecError
from fiat.model.signature import Signature, read_signature

sys.path.insert(0, str(Path(__file__).parent))
import onnx_graphs as graphs

FLOATS = {"x": np.zeros((4, 3), np.float32)}


def read(made: Any, path: Path, labels: tuple[object, ...] = (), sample: Any = None) -> Signature:
    graphs.write(made, path)
    return read_signature(
        path,
        layout="matrix",
        features=("a", "b", "c"),
        labels=labels,
        sample=FLOATS if sample is None else sample,
    )


def identity(shape: list[Any], dtype: int = TensorProto.FLOAT) -> Any:
    ends = {"inputs": [graphs.value("x", shape, dtype)], "outputs": [graphs.value("y", shape, dtype)]}
    return graphs.model([helper.make_node("Identity", ["x"], ["y"])], **ends)


def with_outputs(*outputs: Any) -> Any:
    nodes = [helper.make_node("Identity", ["x"], [output.name]) for output in outputs]
    return graphs.model(nodes, outputs=list(outputs))


def test_it_says_names_types_and_shapes_with_null_where_any_size_goes(tmp_path: Path) -> None:
    found = read(graphs.scaling(), tmp_path / "m.onnx")
    found.write(tmp_path / "signature.json")
    assert json.loads((tmp_path / "signature.json").read_text()) == {
        "inputs": [{"name": "x", "dtype": "float32", "shape": [None, 3]}],
        "outputs": [{"name": "y", "dtype": "float32", "shape": [None, 3]}],
        "layout": "matrix",
        "features": ["a", "b", "c"],
        "labels": None,
        "opset": graphs.OPSET,
        "producer": "unknown",
    }


def test_weights_that_old_files_list_as_inputs_are_none(tmp_path: Path) -> None:
    made = graphs.scaling()
    made.graph.input.append(graphs.value("w", [3]))
    assert [item.name for item in read(made, tmp_path / "m.onnx").inputs] == ["x"]


def test_a_fixed_first_axis_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="x of the exported model takes only batches of 8"):
        read(identity([8, 3]), tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("dtype", "sample", "message"),
    [
        (TensorProto.INT64, FLOATS["x"], "is int64, but the data gives float32"),
        (TensorProto.FLOAT, np.array([["a"]] * 4, object), "is float32, but the data gives string"),
        (TensorProto.STRING, FLOATS["x"], "is string, but the data gives float32"),
    ],
)
def test_another_type_than_the_data_gives_is_refused(
    tmp_path: Path, dtype: int, sample: np.ndarray, message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        read(identity(["n", 3], dtype), tmp_path / "m.onnx", sample={"x": sample})


def test_another_number_of_inputs_than_the_data_gives_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="takes 1 inputs, but the data gives 2"):
        read(graphs.scaling(), tmp_path / "m.onnx", sample={**FLOATS, "z": FLOATS["x"]})


def test_outputs_that_are_no_tensors_are_refused(tmp_path: Path) -> None:
    output = helper.make_value_info(
        "y", helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    )
    made = graphs.model([helper.make_node("SequenceConstruct", ["x"], ["y"])], outputs=[output])
    with pytest.raises(SpecError, match="y of the exported model is no tensor"):
        read(made, tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("outputs", "labels", "kept"),
    [
        ([graphs.value("y", ["n", 3])], ("a", "b", "c"), True),
        ([graphs.value("y", ["n", None])], ("a", "b", "c"), True),
        ([graphs.value("y", ["n"], TensorProto.INT64)], ("a", "b", "c"), True),
        ([graphs.value("y", ["n", 1])], ("no", "yes"), True),
        ([graphs.value("y", ["n"])], ("no", "yes"), True),
        ([graphs.value("y", ["n", 1])], (3, 4, 5), False),
        ([graphs.value("y", ["n"])], (3, 4, 5), False),
        ([graphs.value("y", ["n", 3])], (), False),
    ],
)
def test_labels_are_kept_where_the_outputs_can_be_classes(
    tmp_path: Path, outputs: list[Any], labels: tuple[object, ...], kept: bool
) -> None:
    found = read(with_outputs(*outputs), tmp_path / "m.onnx", labels)
    assert found.labels == (labels if kept else None)
