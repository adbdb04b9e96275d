import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fiat.evaluate.folder import Evaluation, write_evaluation
from fiat.evaluate.measure import Measured
from fiat.evaluate.rows import ClassRows, ValueRows

sys.path.insert(0, str(Path(__file__).parent))
from child_stage import Ended, Stage

SCORES = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], np.float32)
MEASURED = (Measured("accuracy", 2 / 3, n_rows=3), Measured("accuracy", 1.0, slice="sex=f", n_rows=2))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def evaluation(folder: Path, measured: tuple[Measured, ...] = MEASURED) -> Path:
    rows = ClassRows(np.array([0, 1, 1]), np.array([0, 1, 0]), SCORES, ("no", "yes"))
    columns = {"sex": pa.array(["f", "f", "m"])}
    write_evaluation(folder, Evaluation("classification", "test", "kind", rows, columns, measured), {})
    return folder


def regression(folder: Path) -> Path:
    rows = ValueRows(np.array([1.0, 2.0]), np.array([1.5, 2.0]))
    write_evaluation(folder, Evaluation("regression", "test", "price", rows), {})
    return folder


def judge(stage: Stage, code: str, role: str = "gate", **more: Any) -> Ended:
    stage.module("work", code)
    folder = more.pop("evaluation", None) or evaluation(stage.work / "evaluation")
    return stage.run(
        "work:check", role, evaluation=str(folder), outputs={role: str(stage.work / role)}, **more
    )


def answer(stage: Stage, role: str = "gate") -> Any:
    return json.loads((stage.work / role).read_text())


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ("True", {"ok": True, "reason": "", "value": None}),
        ("metrics['accuracy'] > 0.7", {"ok": False, "reason": "", "value": None}),
        ("(True, 'fine')", {"ok": True, "reason": "fine", "value": None}),
        ("{'ok': False, 'reason': 'no', 'value': 2}", {"ok": False, "reason": "no", "value": 2.0}),
        ("np.float64(1) > 2", {"ok": False, "reason": "", "value": None}),
    ],
)
def test_a_gate_may_answer_in_three_ways(stage: Stage, returned: str, expected: object) -> None:
    ended = judge(stage, f"import numpy as np\ndef check(metrics):\n    return {returned}\n")
    assert ended.code == 0, ended.err
    assert answer(stage) == expected


@pytest.mark.parametrize("returned", ["None", "1", "'yes'", "{}", "{'ok': 1}", "(1, 'x')", "(True,)"])
def test_another_answer_is_refused_with_what_was_expected(stage: Stage, returned: str) -> None:
    ended = judge(stage, f"def check():\n    return {returned}\n")
    assert ended.code == 1
    assert "gate work:check returned" in ended.err
    assert "expected True or False" in ended.err
    assert not (stage.work / "gate").exists()


def test_a_gate_sees_metrics_slices_predictions_the_evaluation_and_its_own_parameters(stage: Stage) -> None:
    code = """
        def check(metrics, slices, predictions, evaluation, baseline, limit):
            assert list(metrics) == ["accuracy"], metrics
            assert [(item["name"], item["slice"]) for item in slices] == [("accuracy", "sex=f")], slices
            assert predictions.column_names == ["label", "prediction", "score", "slice:sex"]
            assert predictions.column("prediction").to_pylist() == ["no", "yes", "no"]
            assert evaluation["n_rows"] == 3
            assert baseline is None
            return metrics["accuracy"] > limit
        """
    ended = judge(stage, code, params={"limit": 0.5})
    assert ended.code == 0, ended.err
    assert answer(stage)["ok"] is True


def test_a_gate_sees_the_baselines_metrics(stage: Stage) -> None:
    before = evaluation(stage.work / "before", (Measured("accuracy", 0.5, n_rows=3),))
    code = "def check(metrics, baseline):\n    return metrics['accuracy'] > baseline['accuracy']\n"
    assert judge(stage, code, baseline=str(before)).code == 0
    assert answer(stage)["ok"] is True


def test_a_metric_is_a_number_from_labels_predictions_and_scores(stage: Stage) -> None:
    code = """
        import numpy as np
        def check(labels, predictions, scores, table):
            assert labels.tolist() == ["no", "yes", "yes"], labels
            assert scores.shape == (3, 2)
            assert table.num_rows == 3
            return np.float32((labels != predictions).sum() * 5)
        """
    ended = judge(stage, code, "metric")
    assert ended.code == 0, ended.err
    assert answer(stage, "metric") == {"name": "check", "value": 5.0}


def test_a_metric_of_a_regression_has_numbers_and_no_scores(stage: Stage) -> None:
    code = """
        def check(labels, predictions, scores):
            assert scores is None
            return float(abs(labels - predictions).max())
        """
    ended = judge(stage, code, "metric", evaluation=regression(stage.work / "prices"))
    assert ended.code == 0, ended.err
    assert answer(stage, "metric")["value"] == 0.5


def test_an_undefined_metric_is_null(stage: Stage) -> None:
    assert judge(stage, "def check():\n    return float('nan')\n", "metric").code == 0
    assert answer(stage, "metric") == {"name": "check", "value": None}


@pytest.mark.parametrize("returned", ["None", "True", "'0.5'", "[0.5]"])
def test_a_metric_that_is_no_number_is_refused(stage: Stage, returned: str) -> None:
    ended = judge(stage, f"def check():\n    return {returned}\n", "metric")
    assert ended.code == 1
    assert "expected a number" in ended.err


def test_a_gate_that_names_what_there_is_not_is_told_what_there_is(stage: Stage) -> None:
    ended = judge(stage, "def check(metric):\n    return True\n")
    assert "asks for `metric`, which there is not; did you mean `metrics`?" in ended.err
