import json
import math
import tracemalloc
from typing import Any

import numpy as np
import pytest

from fiat.serving.mlflow_forms import InvocationReader, write_invocation_error, write_invocations
from fiat.serving.refusal import BadRequest
from fiat.serving.tensors import ModelInfo
from tests.serving.request_stage import TABLE, model

MATRIX = model(("features", "FP32", (-1, 3)), layout="matrix", features=("p", "q", "r"))
IMAGE = model(("image", "UINT8", (-1, 2, 2)), layout="tensor", features=("image",))
COLUMNS = model(("p", "FP32", (-1, 1)), ("word", "BYTES", (-1, 1)), layout="columns", features=("p", "word"))


def read(body: object, info: ModelInfo = MATRIX, content_type: str = "application/json") -> Any:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return InvocationReader(info).read(text, content_type)


def fed(body: object, info: ModelInfo = MATRIX, content_type: str = "application/json") -> dict[str, Any]:
    return {name: array.tolist() for name, array in read(body, info, content_type).inputs.items()}


def refusal(body: object, info: ModelInfo = MATRIX, content_type: str = "application/json") -> str:
    with pytest.raises(BadRequest) as caught:
        read(body, info, content_type)
    return caught.value.message


ROWS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
SAME = {
    "split": {"dataframe_split": {"columns": ["p", "q", "r"], "index": [0, 1], "data": ROWS}},
    "split in another order, with more": {
        "dataframe_split": {"columns": ["r", "id", "q", "p"], "data": [[3, "a", 2, 1], [6, "b", 5, 4]]}
    },
    "split without names": {"dataframe_split": {"data": ROWS}},
    "split with numbers as names": {"dataframe_split": {"columns": [0, 1, 2], "data": ROWS}},
    "records": {"dataframe_records": [{"p": 1, "q": 2, "r": 3}, {"r": 6, "q": 5, "p": 4}]},
    "instances": {"instances": ROWS},
    "instances by input": {"instances": [{"features": row} for row in ROWS]},
    "instances by column": {"instances": [{"p": 1, "q": 2, "r": 3}, {"p": 4, "q": 5, "r": 6}]},
    "inputs": {"inputs": ROWS},
    "inputs by name": {"inputs": {"features": ROWS}},
    "inputs by column": {"inputs": {"p": [1, 4], "q": [2, 5], "r": [3, 6]}},
}


@pytest.mark.parametrize("form", SAME)
def test_every_form_gives_the_same_inputs(form: str) -> None:
    assert fed(SAME[form]) == {"features": ROWS}
    assert read(SAME[form]).n_rows == 2


def test_csv_is_a_table_too() -> None:
    text = b'\xef\xbb\xbfr,name,q,p\r\n3,"a,b",2,1\r\n6,c,5,4\r\n'
    assert fed(text, content_type="text/csv; charset=utf-8") == {"features": ROWS}
    found = fed(b"word,p\n12,true\n,\n", COLUMNS, "text/csv")
    assert found["word"] == [["12"], [""]]
    assert found["p"][0] == [1.0]
    assert math.isnan(found["p"][1][0])


def test_raw_columns_go_in_by_name_and_what_is_missing_is_what_the_graph_takes_for_it() -> None:
    found = fed({"dataframe_records": [{"age": 3, "town": "Bonn"}, {"town": None}, {"age": True}]}, TABLE)
    assert found["town"] == [["Bonn"], [""], [""]]
    assert found["age"][0] == [3.0]
    assert math.isnan(found["age"][1][0])
    assert found["age"][2] == [1.0]
    assert fed({"inputs": {"age": [[3]], "town": [["a"]]}}, TABLE) == {"age": [[3.0]], "town": [["a"]]}


