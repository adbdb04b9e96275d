import json
import struct

import numpy as np
import pytest

from tests.serving.request_stage import NUMBERS, TABLE, TRIPLES, behind, model, read, refusal, tensor, values

ROW = np.array([[1, 2, 3]], "<f4")


def sized(name: str, datatype: str, shape: tuple[int, ...], size: object) -> dict[str, object]:
    return tensor(name, datatype, shape, parameters={"binary_data_size": size})


def texts(*words: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(word)) + word for word in words)


def test_bytes_behind_the_json_are_the_inputs_in_their_order() -> None:
    town = texts(b"a", "é".encode())
    ages = np.array([1.5, 2.5], "<f8").tobytes()
    inputs = [sized("town", "BYTES", (2, 1), len(town)), sized("age", "FP64", (2, 1), len(ages))]
    found = read(*_swapped(inputs, town + ages))
    assert found.inputs["town"].tolist() == [["a"], ["é"]]
    assert found.inputs["age"].tolist() == [[1.5], [2.5]]
    assert found.inputs["age"].flags.aligned


def _swapped(inputs: list[dict[str, object]], tail: bytes):  # type: ignore[no-untyped-def]
    body, header = behind({"inputs": inputs}, tail)
    return body, TABLE, header


def test_json_and_bytes_may_be_mixed() -> None:
    inputs = [tensor("town", "BYTES", [1], ["b"]), sized("age", "FP64", (1,), 8)]
    found = read(*_swapped(inputs, np.array([7], "<f8").tobytes()))
    assert {name: array.tolist() for name, array in found.inputs.items()} == {"town": [["b"]], "age": [[7.0]]}


@pytest.mark.parametrize("datatype", [*NUMBERS, "BOOL"])
def test_every_datatype_is_little_endian(datatype: str) -> None:
    info = model(("x", datatype, (-1, 2)))
    array = np.array([[0, 1], [1, 0]]).astype(info.inputs[0].dtype)
    tail = array.astype(array.dtype.newbyteorder("<")).tobytes()
    body, header = behind({"inputs": [sized("x", datatype, (2, 2), len(tail))]}, tail)
    found = read(body, info, header).inputs["x"]
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_a_truth_value_is_any_byte_but_zero() -> None:
    body, header = behind({"inputs": [sized("x", "BOOL", (3,), 3)]}, b"\x00\x01\x07")
    found = read(body, model(("x", "BOOL", (-1,))), header).inputs["x"]
    assert found.view(np.uint8).tolist() == [0, 1, 1]


def test_numbers_that_are_not_finite_keep_their_bits() -> None:
    array = np.array([[np.nan, np.inf, -0.0]], "<f4")
    body, header = behind({"inputs": [sized("x", "FP32", (1, 3), 12)]}, array.tobytes())
    assert read(body, TRIPLES, header).inputs["x"].tobytes() == array.tobytes()


def test_an_empty_batch_has_no_bytes() -> None:
    body, header = behind({"inputs": [sized("x", "FP32", (0, 3), 0)]}, b"")
    assert read(body, TRIPLES, header).n_rows == 0
    body, header = behind({"inputs": [sized("x", "BYTES", (0,), 0)]}, b"")
    assert read(body, model(("x", "BYTES", (-1,))), header).n_rows == 0


def test_a_header_without_bytes_is_plain_json() -> None:
    body, header = behind({"inputs": [tensor("x", "FP32", (1, 3), [1, 2, 3])]}, b"")
    assert values(body, TRIPLES, header) == [[1, 2, 3]]


