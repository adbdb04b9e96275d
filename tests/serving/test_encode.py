import json
import struct

import numpy as np
import pytest

from fiat.serving.encode import InferEncoder
from fiat.serving.requests import AnyArray, InferRequest, RequestedOutput
from tests.serving.request_stage import model

OUTPUTS = [("y", "FP32", (-1, 2)), ("word", "BYTES", (-1,))]
INFO = model(("x", "FP32", (-1, 3)), outputs=OUTPUTS)
ANSWER: dict[str, AnyArray] = {"y": np.float32([[0.1, 2]]), "word": np.array(["é\n"], object)}


def request(*outputs: tuple[str, bool], name: str | None = None, binary: bool = False) -> InferRequest:
    wanted = tuple(RequestedOutput(*item) for item in outputs) or None
    return InferRequest(name, {}, 1, wanted, binary_output=binary)


def written(asked: InferRequest, **outputs: AnyArray) -> dict[str, object]:
    body, length = InferEncoder(INFO, "7").write(asked, outputs or ANSWER)
    assert length is None
    return json.loads(body)  # type: ignore[no-any-return]


def test_an_answer_has_all_outputs_in_order_and_echoes_the_id() -> None:
    assert written(request(name='a"\n')) == {
        "model_name": "m",
        "model_version": "7",
        "id": 'a"\n',
        "outputs": [
            {"name": "y", "datatype": "FP32", "shape": [1, 2], "data": [0.1, 2.0]},
            {"name": "word", "datatype": "BYTES", "shape": [1], "data": ["é\n"]},
        ],
    }
    assert "id" not in written(request())


def test_outputs_come_as_they_were_asked_for() -> None:
    outputs = written(request(("word", False)))["outputs"]
    assert [output["name"] for output in outputs] == ["word"]  # type: ignore[attr-defined]


def test_bytes_follow_the_json_in_the_order_of_the_outputs() -> None:
    body, length = InferEncoder(INFO, "7").write(request(("word", True), ("y", True)), ANSWER)
    assert length is not None
    outputs = json.loads(body[:length])["outputs"]
    assert [output["parameters"]["binary_data_size"] for output in outputs] == [7, 8]
    assert not any("data" in output for output in outputs)
    assert body[length:] == struct.pack("<I", 3) + "é\n".encode() + struct.pack("<2f", np.float32(0.1), 2)
    everything, length = InferEncoder(INFO, "7").write(request(binary=True), ANSWER)
    assert len(everything) - (length or 0) == 15


def test_json_and_bytes_may_be_mixed() -> None:
    body, length = InferEncoder(INFO, "7").write(request(("y", False), ("word", True)), ANSWER)
    assert length is not None
    first, second = json.loads(body[:length])["outputs"]
    assert first["data"] == [0.1, 2.0]
    assert second["parameters"] == {"binary_data_size": 7}


def test_numbers_that_are_not_finite_are_null_in_json_and_themselves_in_bytes() -> None:
    array = np.float32([[np.nan, -np.inf]])
    assert written(request(("y", False)), y=array)["outputs"][0]["data"] == [None, None]  # type: ignore[index]
    body, length = InferEncoder(INFO, "7").write(request(("y", True)), {"y": array})
    assert body[length:] == array.tobytes()


def test_a_float_has_as_many_digits_as_it_needs() -> None:
    for value in np.float32([0.1, 1e-45, 3.4028235e38, 1 / 3]):
        array = np.float32([[value, value]])
        (output,) = written(request(("y", False)), y=array)["outputs"]  # type: ignore[misc]
        assert np.float32(output["data"]).tobytes() == array.tobytes()
        assert len(json.dumps(output["data"][0])) < 16


@pytest.mark.parametrize("shape", [(0, 2), (2, 2), (3, 1)])
def test_shapes_are_those_of_the_arrays(shape: tuple[int, ...]) -> None:
    array = np.ones(shape[::-1], np.float32).T
    (output,) = written(request(("y", False)), y=array)["outputs"]  # type: ignore[misc]
    assert output["shape"] == list(shape)
    assert output["data"] == [1.0] * array.size


def test_transposed_arrays_are_written_row_by_row() -> None:
    array = np.float32([[1, 2], [3, 4]]).T
    (output,) = written(request(("y", False)), y=array)["outputs"]  # type: ignore[misc]
    assert output["data"] == [1, 3, 2, 4]
    body, length = InferEncoder(INFO, "7").write(request(("y", True)), {"y": array})
    assert body[length:] == struct.pack("<4f", 1, 3, 2, 4)