def test_a_graph_may_call_its_inputs_otherwise_than_the_columns() -> None:
    info = model(
        ("in_0", "FP32", (-1, 1)), ("in_1", "BYTES", (-1, 1)), layout="columns", features=("p", "word")
    )
    expected = {"in_0": [[1.0]], "in_1": [["a"]]}
    assert fed({"dataframe_records": [{"word": "a", "p": 1}]}, info) == expected
    assert fed({"inputs": {"in_1": ["a"], "in_0": [1]}}, info) == expected
    assert fed({"inputs": {"p": [1], "word": ["a"]}}, info) == expected


def test_tensors_come_as_nested_lists() -> None:
    images = [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    for body in (
        {"inputs": images},
        {"instances": images},
        {"instances": [{"image": image} for image in images]},
        {"dataframe_records": [{"image": image} for image in images]},
        {"dataframe_split": {"columns": ["image"], "data": [[image] for image in images]}},
    ):
        assert fed(body, IMAGE) == {"image": images}, body


@pytest.mark.parametrize("form", ["instances", "inputs", "dataframe_records"])
def test_a_batch_may_be_empty(form: str) -> None:
    for info, shape in ((MATRIX, (0, 3)), (IMAGE, (0, 2, 2))):
        found = read({form: []}, info)
        assert found.n_rows == 0
        assert next(iter(found.inputs.values())).shape == shape


def test_mlflow_s_client_writes_nan_for_what_is_missing() -> None:
    text = b'{"dataframe_split": {"index": [0, 1], "columns": ["age", "town"], "data": [[3.0, "NaN"], [NaN, NaN]]}}'
    found = fed(text, TABLE)
    assert found["town"] == [["NaN"], [""]]
    assert found["age"][0] == [3.0]
    assert math.isnan(found["age"][1][0])
    assert "has no Infinity" in refusal(b'{"inputs": [[NaN, Infinity, 1]]}')
    assert "none of MLflow's forms" in refusal(b'{"inputs": [[NaN, "\\ud800", 1]]}')
    assert "nested too deep" in refusal(b'{"inputs": [NaN, ' + b"[" * 100_000)


def test_rows_that_all_have_columns_of_their_own_make_no_square() -> None:
    rows = [{str(number): 1, "age": 1, "town": ""} for number in range(20_000)]
    body = json.dumps({"dataframe_records": rows}).encode()
    tracemalloc.start()
    assert read(body, TABLE).n_rows == len(rows)
    assert tracemalloc.get_traced_memory()[1] < 50 * len(body)
    tracemalloc.stop()


def test_parameters_are_kept() -> None:
    assert read({"inputs": ROWS, "params": {"a": 1}}).parameters == {"a": 1}


REFUSED: dict[str, tuple[object, ModelInfo, str]] = {
    "no JSON": (b"{", MATRIX, "none of MLflow's forms"),
    "no UTF-8": (b'{"inputs": ["\xff"]}', MATRIX, "none of MLflow's forms"),
    "nested too deep": (b'{"inputs":' + b"[" * 100_000, MATRIX, "nested too deep"),
    "no form": ({"rows": []}, MATRIX, "has none of dataframe_split"),
    "two forms": ({"inputs": ROWS, "instances": ROWS}, MATRIX, "has instances, inputs of"),
    "a column is missing": ({"dataframe_records": [{"p": 1, "q": 2}]}, MATRIX, "lacks the column 'r'"),
    "a text among numbers": (
        {"dataframe_records": [{"p": "1", "q": 2, "r": 3}]},
        MATRIX,
        "'features' (FP32 [-1, 3])",
    ),
    "a number among texts": ({"dataframe_records": [{"age": 1, "town": 2}]}, TABLE, "'town' (BYTES [-1, 1])"),
    "rows of other lengths": (
        {"dataframe_split": {"data": [[1, 2, 3], [1]]}},
        MATRIX,
        "row 1 of dataframe_split",
    ),
    "a column twice": ({"dataframe_split": {"columns": ["p", "p"], "data": []}}, MATRIX, "a column twice"),
    "another width": ({"inputs": [[1, 2]]}, MATRIX, "has the shape [1, 2], expected [-1, 3]"),
    "ragged": ({"inputs": [[1, 2, 3], [1]]}, MATRIX, "nested otherwise"),
    "no list": ({"inputs": {"features": 1}}, MATRIX, "'features' of inputs is no list"),
    "no input names": ({"instances": ROWS}, TABLE, "must name the model's inputs"),
    "columns of other lengths": ({"inputs": {"age": [1], "town": []}}, TABLE, "different lengths"),
    "another input": ({"inputs": {"z": [1]}}, MATRIX, "lacks the columns 'p, q, r'"),
    "deeper than any shape": ({"inputs": [[[[1]]]]}, IMAGE, "'image' has the shape"),
    "out of range": ({"inputs": [[[256, 0], [0, 0]]]}, IMAGE, "'image' (UINT8 [-1, 2, 2]) has the value 256"),
    "too large": ({"inputs": [[1e39, 0, 0]]}, MATRIX, "'features' (FP32 [-1, 3]) has the value 1e+39"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_say_what_was_expected(case: str) -> None:
    body, info, words = REFUSED[case]
    assert words in refusal(body, info)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "no line with the names"),
        (b"p,q,r\n1,2\n", "row 1 of the CSV has 2 values, expected 3"),
        (b"p,p\n", "a column twice"),
        (b"p,q,r\n1,2,x\n", "column 'r' has the cell 'x', expected a number"),
        (b"p,q,r\n1,2,1_0\n", "'1_0'"),
        (b"p,q,r\n1,2,inf\n", "out of range"),
        (b"p,q\n1,2\n", "lacks the column 'r'"),
        (b"\xff\n", "no CSV in UTF-8"),
        (b'p,q,r\n"' + b"1" * 200_000, "no CSV in UTF-8"),
    ],
)
def test_csv_that_is_wrong_is_refused(text: bytes, words: str) -> None:
    assert words in refusal(text, content_type="text/csv")


