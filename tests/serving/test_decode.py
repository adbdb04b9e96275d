import json
import math
import tracemalloc
from typing import Any

import numpy as np
import pytest

from tests.serving.request_stage import (
    NUMBERS,
    TABLE,
    TRIPLES,
    message,
    model,
    read,
    refusal,
    tensor,
    triple,
    values,
)


def test_flat_and_nested_lists_are_the_same_tensor() -> None:
    flat = triple([1, 2.5, 3, 4, 5, 6], (2, 3))
    nested = triple([[1, 2.5, 3], [4, 5, 6]], (2, 3))
    assert values(flat) == values(nested) == [[1, 2.5, 3], [4, 5, 6]]
    found = read(flat)
    assert found.inputs["x"].dtype == np.float32
    assert found.n_rows == 2


def test_deeper_tensors_are_row_major() -> None:
    info = model(("x", "INT16", (-1, 2, 2)))
    expected = np.arange(8).reshape(2, 2, 2).tolist()
    assert values(message(tensor("x", "INT16", (2, 2, 2), list(range(8)))), info) == expected
    assert values(message(tensor("x", "INT16", (2, 2, 2), expected)), info) == expected


def test_what_is_common_is_understood_alike_with_and_without_the_rest() -> None:
    # An empty list of outputs sends a request the careful way, where nothing else is different.
    quick, careful = read(triple(id="7")), read(triple(id="7", outputs=[]))
    assert quick.id == careful.id == "7"
    assert quick.outputs is careful.outputs is None
    assert quick.n_rows == careful.n_rows == 1
    np.testing.assert_array_equal(quick.inputs["x"], careful.inputs["x"])


def test_fields_nobody_knows_are_passed_over_and_parameters_are_kept() -> None:
    found = read(triple(parameters={"priority": 3}, more={"a": [1]}))
    assert found.parameters == {"priority": 3}
    assert values(message({**tensor("x", "FP32", (1, 3), [1, 2, 3]), "parameters": {"a": 1}})) == [[1, 2, 3]]


@pytest.mark.parametrize("nested", [False, True])
def test_a_column_may_be_sent_without_its_second_axis(nested: bool) -> None:
    more = {"outputs": []} if nested else {}
    body = message(
        tensor("age", "FP64", [2], [1, None]), tensor("town", "BYTES", [2], ["Bonn", None]), **more
    )
    found = read(body, TABLE)
    assert found.inputs["age"].shape == found.inputs["town"].shape == (2, 1)
    assert found.inputs["town"].tolist() == [["Bonn"], [""]]
    assert found.inputs["age"][0, 0] == 1
    assert math.isnan(found.inputs["age"][1, 0])


def test_several_inputs_come_in_any_order() -> None:
    body = message(tensor("town", "BYTES", (1, 1), [["é"]]), tensor("age", "FP64", (1, 1), [[3]]))
    found = read(body, TABLE)
    assert {name: array.tolist() for name, array in found.inputs.items()} == {"town": [["é"]], "age": [[3.0]]}


@pytest.mark.parametrize("data", [[], [[]]])
def test_a_batch_may_be_empty(data: Any) -> None:
    for more in ({}, {"outputs": []}):
        found = read(triple(data, (0, 3), **more))
        assert found.inputs["x"].shape == (0, 3)
        assert found.n_rows == 0


def test_truth_values_and_whole_numbers_keep_their_kind() -> None:
    assert values(message(tensor("x", "BOOL", [2], [True, False])), model(("x", "BOOL", (-1,)))) == [
        True,
        False,
    ]
    big = model(("x", "UINT64", (-1,)))
    assert values(message(tensor("x", "UINT64", [1], [2**64 - 1])), big) == [2**64 - 1]
    assert "expected" in refusal(message(tensor("x", "UINT64", [1], [1.5])), big).lower()
    assert "expected `int`" in refusal(message(tensor("x", "UINT64", [1], [True])), big).lower()
    assert "out of range" in refusal(message(tensor("x", "UINT64", [1], [2**64])), big)
    assert "out of range" in refusal(message(tensor("x", "UINT64", [1], [-1])), big)


