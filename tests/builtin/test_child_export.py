import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pytest
from onnx import helper, numpy_helper

from fiat.data.dataset import open_dataset
from fiat.evaluate.feeds import column_array

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "model"))
import onnx_graphs as graphs
from child_stage import Ended, Stage, table


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def export(stage: Stage, model: Path, data: Path, opset: int | None = None) -> Ended:
    return stage.run(
        None,
        "export",
        data="data.d",
        datasets={"data.d": str(data)},
        inputs={"data.d": str(data), "model": str(model)},
        outputs={"onnx": str(stage.work / "onnx")},
        export={"opset": opset, "quantize": "none", "model": str(model)},
    )


def train(stage: Stage, code: str, data: Path) -> Path:
    stage.module("work", code)
    folder = stage.work / "model"
    ended = stage.run(
        "work:train",
        "train",
        data="data.d",
        datasets={"data.d": str(data)},
        outputs={"model": str(folder)},
    )
    assert ended.code == 0, ended.err
    return folder


def signature(stage: Stage) -> Any:
    return json.loads((stage.work / "onnx" / "signature.json").read_text())


def framework(stage: Stage) -> pa.Table:
    with pa.memory_map(str(stage.work / "onnx" / "framework.arrow")) as source:
        return pa.ipc.open_file(source).read_all()


def graph_outputs(stage: Stage, data: Path) -> dict[str, np.ndarray]:
    session = ort.InferenceSession(str(stage.work / "onnx" / "model.onnx"))
    names = [item.name for item in session.get_outputs()]
    return dict(zip(names, session.run(names, open_dataset(data).inputs("test")), strict=True))


SKLEARN = """
    from sklearn.linear_model import LogisticRegression
    def train(data):
        return LogisticRegression().fit(data.train.features, data.train.labels)
    """


def test_a_classifier_becomes_a_graph_with_a_signature_and_its_own_predictions(stage: Stage) -> None:
    pytest.importorskip("fiat_sklearn")
    data = stage.dataset(table(), "kind")
    ended = export(stage, train(stage, SKLEARN, data), data)
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    found = signature(stage)
    assert found["inputs"] == [{"name": "features", "dtype": "float32", "shape": [None, 2]}]
    assert [item["name"] for item in found["outputs"]] == ["label", "probabilities"]
    assert (found["layout"], found["features"], found["labels"]) == ("matrix", ["a", "b"], ["a", "b", "c"])
    own, graph = framework(stage), graph_outputs(stage, data)
    assert own.column_names == list(graph)
    assert own.num_rows == 20
    assert own.column("label").to_pylist() == graph["label"].tolist()
    np.testing.assert_allclose(column_array(own.column("probabilities")), graph["probabilities"], atol=1e-5)


def test_exporting_twice_gives_the_same_bytes(stage: Stage) -> None:
    pytest.importorskip("fiat_torch")
    data = stage.dataset(table(), "kind")
    code = """
        import torch
        class Net(torch.nn.Sequential):
            pass
        def train(data):
            return Net(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, len(data.classes)))
        """
    model = train(stage, code, data)
    made = []
    for _ in range(2):
        ended = export(stage, model, data)
        assert (ended.code, ended.out, ended.err) == (0, "", "")
        folder = stage.work / "onnx"
        made.append({path.name: path.read_bytes() for path in folder.iterdir()})
        folder.rename(stage.work / f"kept{len(made)}")
    assert made[0] == made[1]
    assert set(made[0]) == {"model.onnx", "signature.json", "framework.arrow"}
    assert str(stage.root).encode() not in made[0]["model.onnx"]