def test_other_content_types_are_unsupported_and_none_at_all_is_json() -> None:
    with pytest.raises(BadRequest, match="application/xml") as caught:
        read({"inputs": ROWS}, content_type="application/xml")
    assert caught.value.status == 415
    assert fed({"inputs": ROWS}, content_type="") == {"features": ROWS}


def test_answers_are_one_item_a_row() -> None:
    info = model(("x", "FP32", (-1, 3)), outputs=[("y", "FP32", (-1, 2))], labels=("a", "b"), scores="logits")
    outputs = {
        "y": np.float32([[0.1, np.nan]]),
        "label": np.array(["b"], object),
        "probabilities": np.float32([[0.25, 0.75]]),
    }
    assert json.loads(write_invocations(outputs, info)) == {
        "predictions": [{"y": [0.1, None], "label": "b", "probabilities": [0.25, 0.75]}]
    }
    for array, expected in (
        (np.float32([[0.1], [2]]), [0.1, 2.0]),
        (np.float32([0.1, 2]), [0.1, 2.0]),
        (np.float32([[0.1, 2]]), [[0.1, 2.0]]),
        (np.float32([[1, 2], [3, 4]]).T, [[1.0, 3.0], [2.0, 4.0]]),
        (np.int64([1, 2]), [1, 2]),
        (np.bool_([True]), [True]),
        (np.float16([0.5, np.inf]), [0.5, None]),
        (np.zeros((0, 3), np.float32), []),
    ):
        assert json.loads(write_invocations({"y": array}, info)) == {"predictions": expected}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "BAD_REQUEST"),
        (404, "RESOURCE_DOES_NOT_EXIST"),
        (500, "INTERNAL_ERROR"),
        (503, "TEMPORARILY_UNAVAILABLE"),
    ],
)
def test_errors_have_mlflow_s_shape(status: int, code: str) -> None:
    assert json.loads(write_invocation_error("no", status)) == {"error_code": code, "message": "no"}
