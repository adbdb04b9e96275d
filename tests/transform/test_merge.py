from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pyarrow as pa
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from fiat.errors import SpecError
from fiat.model.precheck import precheck_model
from fiat.transform.distinct import DistinctRunner
from fiat.transform.feeds import raw_feed
from fiat.transform.fit import fit_transforms
from fiat.transform.merge import merge_graphs
from fiat.transform.model import Entry, Fitted

ALL = {"max": 100, "min_rows": 1, "unknown": "other"}
ROWS = pa.table(
    {
        "age": [10.0, None, 30.0, 20.0, 50.0, 1e308] * 10,
        "city": ["Rome", "Oslo", None, "Rome", "Bonn", "Ölwerk"] * 10,
    }
)
NUMBERS = [
    Entry(("age",), (("impute", {"by": "median", "flag": True}), ("standardize", True)), key="transform[0]"),
    Entry(("city",), (("one_hot", ALL),), key="transform[1]"),
    Entry(("city",), (("hash", 20),), key="transform[2]"),
]
FLOAT, DOUBLE, TEXT = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.STRING


def fitted_on(table: pa.Table, entries: Sequence[Entry] = NUMBERS) -> Fitted:
    return fit_transforms(table.slice(0, 40), tuple(table.column_names), entries)


def both_ways(tmp_path: Path, fitted: Fitted, model: onnx.ModelProto | Path, table: pa.Table = ROWS) -> Any:
    """What the model gives behind the transformed rows, and what the merged graph gives for raw ones."""
    path = model if isinstance(model, Path) else tmp_path / "model.onnx"
    if isinstance(model, onnx.ModelProto):
        path.write_bytes(model.SerializeToString())
    merge_graphs(fitted.graph, path, tmp_path / "merged.onnx")
    precheck_model(tmp_path / "merged.onnx")
    onnx.checker.check_model(str(tmp_path / "merged.onnx"))
    made = DistinctRunner(fitted).run(table.combine_chunks().to_batches()[0])
    merged = session(tmp_path / "merged.onnx")
    assert [item.name for item in merged.get_inputs()] == table.column_names
    return run(session(path), made), run(merged, raw_feed(table, fitted.inputs))


def session(path: Path) -> ort.InferenceSession:
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def run(opened: ort.InferenceSession, feed: Mapping[str, Any]) -> list[np.ndarray]:
    given = {}
    for item in opened.get_inputs():
        array = feed[item.name] if item.name in feed else next(iter(feed.values()))
        if isinstance(array, pa.Array):
            array = np.array(array.to_pylist(), object).reshape(-1, 1)
        given[item.name] = array.astype(np.float64) if item.type == "tensor(double)" else array
    return list(opened.run(None, given))


def assert_same(pair: tuple[list[np.ndarray], list[np.ndarray]]) -> None:
    for left, right in zip(*pair, strict=True):
        np.testing.assert_array_equal(left, right)


def model_of(text: str) -> onnx.ModelProto:
    return parser.parse_model(text)


