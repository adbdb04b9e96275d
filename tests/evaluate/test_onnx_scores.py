"""Feeding rows to ONNX graphs and running them."""

from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import TensorProto, helper

from fiat.errors import SpecError
from fiat.evaluate.feeds import MOST_BATCH_ROWS, GraphInputs, column_array, read_feeds, stack_outputs
from fiat.evaluate.onnx_scores import input_names, predict_batches


def save(path: Path, nodes: list, inputs: list, outputs: list) -> Path:
    graph = helper.make_graph(nodes, "graph", inputs, outputs)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def doubling(path: Path, rows: int | str = "n") -> Path:
    return save(
        path,
        [helper.make_node("Add", ["features", "features"], ["scores"])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [rows, 2])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [rows, 2])],
    )


def city_plus_hours(path: Path) -> Path:
    encode = helper.make_node(
        "LabelEncoder",
        ["city"],
        ["known"],
        domain="ai.onnx.ml",
        keys_strings=["Ulm"],
        values_floats=[1.0],
        default_float=0.0,
    )
    return save(
        path,
        [encode, helper.make_node("Add", ["known", "hours"], ["value"])],
        [
            helper.make_tensor_value_info("hours", TensorProto.FLOAT, ["n", 1]),
            helper.make_tensor_value_info("city", TensorProto.STRING, ["n", 1]),
        ],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, ["n", 1])],
    )


MATRIX = GraphInputs("matrix", ("a", "b"), ("features",), ("float32",))


def test_a_table_is_fed_in_order_in_bounded_batches(tmp_path):
    numbers = np.arange(5000)
    table = pa.table({"other": numbers, "b": numbers % 2 == 0, "a": numbers})
    feeds = list(read_feeds(table, MATRIX))
    assert len(feeds) == 5
    assert max(len(feed["features"]) for feed in feeds) == MOST_BATCH_ROWS
    outputs = stack_outputs(list(predict_batches(doubling(tmp_path / "m.onnx"), feeds)))
    assert outputs["scores"].dtype == np.float32
    assert outputs["scores"][:, 0].tolist() == (numbers * 2).tolist()
    assert outputs["scores"][:4, 1].tolist() == [2, 0, 2, 0]


def test_wide_rows_come_in_small_batches():
    wide = pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((20, 1000, 1000), np.uint8))
    inputs = GraphInputs("tensor", ("image",), ("image",), ("uint8",))
    feeds = list(read_feeds(pa.table({"image": wide}), inputs))
    assert [len(feed["image"]) for feed in feeds] == [4] * 5
    assert feeds[0]["image"].shape == (4, 1000, 1000)


def test_numbers_and_texts_have_an_input_each(tmp_path):
    table = pa.table({"city": ["Ulm", "Bonn", None], "hours": [1, 2, 3]})
    inputs = GraphInputs("columns", ("city", "hours"), ("hours", "city"), ("float32", "string"))
    feeds = read_feeds(table, inputs)
    [found] = predict_batches(city_plus_hours(tmp_path / "m.onnx"), feeds)
    assert found["value"][:, 0].tolist() == [2, 2, 3]


def test_a_graph_s_own_name_of_its_only_input_is_used(tmp_path):
    table = pa.table({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    [feed] = read_feeds(table, GraphInputs("matrix", ("b", "a"), ("X",), ("float32",)))
    assert feed["X"].tolist() == [[3, 1], [4, 2]]
    assert input_names(doubling(tmp_path / "m.onnx")) == ("features",)


def test_images_are_widened_when_the_graph_takes_floats():
    image = pa.FixedShapeTensorArray.from_numpy_ndarray(np.full((2, 2, 2), 255, np.uint8))
    [feed] = read_feeds(pa.table({"i": image}), GraphInputs("tensor", ("i",), ("x",), ("float32",)))
    assert feed["x"].dtype == np.float32
    assert feed["x"].max() == 255


@pytest.mark.parametrize(
    ("table", "inputs", "said"),
    [
        (pa.table({"a": [1.0]}), MATRIX, "reads the columns b, which the data doesn't have"),
        (pa.table({"a": [1.0], "b": ["x"]}), MATRIX, "as matrix, but this data's are columns"),
        (
            pa.table({"a": [1.0], "b": ["x"]}),
            GraphInputs("columns", ("a", "b"), ("a", "b"), ("float32", "float32")),
            "input b of the model takes float32, but the data holds texts",
        ),
        (
            pa.table({"a": [1.5], "b": ["x"]}),
            GraphInputs("columns", ("a", "b"), ("a", "b"), ("int64", "string")),
            "input a of the model takes int64",
        ),
        (
            pa.table({"a": [1.0], "b": [2.0]}),
            GraphInputs("matrix", ("a", "b"), ("a", "b"), ("float32", "float32")),
            "the model has the inputs a, b, the data gives features",
        ),
    ],
)
def test_data_that_the_graph_can_t_take_is_a_sentence(table, inputs, said):
    with pytest.raises(SpecError, match=said):
        list(read_feeds(table, inputs))


def test_a_graph_for_a_fixed_number_of_rows_is_refused_with_a_hint(tmp_path):
    path = doubling(tmp_path / "m.onnx", rows=3)
    with pytest.raises(SpecError, match="can't predict a batch of 2 rows") as caught:
        list(predict_batches(path, [{"features": np.zeros((2, 2), np.float32)}]))
    assert "dynamic first axis" in caught.value.hint


def test_what_is_no_model_is_a_sentence(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with pytest.raises(SpecError, match="can't load the model"):
        list(predict_batches(tmp_path / "m.onnx", []))
    with pytest.raises(SpecError, match="can't load the model"):
        list(predict_batches(tmp_path / "absent.onnx", []))


def test_an_output_that_is_not_by_rows_is_refused(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [helper.make_node("ReduceSum", ["features"], ["total"], keepdims=0)],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("total", TensorProto.FLOAT, [])],
    )
    with pytest.raises(SpecError, match="output total"):
        list(predict_batches(path, [{"features": np.zeros((2, 2), np.float32)}]))


def test_the_same_rows_give_the_same_bits(tmp_path):
    feeds = [{"features": np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)}]
    path = doubling(tmp_path / "m.onnx")
    first, second = (next(predict_batches(path, feeds))["scores"] for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_columns_of_outputs_become_arrays():
    tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(6.0).reshape(3, 2))
    assert column_array(pa.chunked_array([tensor, tensor])).shape == (6, 2)
    assert column_array(pa.chunked_array([[["a"], ["b"]]])).shape == (2, 1)
    assert column_array(pa.chunked_array([["a", "b"]])).tolist() == ["a", "b"]
    assert stack_outputs([]) == {}
    with pytest.raises(SpecError, match="change their shape"):
        stack_outputs([{"y": np.zeros((2, 2))}, {"y": np.zeros((2, 3))}])
