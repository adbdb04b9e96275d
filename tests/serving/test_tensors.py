import json
import subprocess
import sys
from pathlib import Path

import pytest

from fiat.errors import EnvironmentFault
from fiat.serving.tensors import DATATYPES, ServedTensor, added_outputs, read_model_info
from fiat.testing.sample_packages import make_package


def edited(folder: Path, name: str, **changes: object) -> Path:
    document = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(document | changes))
    return folder


def test_a_package_says_what_its_model_takes_and_gives(tmp_path: Path) -> None:
    info = read_model_info(edited(make_package(tmp_path, 2).folder, "manifest.json", scores="logits"))
    assert info.name == "tiny"
    assert info.inputs == (ServedTensor("x", "FP32", (-1, 3)),)
    assert info.outputs == (ServedTensor("y", "FP32", (-1, 3)),)
    assert info.answered[1:] == (
        ServedTensor("label", "BYTES", (-1,)),
        ServedTensor("probabilities", "FP32", (-1, 3)),
    )
    assert (info.layout, info.features, info.labels) == ("matrix", ("p", "q", "r"), ("a", "b", "c"))
    assert read_model_info(make_package(tmp_path, 3).folder, "other").name == "other"


def test_probabilities_are_added_to_logits_alone(tmp_path: Path) -> None:
    folder = make_package(tmp_path, 2).folder
    for scores, added in (("logits", 2), ("probabilities", 1), ("none", 1), (None, 2)):
        info = read_model_info(edited(folder, "manifest.json", scores=scores))
        assert len(info.added) == added, scores


def test_numbers_get_nothing_added(tmp_path: Path) -> None:
    info = read_model_info(edited(make_package(tmp_path, 2).folder, "signature.json", labels=None))
    assert info.added == ()


def test_names_that_the_graph_uses_are_left_to_it() -> None:
    outputs = (ServedTensor("label", "BYTES", (-1,)), ServedTensor("probabilities", "FP32", (-1, 2)))
    assert added_outputs(outputs, ("a", "b"), "logits") == ()


def test_scores_of_integer_classes_with_gaps_are_numbered_by_the_class() -> None:
    outputs = (ServedTensor("y", "FP32", (-1, 5)),)
    assert added_outputs(outputs, (0, 4), "logits")[1].shape == (-1, 5)
    assert added_outputs(outputs, ("a", "b"), "logits") == ()


def test_every_name_of_numpy_and_of_the_protocol_stand_for_each_other(tmp_path: Path) -> None:
    folder = make_package(tmp_path, 2).folder
    for datatype, dtype in DATATYPES.items():
        name = "string" if datatype == "BYTES" else dtype.name
        signature = {"inputs": [{"name": "x", "dtype": name, "shape": [None, 1]}]}
        assert read_model_info(edited(folder, "signature.json", **signature)).inputs[0].datatype == datatype


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("signature.json", None),
        ("manifest.json", None),
        ("signature.json", "{"),
        ("signature.json", "[]"),
        ("signature.json", "{}"),
        ("signature.json", '{"inputs": [{"name": "x", "dtype": "complex64", "shape": []}], "outputs": []}'),
    ],
)
def test_a_package_that_is_damaged_is_the_machine_s_fault(
    tmp_path: Path, file: str, content: str | None
) -> None:
    folder = make_package(tmp_path, 2).folder
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content)
    with pytest.raises(EnvironmentFault, match="can't be served"):
        read_model_info(folder)


def test_requests_are_read_and_answered_without_arrow_onnx_and_scipy() -> None:
    rooms = ["answers", "columns", "decode", "encode", "mlflow_forms", "tensors"]
    code = "; ".join([*(f"import fiat.serving.{room}" for room in rooms), "import sys; print(*sys.modules)"])
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"pyarrow", "onnx", "scipy", "pydantic", "polars", "onnxruntime"} & set(loaded)