def linear(width: int, *, name: str = "features", opset: int = 18, result: str = "score") -> onnx.ModelProto:
    weights = numpy_helper.from_array(
        np.linspace(-1, 1, width, dtype=np.float32).reshape(-1, 1), "fiat.1.Sub"
    )
    nodes = [
        helper.make_node("Tanh", [name], ["fiat.2.Div"]),
        helper.make_node("MatMul", ["fiat.2.Div", "fiat.1.Sub"], [result]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info(name, FLOAT, ["n", width])],
        [helper.make_tensor_value_info(result, FLOAT, ["n", 1])],
        initializer=[weights],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.mark.slow
def test_a_sklearn_classifier_behind_the_transforms_is_one_graph_from_raw_columns(tmp_path: Path) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    from fiat.ports.exporter import ExportRequest
    from fiat_sklearn.exporter import SklearnExporter

    fitted = fitted_on(ROWS)
    features = DistinctRunner(fitted).run(ROWS.combine_chunks().to_batches()[0])["features"]
    labels = np.array(["low", "high", "low"] * 20, object)
    for place, model in enumerate((LogisticRegression(), HistGradientBoostingClassifier(max_iter=5))):
        for opset in (None, 18):
            path = tmp_path / f"{place}-{opset}.onnx"
            model.fit(np.clip(features, -1e30, 1e30), labels)
            SklearnExporter().export(
                model, ExportRequest(path, {"features": features}, opset, ("high", "low"))
            )
            assert_same(both_ways(tmp_path, fitted, path))


def test_a_sklearn_pipeline_on_texts_and_numbers_takes_both_outputs(tmp_path: Path) -> None:
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    from fiat.ports.exporter import ExportRequest
    from fiat_sklearn.exporter import SklearnExporter

    fitted = fitted_on(ROWS, [NUMBERS[0], Entry(("city",), (("lower", True),), key="transform[1]")])
    made = DistinctRunner(fitted).run(ROWS.combine_chunks().to_batches()[0])
    inputs = {
        "features": made["features"],
        "city": np.array(made["city"].to_pylist(), object).reshape(-1, 1),
    }
    model = make_pipeline(
        make_column_transformer((OneHotEncoder(handle_unknown="ignore"), [2]), remainder="drop"), Ridge()
    ).fit(np.hstack(list(inputs.values())), np.arange(60.0))
    path = tmp_path / "model.onnx"
    SklearnExporter().export(model, ExportRequest(path, inputs, None, ()))
    assert_same(both_ways(tmp_path, fitted, path))


@pytest.mark.slow
def test_a_torch_module_with_an_embedding_takes_features_and_indices(tmp_path: Path) -> None:
    import torch

    from fiat.ports.exporter import ExportRequest
    from fiat_torch.exporter import TorchExporter

    class Net(torch.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Embedding(6, 3)
            self.norm = torch.nn.BatchNorm1d(5)
            self.last = torch.nn.Linear(5, 2)

        def forward(self, city: Any, features: Any) -> Any:
            return self.last(self.norm(torch.cat([features.clamp(-9, 9), self.table(city).mean(1)], 1)))

    fitted = fitted_on(ROWS, [NUMBERS[0], Entry(("city",), (("embed_index", ALL),), key="transform[1]")])
    made = DistinctRunner(fitted).run(ROWS.combine_chunks().to_batches()[0])
    for opset in (None, 18, 22):
        path = tmp_path / f"{opset}.onnx"
        TorchExporter().export(Net().eval(), ExportRequest(path, dict(made), opset, ()))
        assert_same(both_ways(tmp_path, fitted, path))


@pytest.mark.parametrize("opset", [11, 13, 17, 18, 20, 22])
def test_models_of_older_and_newer_operators_are_brought_to_one_version(tmp_path: Path, opset: int) -> None:
    fitted = fitted_on(ROWS)
    assert_same(both_ways(tmp_path, fitted, linear(9, opset=opset)))
    versions = {item.domain: item.version for item in onnx.load(tmp_path / "merged.onnx").opset_import}
    assert versions == {"": max(20, opset), "ai.onnx.ml": 3, "com.microsoft": 1}


def test_the_only_input_of_a_users_own_model_may_be_called_as_it_likes(tmp_path: Path) -> None:
    assert_same(both_ways(tmp_path, fitted_on(ROWS), linear(9, name="X")))


def test_a_model_of_doubles_is_given_doubles(tmp_path: Path) -> None:
    model = model_of(
        '<ir_version: 8, opset_import: ["" : 18]> m (double[n,9] X) => (double[n,1] y) '
        "{ axes = Constant<value_ints=[1]>() y = ReduceSum(X, axes) }"
    )
    left, right = both_ways(tmp_path, fitted_on(ROWS), model)
    np.testing.assert_allclose(left[0], right[0], rtol=1e-12)


def test_a_model_may_leave_outputs_aside_but_served_rows_still_have_every_column(tmp_path: Path) -> None:
    fitted = fitted_on(ROWS, [NUMBERS[0]])
    assert_same(both_ways(tmp_path, fitted, linear(2)))


def test_names_in_the_model_that_are_columns_or_inner_names_of_the_transforms_do_no_harm(
    tmp_path: Path,
) -> None:
    model = model_of(
        '<ir_version: 8, opset_import: ["" : 18]> m (float[n,9] features) => (float[n,9] score, float[n,9] features2) '
        "<float[1] age = {2.0}> "
        "{ city = Mul(features, age) score = Mul(city, age) features2 = Identity(features) }"
    )
    assert_same(both_ways(tmp_path, fitted_on(ROWS), model))


def test_a_column_may_be_called_like_what_is_put_before_names(tmp_path: Path) -> None:
    table = ROWS.rename_columns(["fiat.1.IsNaN", "model.score"])
    entries = [
        Entry(("fiat.1.IsNaN",), NUMBERS[0].apply, key="transform[0]"),
        Entry(("model.score",), NUMBERS[1].apply, key="transform[1]"),
        Entry(("model.score",), NUMBERS[2].apply, key="transform[2]"),
    ]
    assert_same(both_ways(tmp_path, fitted_on(table, entries), linear(9), table))
    renamed = ROWS.rename_columns(["features", "transform.1"])
    entries = [Entry(("transform.1",), NUMBERS[1].apply, key="transform[0]")]
    assert_same(both_ways(tmp_path, fitted_on(renamed, entries), linear(7), renamed))


def test_an_input_or_a_constant_that_is_an_output_too_stays_one(tmp_path: Path) -> None:
    model = linear(9)
    model.graph.output.append(helper.make_tensor_value_info("features", FLOAT, ["n", 9]))
    assert_same(both_ways(tmp_path, fitted_on(ROWS), model))


def test_functions_and_loops_of_the_model_come_along(tmp_path: Path) -> None:
    model = model_of(
        '<ir_version: 9, opset_import: ["" : 18, "own" : 1]> m (float[n,9] features) => (float[n,9] score) '
        "{ three = Constant<value_int=3>() yes = Constant<value_int=1>() go = Cast<to=9>(yes) "
        "inner = own.twice(features) "
        "score = Loop<body = b (int64 i, bool c, float[n,9] v) => (bool c2, float[n,9] w) "
        "{ c2 = Identity(c) w = Add(v, inner) }>(three, go, features) } "
        '<domain: "own", opset_import: ["" : 18]> twice (x) => (y) { y = Add(x, x) }'
    )
    left, right = both_ways(tmp_path, fitted_on(ROWS), model)
    np.testing.assert_array_equal(left[0], right[0])
    assert not onnx.load(tmp_path / "merged.onnx").functions


def test_the_merged_graph_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    fitted = fitted_on(ROWS)
    (tmp_path / "model.onnx").write_bytes(linear(9).SerializeToString())
    for name in ("a", "b"):
        merge_graphs(fitted_on(ROWS).graph, tmp_path / "model.onnx", tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert fitted.graph == fitted_on(ROWS).graph


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (linear(7), r"input 'features' of the model takes \(n, 7\), but the transforms give \(n, 9\)"),
        (linear(9, result="age"), "column 'age' is called like an output of the model"),
        (
            model_of(
                '<ir_version: 8, opset_import: ["" : 18]> m (float[n,9] a, float[n,9] b) => (float[n,9] y) '
                "{ y = Add(a, b) }"
            ),
            "the model takes a, b, but the transforms give features",
        ),
        (
            model_of(
                '<ir_version: 8, opset_import: ["" : 18]> m (int64[n,9] features) => (int64[n,9] y) '
                "{ y = Identity(features) }"
            ),
            "input 'features' of the model takes int64, the transforms give float32",
        ),
    ],
)
def test_a_model_that_does_not_fit_is_told_why(tmp_path: Path, model: onnx.ModelProto, message: str) -> None:
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(SpecError, match=message):
        merge_graphs(fitted_on(ROWS).graph, tmp_path / "model.onnx", tmp_path / "merged.onnx")
    assert not (tmp_path / "merged.onnx").exists()


def test_what_is_no_model_or_keeps_its_data_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\x80\x04pickle")
    with pytest.raises(SpecError, match=r"model\.onnx is no ONNX model"):
        merge_graphs(fitted_on(ROWS).graph, tmp_path / "model.onnx", tmp_path / "merged.onnx")
    model = linear(9)
    onnx.save(model, str(tmp_path / "model.onnx"), save_as_external_data=True, size_threshold=0)
    with pytest.raises(SpecError, match="keeps its data in another file"):
        merge_graphs(fitted_on(ROWS).graph, tmp_path / "model.onnx", tmp_path / "merged.onnx")


def test_a_graph_that_refuses_unknown_categories_refuses_them_when_it_is_served(tmp_path: Path) -> None:
    entries = [Entry(("city",), (("one_hot", {**ALL, "unknown": "error"}),), key="transform[0]")]
    table = ROWS.select(["city"])
    fitted = fitted_on(table, entries)
    assert_same(both_ways(tmp_path, fitted, linear(5), table))
    with pytest.raises(Exception, match="a category of city that training did not see"):
        session(tmp_path / "merged.onnx").run(None, {"city": np.array([["Ulm"]], object)})
