"""The evaluate step on real ONNX graphs and datasets in Arrow files."""

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss

from fiat.builtin.step_evaluate import EvaluateStep
from fiat.errors import EnvironmentFault, SpecError
from fiat.evaluate.folder import read_evaluation
from fiat.ports.step import StepContext, StepOutcome

CLASSES = ["bird", "cat", "dog"]
FEATURES = ["x", "y", "z"]


def write_graph(
    path: Path, nodes: list[onnx.NodeProto], weights: np.ndarray, output: tuple[str, int, Any]
) -> None:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", len(weights)])],
        [helper.make_tensor_value_info(*output)],
        [numpy_helper.from_array(weights.astype(np.float32), "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def write_linear(path: Path, weights: np.ndarray) -> None:
    nodes = [helper.make_node("MatMul", ["features", "weights"], ["scores"])]
    write_graph(path, nodes, weights, ("scores", TensorProto.FLOAT, ["n", weights.shape[1]]))


def write_argmax(path: Path, weights: np.ndarray) -> None:
    nodes = [
        helper.make_node("MatMul", ["features", "weights"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
    ]
    write_graph(path, nodes, weights, ("label", TensorProto.INT64, ["n"]))


def write_dataset(
    folder: Path, columns: dict[str, Any], *, label: str, features: list[str], classes: list[object] | None
) -> Path:
    """The test split has these rows, train the first two, eval none."""
    folder.mkdir()
    table = pa.table(columns)
    for name, part in {"train": table.slice(0, 2), "eval": table.slice(0, 0), "test": table}.items():
        with (
            pa.OSFile(str(folder / f"{name}.arrow"), "wb") as sink,
            pa.ipc.new_file(sink, table.schema) as writer,
        ):
            writer.write_table(part, max_chunksize=100)
    about = {"label": label, "classes": classes, "features": features, "source_digest": ""}
    (folder / "dataset.json").write_text(json.dumps(about))
    return folder


def write_signature(folder: Path, **changes: object) -> None:
    about = {
        "inputs": [{"name": "features", "dtype": "float32", "shape": [None, 3]}],
        "outputs": [{"name": "scores", "dtype": "float32", "shape": [None, 3]}],
        "layout": "matrix",
        "features": FEATURES,
        "labels": None,
        "opset": 18,
    }
    (folder / "signature.json").write_text(json.dumps(about | changes))


@pytest.fixture
def features() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(600, 3)).astype(np.float32)


@pytest.fixture
def weights() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(3, 3)).astype(np.float32) * 2


@pytest.fixture
def truth(features, weights) -> list[str]:
    """Labels of which the linear model has most right."""
    noisy = features @ weights + np.random.default_rng(2).gumbel(size=(600, 3)) * 0.5
    return [CLASSES[code] for code in noisy.argmax(axis=1)]


@pytest.fixture
def dataset(tmp_path, features, truth) -> Path:
    columns = {name: features[:, index] for index, name in enumerate(FEATURES)}
    columns |= {"animal": truth, "city": ["Ulm", "Bonn", None] * 200, "age": np.arange(600) % 97}
    return write_dataset(tmp_path / "data", columns, label="animal", features=FEATURES, classes=CLASSES)


@pytest.fixture
def model(tmp_path, weights) -> Path:
    folder = tmp_path / "onnx"
    folder.mkdir()
    write_linear(folder / "model.onnx", weights)
    write_signature(folder)
    return folder


def evaluate(
    tmp_path: Path, role: str, model: Path, dataset: Path, **params: object
) -> tuple[StepOutcome, Path]:
    out = tmp_path / f"evaluation-{time.monotonic_ns()}"
    context = StepContext(
        kind="evaluate",
        params=params,
        inputs={role: model, "dataset": dataset},
        outputs={"evaluation": out},
        root=tmp_path,
        work_dir=tmp_path,
    )
    return EvaluateStep().run(context), out


def test_metrics_of_the_exported_graph_are_those_of_scikit_learn(
    tmp_path, model, dataset, features, weights, truth
):
    outcome, folder = evaluate(tmp_path, "onnx", model, dataset, metrics=["accuracy", "log_loss"])
    logits = (features @ weights).astype(float)
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    said = {metric.name: metric for metric in outcome.metrics}
    guesses = [CLASSES[code] for code in logits.argmax(axis=1)]
    assert said["accuracy"].value == accuracy_score(truth, guesses)
    assert said["accuracy"].low < said["accuracy"].value < said["accuracy"].high
    assert said["log_loss"].value == pytest.approx(log_loss(truth, scores), rel=1e-4)
    assert said["accuracy"].n_rows == 600
    assert outcome.facts["scores"] == "logits"
    assert outcome.warnings == ()
    assert json.loads((folder / "metrics.json").read_text())[0]["name"] == "accuracy"


def test_the_folder_has_what_the_contract_says(tmp_path, model, dataset, truth):
    _, folder = evaluate(
        tmp_path,
        "onnx",
        model,
        dataset,
        slices=[["label"], ["city"], ["city", "age"]],
        plots=["confusion", "roc"],
    )
    table = pa.ipc.open_file(str(folder / "predictions.arrow")).read_all()
    assert table.column_names == ["label", "prediction", "score", "slice:city", "slice:age"]
    assert table.column("label").to_pylist() == truth
    assert table.schema.field("score").type == pa.list_(pa.float32(), 3)
    about = json.loads((folder / "evaluation.json").read_text())
    assert about["task"] == "classification"
    assert about["labels"] == CLASSES
    assert about["n_rows"] == 600
    assert about["model_size_bytes"] == (model / "model.onnx").stat().st_size
    plots = json.loads((folder / "plots.json").read_text())
    assert sorted(plots) == ["confusion", "roc"]
    assert np.sum(plots["confusion"]["counts"]) == 600
    slices = {item["slice"] for item in json.loads((folder / "metrics.json").read_text())}
    assert {"", "label=cat", "city=Ulm", "city=missing"} <= slices
    assert any(name.startswith("city=Bonn,age=") for name in slices)


def test_an_evaluation_reads_back_as_it_was_written(tmp_path, model, dataset):
    outcome, folder = evaluate(tmp_path, "onnx", model, dataset, slices=[["label"]])
    found = read_evaluation(folder)
    assert found.rows.n_rows == 600
    assert found.rows.classes == tuple(CLASSES)
    assert [item.value for item in found.measured] == [metric.value for metric in outcome.metrics]


def test_the_same_seed_gives_the_same_bytes(tmp_path, model, dataset):
    params = {"slices": [["label"]], "metrics": ["f1_macro", "log_loss"], "seed": 5}
    first, second = (evaluate(tmp_path, "onnx", model, dataset, **params)[1] for _ in range(2))
    for name in ("metrics.json", "predictions.arrow", "plots.json", "evaluation.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    other = evaluate(tmp_path, "onnx", model, dataset, **(params | {"seed": 6}))[1]
    assert (first / "metrics.json").read_bytes() != (other / "metrics.json").read_bytes()


def test_parity_is_measured_against_the_framework_s_own_outputs(tmp_path, model, dataset, features, weights):
    scores = features @ weights
    scores[7] += 0.25
    tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(scores))
    table = pa.table({"scores": tensor})
    with (
        pa.OSFile(str(model / "framework.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table)
    outcome, folder = evaluate(tmp_path, "onnx", model, dataset)
    parity = json.loads((folder / "evaluation.json").read_text())["parity"]
    assert parity["max_abs"] == pytest.approx(0.25, abs=1e-4)
    assert parity["n_rows"] == 600
    assert parity["label_mismatches"] == 0
    assert outcome.facts["parity"]["max_abs"] == parity["max_abs"]
    trained, _ = evaluate(tmp_path, "onnx", model, dataset, split="train")
    assert trained.facts["n_rows"] == 2
    assert trained.facts["parity"] == outcome.facts["parity"]


def test_a_model_that_gives_labels_only_is_judged_without_scores(tmp_path, model, dataset, weights):
    write_argmax(model / "model.onnx", weights)
    outcome, folder = evaluate(tmp_path, "onnx", model, dataset)
    assert [metric.name for metric in outcome.metrics] == ["accuracy", "f1_macro"]
    assert list(json.loads((folder / "plots.json").read_text())) == ["confusion"]
    with pytest.raises(SpecError, match="log_loss needs class scores"):
        evaluate(tmp_path, "onnx", model, dataset, metrics=["log_loss"])
    with pytest.raises(SpecError, match="no roc plot"):
        evaluate(tmp_path, "onnx", model, dataset, plots=["roc"])


def test_a_scikit_learn_pipeline_exported_by_skl2onnx_is_judged_by_its_label_and_probabilities(
    tmp_path, model, dataset, features, truth
):
    fitted = LogisticRegression(max_iter=200).fit(features, truth)
    options = {id(fitted): {"zipmap": False}}
    exported = to_onnx(fitted, features[:2], options=options, target_opset=18)
    (model / "model.onnx").write_bytes(exported.SerializeToString())
    write_signature(model, inputs=[{"name": "X", "dtype": "float32", "shape": [None, 3]}], labels=CLASSES)
    outcome, _ = evaluate(tmp_path, "onnx", model, dataset)
    said = {metric.name: metric.value for metric in outcome.metrics}
    assert said["accuracy"] == fitted.score(features, truth)
    assert outcome.facts["scores"] == "probabilities"


def test_a_regression_is_inferred_from_float_labels(tmp_path, features):
    slope = np.array([[1.0], [2.0], [3.0]])
    target = features @ slope[:, 0] + np.random.default_rng(3).normal(0, 0.1, 600)
    columns = {name: features[:, index] for index, name in enumerate(FEATURES)} | {"price": target}
    data = write_dataset(tmp_path / "prices", columns, label="price", features=FEATURES, classes=None)
    folder = tmp_path / "onnx"
    folder.mkdir()
    write_linear(folder / "model.onnx", slope)
    write_signature(folder)
    outcome, out = evaluate(tmp_path, "onnx", folder, data, slices=[["label"]])
    said = {(metric.name, metric.slice): metric for metric in outcome.metrics}
    assert said["r2", ""].value > 0.99
    assert said["mae", ""].value == pytest.approx(0.08, abs=0.01)
    assert len([name for name, part in said if part and name == "mae"]) == 10
    plots = json.loads((out / "plots.json").read_text())
    assert len(plots["residuals"]["points"]) == 600
    assert sum(plots["residuals"]["histogram"]["counts"]) == 600


def test_whole_number_labels_with_one_number_a_row_are_a_regression(tmp_path, features):
    grades = np.clip(np.round(features[:, 0]) + 5, 3, 8).astype(np.int64)
    columns = {name: features[:, index] for index, name in enumerate(FEATURES)} | {"grade": grades}
    data = write_dataset(
        tmp_path / "grades", columns, label="grade", features=FEATURES, classes=sorted({*grades.tolist()})
    )
    folder = tmp_path / "onnx"
    folder.mkdir()
    write_linear(folder / "model.onnx", np.array([[1.0], [0.0], [0.0]]))
    write_signature(folder)
    assert evaluate(tmp_path, "onnx", folder, data)[0].facts["task"] == "regression"
    with pytest.raises(SpecError, match="one score a row, but there are 6 classes"):
        evaluate(tmp_path, "onnx", folder, data, task="classification")


def test_images_are_fed_as_they_are(tmp_path):
    images = np.random.default_rng(4).integers(0, 255, (50, 4, 4), np.uint8)
    top = images[:, :2].mean(axis=(1, 2)) > images[:, 2:].mean(axis=(1, 2))
    columns = {
        "image": pa.FixedShapeTensorArray.from_numpy_ndarray(images),
        "half": np.where(top, "top", "bottom").tolist(),
    }
    data = write_dataset(
        tmp_path / "images", columns, label="half", features=["image"], classes=["bottom", "top"]
    )
    halves = np.zeros((16, 2), np.float32)
    halves[8:, 0] = halves[:8, 1] = 1 / 8
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["floats"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "halves",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", 4, 4])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(halves, "weights")],
    )
    folder = tmp_path / "onnx"
    folder.mkdir()
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(built, str(folder / "model.onnx"))
    inputs = [{"name": "image", "dtype": "uint8", "shape": [None, 4, 4]}]
    write_signature(folder, inputs=inputs, layout="tensor", features=["image"])
    outcome, _ = evaluate(tmp_path, "onnx", folder, data, metrics=["accuracy", "roc_auc"])
    assert [metric.value for metric in outcome.metrics] == [1.0, 1.0]


def test_rows_without_a_label_are_left_out_and_told(tmp_path, model, features, truth):
    columns = {name: features[:, index] for index, name in enumerate(FEATURES)}
    columns["animal"] = [None, "unicorn", *truth[2:]]
    data = write_dataset(tmp_path / "gaps", columns, label="animal", features=FEATURES, classes=CLASSES)
    outcome, folder = evaluate(tmp_path, "onnx", model, data, metrics=["accuracy", "log_loss"])
    assert outcome.facts["n_rows"] == 599
    assert outcome.warnings == (
        "1 of 600 rows have no label and were left out",
        "1 rows have a label that the model doesn't know; they count as wrong",
    )
    assert read_evaluation(folder).rows.classes == (*CLASSES, "unicorn")


def test_predictions_that_are_not_finite_are_wrong_and_told(tmp_path, model, dataset, weights):
    broken = weights.copy()
    broken[0, 0] = np.nan
    write_linear(model / "model.onnx", broken)
    outcome, folder = evaluate(tmp_path, "onnx", model, dataset)
    said = {metric.name: metric.value for metric in outcome.metrics}
    assert said["accuracy"] == 0
    assert math.isnan(said["log_loss"])
    assert "no finite prediction for 600 rows" in outcome.warnings[0]
    assert "NaN" not in (folder / "metrics.json").read_text()
    assert read_evaluation(folder).rows.invalid_rows == 600


def test_a_baseline_that_reads_other_columns_is_no_crash(tmp_path, model, dataset):
    write_signature(model, features=["x", "y", "height"])
    outcome, folder = evaluate(tmp_path, "package", model, dataset)
    assert outcome.metrics == ()
    assert "the model reads the columns height" in outcome.facts["unusable"]
    found = read_evaluation(folder)
    assert found.rows is None
    assert found.unusable == outcome.facts["unusable"]
    with pytest.raises(SpecError, match="height"):
        evaluate(tmp_path, "onnx", model, dataset)


def test_a_baseline_with_other_classes_is_no_crash(tmp_path, model, dataset):
    write_linear(model / "model.onnx", np.ones((3, 5)))
    write_signature(model, labels=list("abcde"))
    outcome, folder = evaluate(tmp_path, "package", model, dataset)
    assert "the model knows none of the labels: it has 'a', 'b'" in outcome.facts["unusable"]
    assert read_evaluation(folder).rows is None
    write_signature(model, labels=["dog", "cat", "ant", "bee", "fly"])
    outcome, folder = evaluate(tmp_path, "package", model, dataset)
    assert "rows have a label that the model doesn't know" in outcome.warnings[0]
    assert read_evaluation(folder).rows.n_rows == 600
    write_signature(model, labels=CLASSES)
    outcome, _ = evaluate(tmp_path, "package", model, dataset)
    assert "5 scores a row, but there are 3 classes" in outcome.facts["unusable"]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"metrics": ["acuracy"]}, "no metric named acuracy"),
        ({"metrics": ["mae"]}, "metric of regression"),
        ({"slices": [["height"]]}, "no column height to slice by"),
        ({"split": "eval"}, "the eval split has no rows"),
        ({"task": "regression"}, "no output of the model has one number a row"),
    ],
)
def test_what_doesn_t_fit_is_a_sentence(tmp_path, model, dataset, params, said):
    with pytest.raises(SpecError, match=said):
        evaluate(tmp_path, "onnx", model, dataset, **params)


def test_a_model_trained_on_the_indexes_of_the_classes_is_read_as_such(
    tmp_path, model, dataset, features, truth
):
    fitted = LogisticRegression(max_iter=200).fit(features, [CLASSES.index(name) for name in truth])
    exported = to_onnx(fitted, features[:2], options={id(fitted): {"zipmap": False}}, target_opset=18)
    (model / "model.onnx").write_bytes(exported.SerializeToString())
    write_signature(model, inputs=[{"name": "X", "dtype": "float32", "shape": [None, 3]}], labels=[0, 1, 2])
    outcome, _ = evaluate(tmp_path, "onnx", model, dataset, metrics=["accuracy"])
    assert outcome.metrics[0].value == fitted.score(features, [CLASSES.index(name) for name in truth])


def test_a_model_that_crashes_or_is_none_never_reaches_this_process(tmp_path, model, dataset):
    (model / "model.onnx").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(SpecError, match="is no ONNX model"):
        evaluate(tmp_path, "onnx", model, dataset)
    (model / "model.onnx").unlink()
    with pytest.raises(EnvironmentFault, match=r"model\.onnx can't be read"):
        evaluate(tmp_path, "onnx", model, dataset)


def test_a_model_that_the_store_linked_is_judged_from_a_copy(tmp_path, model, dataset):
    kept = tmp_path / "object"
    (model / "model.onnx").rename(kept)
    (model / "model.onnx").symlink_to(kept)
    outcome, _ = evaluate(tmp_path, "onnx", model, dataset)
    assert outcome.metrics[0].value > 0.5
    assert outcome.facts["model_size_bytes"] == kept.stat().st_size


def test_a_damaged_model_or_dataset_is_a_sentence(tmp_path, model, dataset):
    (model / "signature.json").write_text('{"inputs": []}')
    with pytest.raises(EnvironmentFault, match="lacks features, labels, layout"):
        evaluate(tmp_path, "onnx", model, dataset)
    write_signature(model)
    (dataset / "test.arrow").write_bytes(b"no arrow")
    with pytest.raises(EnvironmentFault, match=r"test\.arrow"):
        evaluate(tmp_path, "onnx", model, dataset)


def test_ten_thousand_rows_with_twenty_slices_are_quick(tmp_path):
    generator = np.random.default_rng(6)
    rows = generator.normal(size=(10_000, 10)).astype(np.float32)
    labels = (rows + generator.gumbel(size=rows.shape) * 0.5).argmax(axis=1)
    names = [f"f{number}" for number in range(10)]
    columns = {name: rows[:, index] for index, name in enumerate(names)}
    columns |= {"digit": labels, "group": generator.integers(0, 10, 10_000)}
    data = write_dataset(tmp_path / "many", columns, label="digit", features=names, classes=list(range(10)))
    folder = tmp_path / "onnx"
    folder.mkdir()
    write_linear(folder / "model.onnx", np.eye(10) * 2)
    write_signature(folder, features=names)
    metrics = ["accuracy", "f1_macro", "log_loss", "roc_auc", "mcc", "balanced_accuracy"]
    started = time.process_time()
    outcome, _ = evaluate(tmp_path, "onnx", folder, data, metrics=metrics, slices=[["label"], ["group"]])
    # About 1 s of CPU time; the margin keeps a busy machine from failing what only a slower algorithm should.
    assert time.process_time() - started < 8
    assert len(outcome.metrics) == 6 * 21