@pytest.mark.parametrize("datatype", NUMBERS)
def test_every_number_has_limits_and_they_are_kept(datatype: str) -> None:
    info = model(("x", datatype, (-1,)))
    dtype = info.inputs[0].dtype
    limits = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    low, high = (limits.min, limits.max) if dtype.kind in "iu" else (float(limits.min), float(limits.max))
    assert values(message(tensor("x", datatype, [2], [low, high])), info) == [low, high]
    beyond = "1e400" if dtype.kind == "f" else str(high + 1)
    text = message(tensor("x", datatype, [1], [0])).replace(b"[0]", f"[{beyond}]".encode())
    assert "out of range" in refusal(text, info)
    if datatype in ("FP16", "FP32"):
        assert "out of range" in refusal(message(tensor("x", datatype, [1], [high * 2])), info)


REFUSED = {
    "no JSON": (b"{", "no inference request"),
    "nothing": (b"", "no inference request"),
    "no object": (b"[]", "no inference request"),
    "no text": (b'{"inputs":[{"name":"\xff"}]}', "no inference request"),
    "nested a million deep": (b'{"inputs":[{"data":' + b"[" * 1_000_000, "nested too deep"),
    "no inputs": (b"{}", "inputs"),
    "inputs that are no list": (b'{"inputs":{}}', "$.inputs"),
    "no input": (message(), "lacks input 'x' (FP32 [-1, 3])"),
    "a wrong name": (message(tensor("z", "FP32", (1, 3), [1, 2, 3])), "no input 'z'; it takes 'x'"),
    "a wrong datatype": (message(tensor("x", "FP64", (1, 3), [1, 2, 3])), "'FP64', expected FP32"),
    "a datatype that isn't one": (message(tensor("x", "float", (1, 3), [1, 2, 3])), "'float', expected FP32"),
    "an input twice": (message(*[tensor("x", "FP32", (1, 3), [1, 2, 3])] * 2), "'x' is given twice"),
    "another width": (triple([1, 2], (1, 2)), "'x' has the shape [1, 2], expected [-1, 3]"),
    "another rank": (triple([1, 2, 3], (3,)), "'x' has the shape [3], expected [-1, 3]"),
    "no shape": (message({"name": "x", "datatype": "FP32", "data": [1, 2, 3]}), "shape"),
    "a negative size": (triple([1, 2, 3], (-1, 3)), "'x' has the shape [-1, 3]"),
    "sizes that are no integers": (message({**tensor("x", "FP32", (), [1]), "shape": [1.5, 3]}), "shape[0]"),
    "a size beyond 64 bits": (
        triple([1], (10**30, 3)),
        "[1000000000000000000000000000000, 3], which is too large",
    ),
    "too few values": (
        triple([1, 2], (1, 3)),
        "'x' (FP32 [-1, 3]) has 2 values, but its shape [1, 3] needs 3",
    ),
    "too many values": (triple([1, 2, 3, 4], (1, 3)), "has 4 values"),
    "too few rows": (triple([[1, 2, 3]], (2, 3)), "has 1 rows"),
    "ragged rows": (triple([[1, 2, 3], [4, 5]], (2, 3)), "nested otherwise"),
    "deeper lists": (triple([[[1, 2, 3]]], (1, 3)), "can't be read"),
    "mixed depths": (triple([[1, 2, 3], 4], (2, 3)), "can't be read"),
    "a text": (triple(["1", 2, 3]), "Expected `float | null`, got `str`"),
    "NaN": (triple([1, 2, math.nan]), "send null for a missing number"),
    "data that is no list": (triple(5), "can't be read"),
    "no data": (message(tensor("x", "FP32", (1, 3))), "neither data nor a binary_data_size"),
    "an id that is no text": (triple(id=5), "$.id"),
    "parameters that are no object": (triple(parameters=[1]), "$.parameters"),
    "an unknown output": (triple(outputs=[{"name": "w"}]), "no output 'w'; it gives 'y'"),
    "an output twice": (triple(outputs=[{"name": "y"}] * 2), "'y' is asked for twice"),
    "a switch that is none": (triple(parameters={"binary_data_output": 1}), "binary_data_output 1"),
    "another switch": (triple(outputs=[{"name": "y", "parameters": {"binary_data": "a"}}]), "output 'y' has"),
    "rows without data": (triple([], (1, 3)), "has 0 values"),
    "data without rows": (triple([1], (0, 3)), "its shape has none"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_the_tensor_and_what_was_expected(case: str) -> None:
    body, words = REFUSED[case]
    assert words in refusal(body)


def test_inputs_of_different_lengths_are_refused() -> None:
    body = message(tensor("age", "FP64", (2, 1), [1, 2]), tensor("town", "BYTES", (1, 1), ["a"]))
    assert refusal(body, TABLE) == "input 'town' has 1 rows, expected 2 as in input 'age'"
    assert "lacks input 'town' (BYTES [-1, 1])" in refusal(message(tensor("age", "FP64", [1], [1])), TABLE)


def test_a_text_is_no_number_and_a_number_no_text() -> None:
    town, age = tensor("town", "BYTES", [1], ["a"]), tensor("age", "FP64", [1], [1])
    assert "'age' (FP64 [-1, 1]) can't be read" in refusal(message({**age, "data": ["a"]}, town), TABLE)
    assert "'town' (BYTES [-1, 1]) can't be read" in refusal(message(age, {**town, "data": [1]}), TABLE)


def test_what_a_client_sent_is_not_repeated_at_any_length() -> None:
    assert len(refusal(message(tensor("z" * 100_000, "FP32", (1, 3), [1, 2, 3])))) < 300
    assert len(refusal(triple([1], [1] * 100_000))) < 300
    assert len(refusal(triple([1, 2, 3], parameters={"binary_data_output": [[1] * 1000] * 1000}))) < 300


@pytest.mark.parametrize("shape", [(10**9, 3), (2**62, 3), (0, 3), (2**31, 2**31, 2**31)])
def test_a_shape_is_not_believed(shape: tuple[int, ...]) -> None:
    info = model(("x", "FP32", (-1, 3) if len(shape) == 2 else (-1, -1, -1)))
    body = triple([1], shape)
    tracemalloc.start()
    refusal(body, info)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1 << 20


def test_data_that_cannot_fit_is_refused_before_it_is_read() -> None:
    body = triple([0] * 1_000_000, (1, 3))
    decoder_peaks = []
    for shape in ((1, 3), (2, 3)):
        text = body.replace(b'"shape": [1, 3]', json.dumps({"shape": shape})[1:-1].encode())
        tracemalloc.start()
        assert "has 1000000 values" in refusal(text)
        decoder_peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(decoder_peaks) < 2 * len(body)


def test_free_sizes_take_what_comes_but_nothing_absurd() -> None:
    info = model(("x", "FP32", (-1, -1)))
    assert values(message(tensor("x", "FP32", (2, 1), [1, 2])), info) == [[1.0], [2.0]]
    assert "too large" in refusal(message(tensor("x", "FP32", (0, 2**62), [])), info)


def test_outputs_are_asked_for_by_name_the_added_ones_too() -> None:
    names = ["probabilities", "label", "y"]
    ages = [tensor("age", "FP64", [1], [1]), tensor("town", "BYTES", [1], ["a"])]
    found = read(message(*ages, outputs=[{"name": name} for name in names]), TABLE)
    assert found.outputs is not None
    assert [output.name for output in found.outputs] == names
    assert not any(output.binary for output in found.outputs)


def test_binary_answers_are_asked_for_once_or_by_output() -> None:
    assert read(triple(parameters={"binary_data_output": True})).binary_output
    found = read(
        triple(
            parameters={"binary_data_output": True},
            outputs=[{"name": "y", "parameters": {"binary_data": False}}],
        )
    )
    assert found.outputs is not None
    assert not found.outputs[0].binary
    found = read(triple(parameters={"binary_data_output": True}, outputs=[{"name": "y"}]))
    assert found.outputs is not None
    assert found.outputs[0].binary


def test_the_body_may_be_written_in_any_way_that_json_allows() -> None:
    text = b'\n {"outputs":null,"id":null, "inputs" : [ {"data" : [ [ 1 ,2,\t3e0] ],"shape":[1,3], "datatype":"FP32",'
    text += b' "name":"\\u0078"} ] } '
    assert values(text) == [[1, 2, 3]]
    assert values(triple([[1, 2, 3]], (1, 3)), TRIPLES) == [[1, 2, 3]]
