import json
import sys
from pathlib import Path

import pytest

from fiat.builtin.child_exporter import find_exporter, load_exporter
from fiat.builtin.exporter_onnx import OnnxExporter
from fiat.errors import SpecError

sys.path.insert(0, str(Path(__file__).parent))
from child_stage import Ended, Stage, table


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def train(stage: Stage, call: str = "work:train", **params: object) -> Ended:
    folder = stage.dataset(table(), "kind")
    return stage.run(
        call,
        "train",
        params=params,
        data="data.d",
        datasets={"data.d": str(folder)},
        inputs={"data.d": str(folder)},
        outputs={"model": str(stage.work / "model")},
    )


def note(stage: Stage) -> object:
    return json.loads((stage.work / "model" / "model.json").read_text())


def test_a_scikit_learn_model_is_saved_with_a_note_of_its_exporter(stage: Stage) -> None:
    pytest.importorskip("fiat_sklearn")
    stage.module(
        "work",
        """
        from sklearn.linear_model import LogisticRegression
        def train(data, c):
            return LogisticRegression(C=c).fit(data.train.features, data.train.labels)
        """,
    )
    assert train(stage, c=2.0).code == 0
    assert note(stage) == {
        "exporter": "sklearn",
        "class": "sklearn.linear_model._logistic.LogisticRegression",
    }
    assert (stage.work / "model" / "model.joblib").is_file()


def test_a_class_of_the_users_goes_to_the_exporter_of_what_it_derives_from(stage: Stage) -> None:
    pytest.importorskip("fiat_torch")
    stage.module(
        "work",
        """
        import torch
        class Base(torch.nn.Linear):
            pass
        class Net(Base):
            pass
        def train(data):
            return Net(2, len(data.classes))
        """,
    )
    ended = train(stage)
    assert ended.code == 0, ended.err
    assert note(stage) == {"exporter": "torch", "class": "work.Net"}


def test_an_onnx_file_may_be_returned_by_its_path(stage: Stage) -> None:
    sys.path.insert(0, str(Path(__file__).parent.parent / "model"))
    import onnx_graphs as graphs

    graphs.write(graphs.scaling(), stage.root / "ready.onnx")
    stage.module("work", "from pathlib import Path\ndef train():\n    return Path('ready.onnx')\n")
    assert train(stage).code == 0
    assert (stage.work / "model" / "model.onnx").read_bytes() == (stage.root / "ready.onnx").read_bytes()


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("None", "the train function returned nothing (return the trained model)"),
        ("{'w': 1}", "the train function returned a builtins.dict, which no installed exporter takes"),
        (
            "'nowhere.onnx'",
            "the train function returned nowhere.onnx, which can't be read: No such file or directory",
        ),
    ],
)
def test_what_no_exporter_takes_is_said(stage: Stage, returned: str, message: str) -> None:
    stage.module("work", f"def train():\n    return {returned}\n")
    ended = train(stage)
    assert ended.code == 1
    assert ended.err.startswith(f"error: {message}")


def test_the_hint_names_what_is_installed() -> None:
    with pytest.raises(SpecError, match=r"installed: onnx"):
        find_exporter(object())


def test_a_path_is_a_model_that_is_onnx_already() -> None:
    assert isinstance(find_exporter("model.onnx"), OnnxExporter)


def test_an_exporter_that_is_not_installed_is_named_with_its_package() -> None:
    with pytest.raises(SpecError, match=r"exporter jax is not installed \(pip install fiat-jax\)"):
        load_exporter("jax")