def test_texts_among_the_columns_are_inputs_of_their_own(stage: Stage) -> None:
    pytest.importorskip("fiat_sklearn")
    data = stage.dataset(table(texts=True), "kind")
    code = """
        import numpy as np
        from sklearn.compose import make_column_transformer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler
        def train(data):
            table = np.hstack(list(data.train.inputs.values()))
            cities = OneHotEncoder(handle_unknown="ignore")
            columns = make_column_transformer((StandardScaler(), [0, 1]), (cities, [2]))
            return make_pipeline(columns, LogisticRegression()).fit(table, data.train.labels)
        """
    ended = export(stage, train(stage, code, data), data)
    assert ended.code == 0, ended.err
    found = signature(stage)
    assert found["layout"] == "columns"
    assert [(item["name"], item["dtype"], item["shape"]) for item in found["inputs"]] == [
        ("a", "float32", [None, 1]),
        ("b", "float32", [None, 1]),
        ("city", "string", [None, 1]),
    ]
    own, graph = framework(stage), graph_outputs(stage, data)
    np.testing.assert_allclose(column_array(own.column("probabilities")), graph["probabilities"], atol=1e-5)


def test_a_regression_on_whole_numbers_has_no_labels(stage: Stage) -> None:
    pytest.importorskip("fiat_sklearn")
    columns = table()
    columns["kind"] = pa.array([row % 7 for row in range(60)])
    data = stage.dataset(columns, "kind")
    code = """
        from sklearn.linear_model import Ridge
        def train(data):
            return Ridge().fit(data.train.features, data.train.labels)
        """
    ended = export(stage, train(stage, code, data), data)
    assert ended.code == 0, ended.err
    assert signature(stage)["labels"] is None


def test_what_a_command_wrote_is_taken_as_onnx_under_its_own_input_name(stage: Stage) -> None:
    data = stage.dataset(table(), "kind")
    weights = numpy_helper.from_array(np.ones((2, 3), np.float32), "w")
    made = graphs.model(
        [helper.make_node("MatMul", ["X", "w"], ["y"])],
        inputs=[graphs.value("X", ["n", 2])],
        initializers=[weights],
    )
    model = graphs.write(made, stage.work / "net.onnx")
    ended = export(stage, model, data)
    assert ended.code == 0, ended.err
    assert signature(stage)["inputs"][0]["name"] == "X"
    assert signature(stage)["opset"] == graphs.OPSET
    assert column_array(framework(stage).column("y")).shape == (20, 3)


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        (4, 2, "x of the exported model takes only batches of 4"),
        ("n", 3, ""),
    ],
)
def test_a_graph_that_does_not_fit_is_refused(stage: Stage, rows: object, columns: int, message: str) -> None:
    data = stage.dataset(table(), "kind")
    ends = {"inputs": [graphs.value("x", [rows, columns])], "outputs": [graphs.value("y", [rows, columns])]}
    made = graphs.model([helper.make_node("Relu", ["x"], ["y"])], **ends)
    ended = export(stage, graphs.write(made, stage.work / "net.onnx"), data)
    assert ended.code == 1
    assert message in ended.err


def test_another_opset_than_the_spec_asks_for_is_refused(stage: Stage) -> None:
    data = stage.dataset(table(), "kind")
    ends = {"inputs": [graphs.value("x", ["n", 2])], "outputs": [graphs.value("y", ["n", 2])]}
    made = graphs.model([helper.make_node("Relu", ["x"], ["y"])], **ends)
    ended = export(stage, graphs.write(made, stage.work / "net.onnx"), data, opset=15)
    assert "the model has opset 18, the spec asks for 15" in ended.err


def test_a_hostile_graph_is_refused_before_it_is_run(stage: Stage) -> None:
    data = stage.dataset(table(), "kind")
    ended = export(stage, graphs.write(graphs.huge_constant(), stage.work / "net.onnx"), data)
    assert "GiB at once" in ended.err
    assert not (stage.work / "onnx" / "framework.arrow").exists()


def test_without_test_rows_there_are_no_predictions(stage: Stage) -> None:
    pytest.importorskip("fiat_sklearn")
    columns = table()
    columns["part"] = pa.array(["train"] * 60)
    data = stage.dataset(columns, "kind")
    ended = export(stage, train(stage, SKLEARN, data), data)
    assert ended.code == 0, ended.err
    assert framework(stage).num_rows == 0