REFUSED = {
    "too few bytes": (sized("x", "FP32", (1, 3), 12), b"1234", "'x' (FP32 [-1, 3]) has 4 bytes left"),
    "bytes left over": (sized("x", "FP32", (1, 3), 12), b"0" * 13, "1 bytes that belong to no input"),
    "a size for another shape": (
        sized("x", "FP32", (2, 3), 12),
        b"0" * 12,
        "has 12 bytes, but its shape [2, 3] needs 24",
    ),
    "a negative size": (sized("x", "FP32", (1, 3), -12), b"0" * 12, "binary_data_size -12"),
    "a size that is a text": (sized("x", "FP32", (1, 3), "12"), b"0" * 12, "binary_data_size '12'"),
    "a size that is true": (sized("x", "FP32", (1, 3), True), b"0", "binary_data_size True"),
    "a size beyond all memory": (sized("x", "FP32", (1, 3), 10**30), b"0" * 12, "bytes left behind the JSON"),
    "both": (
        sized("x", "FP32", (1, 3), 12) | {"data": [1, 2, 3]},
        b"0" * 12,
        "both data and a binary_data_size",
    ),
    "a shape beyond all memory": (
        sized("x", "FP32", (2**62, 3), 12),
        b"0" * 12,
        "has the shape [4611686018427387904, 3]",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_sizes_that_do_not_fit_are_refused(case: str) -> None:
    item, tail, words = REFUSED[case]
    body, header = behind({"inputs": [item]}, tail)
    assert words in refusal(body, TRIPLES, header)


@pytest.mark.parametrize(
    ("tail", "shape", "words"),
    [
        (texts(b"\xff"), (1,), "no UTF-8"),
        (texts(b"a"), (2,), "needs at least 8"),
        (texts(b"a", b"b", b"c"), (2,), "not 2 texts"),
        (b"\xff\xff\xff\xff1234", (2,), "not 2 texts"),
        (b"\x05\x00\x00\x00a", (1,), "not 1 texts"),
        (texts(b"abcd") + b"\x00", (2,), "not 2 texts"),
        (b"", (2**62,), "too large"),
    ],
)
def test_texts_need_their_lengths_and_utf_8(tail: bytes, shape: tuple[int, ...], words: str) -> None:
    body, header = behind({"inputs": [sized("x", "BYTES", shape, len(tail))]}, tail)
    assert words in refusal(body, model(("x", "BYTES", (-1,))), header)


@pytest.mark.parametrize("header", ["", "-1", "a", "1.0", "٣", "9" * 30, "10000", " 5", "+5"])
def test_a_header_that_is_no_length_within_the_body_is_refused(header: str) -> None:
    assert "Inference-Header-Content-Length" in refusal(b'{"inputs":[]}', TRIPLES, header)


def test_a_body_of_bytes_alone_is_the_only_input_and_answers_in_bytes() -> None:
    found = read(ROW.tobytes(), TRIPLES, "0")
    assert found.inputs["x"].tolist() == ROW.tolist()
    assert found.binary_output
    assert found.outputs is None
    assert found.id is None
    assert read(ROW.tobytes() * 4, TRIPLES, "0").n_rows == 4
    assert read(b"", TRIPLES, "0").n_rows == 0


def test_a_body_of_bytes_alone_leaves_one_size_to_find() -> None:
    info = model(("x", "FP32", (-1, 2, -1)))
    assert read(np.arange(6, dtype="<f4").tobytes(), info, "0").inputs["x"].shape == (1, 2, 3)
    assert "multiple of 8" in refusal(b"1234", info, "0")
    assert "more than one free size" in refusal(b"1234", model(("x", "FP32", (-1, -1, -1))), "0")
    assert "exactly one" in refusal(b"1234", TABLE, "0")
    assert "multiple of 12" in refusal(b"1234", TRIPLES, "0")


def test_a_body_of_bytes_alone_may_be_one_text() -> None:
    info = model(("x", "BYTES", (-1, 1)))
    assert read("größe".encode(), info, "0").inputs["x"].tolist() == [["größe"]]
    assert "no UTF-8" in refusal(b"\xff", info, "0")
    assert "not one text" in refusal(b"a", model(("x", "BYTES", (-1, 2))), "0")


def test_the_json_part_must_be_json_to_its_end() -> None:
    text = json.dumps({"inputs": [sized("x", "FP32", (1, 3), 12)]}).encode()
    assert "no inference request" in refusal(text + ROW.tobytes(), TRIPLES, str(len(text) - 1))
    assert "no inference request" in refusal(text + b"\xfe" * 12, TRIPLES, str(len(text) + 1))
