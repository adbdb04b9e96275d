import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from fiat.errors import SpecError
from fiat.model.probe import probe_model

sys.path.insert(0, str(Path(__file__).parent))
import onnx_graphs as graphs


def test_an_ordinary_model_passes(tmp_path: Path) -> None:
    probe_model(graphs.write(graphs.scaling(), tmp_path / "m.onnx"))


def test_a_model_of_texts_passes(tmp_path: Path) -> None:
    ends = {
        "inputs": [graphs.value("x", ["n", 1], TensorProto.STRING)],
        "outputs": [graphs.value("y", ["n", 1], TensorProto.STRING)],
    }
    made = graphs.model([helper.make_node("Identity", ["x"], ["y"])], **ends)
    probe_model(graphs.write(made, tmp_path / "m.onnx"))


def test_a_model_that_refuses_values_that_training_did_not_see_passes(tmp_path: Path) -> None:
    ends = {
        "inputs": [graphs.value("x", ["n"], TensorProto.INT64)],
        "outputs": [graphs.value("y", ["n"], TensorProto.INT64)],
        "initializers": [numpy_helper.from_array(np.zeros(0, np.int64), "places")],
    }
    for name, code in (("a category of town that training did not see", 0), ("anything else", 1)):
        made = graphs.model([helper.make_node("Gather", ["places", "x"], ["y"], name=name)], **ends)
        path = graphs.write(made, tmp_path / f"m{code}.onnx")
        if code:
            with pytest.raises(SpecError, match="anything else"):
                probe_model(path)
        else:
            probe_model(path)


def test_a_model_that_the_runtime_refuses_is_refused_with_its_reason(tmp_path: Path) -> None:
    made = graphs.model([helper.make_node("Add", ["x", "nothing"], ["y"])])
    with pytest.raises(SpecError, match=r"onnxruntime can't use m\.onnx: .*nothing"):
        probe_model(graphs.write(made, tmp_path / "m.onnx"))


def test_a_model_that_crashes_the_runtime_hurts_nobody(tmp_path: Path) -> None:
    path = graphs.write(graphs.chain_of_functions(3000), tmp_path / "m.onnx")
    with pytest.raises(SpecError, match=r"crashes onnxruntime|can't use"):
        probe_model(path)


def test_a_model_that_asks_for_more_memory_than_the_limit_is_refused(tmp_path: Path) -> None:
    path = graphs.write(graphs.huge_constant(), tmp_path / "m.onnx")
    with pytest.raises(SpecError, match=r"can't use|crashes"):
        probe_model(path)


def test_a_model_that_never_ends_is_ended(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"took longer than 0\.01 s"):
        probe_model(graphs.write(graphs.scaling(), tmp_path / "m.onnx"), timeout_s=0.01)


def test_a_model_with_free_sizes_beside_the_rows_is_not_refused_for_the_size_that_was_tried(
    tmp_path: Path,
) -> None:
    ends = {
        "inputs": [graphs.value("x", ["n", "width"])],
        "outputs": [graphs.value("y", ["n", 3])],
    }
    made = graphs.scaling()
    node = helper.make_node("Reshape", ["x", "s"], ["y"])
    shape = helper.make_tensor("s", TensorProto.INT64, [2], [-1, 3])
    made = graphs.model([node], initializers=[shape], **ends)
    probe_model(graphs.write(made, tmp_path / "m.onnx"))
