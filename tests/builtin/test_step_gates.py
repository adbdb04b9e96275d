"""The gates step on evaluations written as the evaluate step writes them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fiat.builtin.step_gates import GatesStep
from fiat.errors import EnvironmentFault, SpecError
from fiat.evaluate.folder import Evaluation, slice_columns, write_evaluation
from fiat.evaluate.measure import measure
from fiat.evaluate.parity import Parity
from fiat.evaluate.rows import ClassRows, ValueRows
from fiat.evaluate.slices import cut
from fiat.ports.step import StepContext
from fiat.run.model import GateResult

N_ROWS = 2000
LABELS = np.random.default_rng(0).integers(0, 3, N_ROWS)
CITIES = pa.array(["Ulm", "Bonn"] * (N_ROWS // 2))


def rows_with(errors: float, seed: int = 1) -> ClassRows:
    """Rows of which this share is predicted wrongly."""
    wrong = np.random.default_rng(seed).random(N_ROWS) < errors
    predicted = np.where(wrong, (LABELS + 1) % 3, LABELS)
    scores = (np.eye(3)[predicted] * 0.7 + 0.1).astype(np.float32)
    return ClassRows(LABELS, predicted, scores, ("a", "b", "c"))


def write(
    folder: Path,
    rows: ClassRows | ValueRows | None,
    *,
    metrics: tuple[str, ...] = ("accuracy",),
    **facts: Any,
) -> Path:
    task = "regression" if isinstance(rows, ValueRows) else "classification"
    shell = Evaluation(task, "test", "animal", rows, {} if rows is None else {"city": CITIES}, **facts)
    measured = ()
    if rows is not None:
        slices = cut(slice_columns(shell, ["label"])) if task == "classification" else ()
        measured = measure(rows, metrics, slices, confidence=0.95, seed=0)
    whole = Evaluation(task, "test", "animal", rows, shell.columns, measured, **facts)
    write_evaluation(folder, whole, {})
    return folder


@pytest.fixture
def evaluation(tmp_path) -> Path:
    return write(
        tmp_path / "evaluation",
        rows_with(0.1),
        parity=Parity(1e-6, 1e-7, 0, N_ROWS),
        model_size_bytes=5 * 2**20,
    )


def judge(
    tmp_path: Path, gates: list[dict[str, Any]], inputs: dict[str, Path], **params: Any
) -> list[GateResult]:
    out = tmp_path / "gates.json"
    for index, gate in enumerate(gates):
        gate.setdefault("key", f"gates[{index}]")
    context = StepContext(
        kind="gates",
        params={"gates": gates, "confidence": 0.95, "seed": 3, **params},
        inputs=inputs,
        outputs={"gates": out},
        root=tmp_path,
        work_dir=tmp_path,
    )
    outcome = GatesStep().run(context)
    results = [GateResult(**gate) for gate in json.loads(out.read_text())["gates"]]
    assert sum(outcome.facts.values()) == len(results)
    out.unlink()
    return results


def test_each_gate_of_a_spec_has_its_result_in_order(tmp_path, evaluation):
    gates = [
        {"metric": "accuracy", "min": 0.88, "severity": "error"},
        {"metric": "accuracy", "min": 0.99, "severity": "warn"},
        {"metric": "recall", "slice": ["label"], "min": 0.95, "min_examples": 100, "severity": "error"},
        {"parity": {}, "severity": "error"},
        {"size": {"max": "20MiB"}, "severity": "error"},
    ]
    found = judge(tmp_path, gates, {"evaluation": evaluation})
    assert [gate.state for gate in found] == ["pass", "warn", "fail", "pass", "pass"]
    assert [gate.key for gate in found] == [f"gates[{n}]" for n in range(5)]
    assert found[0].name == "accuracy >= 0.88"
    assert "the worst of 3 slices, below 0.95" in found[2].reason
    assert found[3].reason == "model and graph differ by 1e-06 at most on 2000 rows, within 0.0001"
    assert found[4].reason == "the model has 5 MiB, within 20 MiB"


def test_a_metric_that_was_not_measured_is_computed_from_the_predictions(tmp_path, evaluation):
    gates = [
        {"metric": "log_loss", "max": 5.0},
        {"metric": "f1_macro", "slice": "city", "min": 0.5},
        {"metric": "precision", "slice": ["animal", "city"], "min": 0.99},
    ]
    found = judge(tmp_path, gates, {"evaluation": evaluation})
    assert [gate.state for gate in found] == ["pass", "pass", "fail"]
    assert "f1_macro of city=" in found[1].reason
    assert "precision of animal=" in found[2].reason
    assert "the worst of 6 slices" in found[2].reason


def test_a_candidate_is_compared_with_the_baseline_on_the_same_rows(tmp_path, evaluation):
    better = write(tmp_path / "baseline", rows_with(0.05, seed=2))
    gates = [
        {"metric": "accuracy", "against": "baseline", "max_drop": 0.002, "significant": True},
        {"metric": "log_loss", "against": "baseline", "max_drop": 0.01},
        {"metric": "accuracy", "against": "baseline", "max_drop": 0.2},
    ]
    found = judge(tmp_path, gates, {"evaluation": evaluation, "baseline": better})
    assert [gate.state for gate in found] == ["fail", "fail", "pass"]
    assert "worse than the baseline's" in found[0].reason
    assert found[0].value == pytest.approx(0.05, abs=0.02)
    worse = write(tmp_path / "worse", rows_with(0.2, seed=2))
    found = judge(tmp_path, gates, {"evaluation": evaluation, "baseline": worse})
    assert [gate.state for gate in found] == ["pass"] * 3


def test_a_chance_drop_is_refused_only_without_significant(tmp_path, evaluation):
    # Two models of the same quality whose errors lie elsewhere.
    other = write(tmp_path / "baseline", rows_with(0.095, seed=9))
    gates = [
        {"metric": "accuracy", "against": "baseline"},
        {"metric": "accuracy", "against": "baseline", "significant": True},
    ]
    found = judge(tmp_path, gates, {"evaluation": evaluation, "baseline": other})
    assert [gate.state for gate in found] == ["fail", "pass"]
    assert found[1].reason.endswith("above 0 but not beyond chance")


@pytest.mark.parametrize(("if_missing", "state"), [("pass", "skipped"), ("warn", "warn"), ("error", "fail")])
def test_without_a_usable_baseline_if_missing_decides(tmp_path, evaluation, if_missing, state):
    gates = [{"metric": "accuracy", "against": "baseline"}]
    params = {"baseline": {"if_missing": if_missing, "declared": True}}
    [found] = judge(tmp_path, gates, {"evaluation": evaluation}, **params)
    assert (found.state, "no other model was released before" in found.reason) == (state, True)
    unusable = write(tmp_path / "baseline", None, unusable="the model reads the column height")
    [found] = judge(tmp_path, gates, {"evaluation": evaluation, "baseline": unusable}, **params)
    assert (found.state, "reads the column height" in found.reason) == (state, True)
    regression = write(tmp_path / "numbers", ValueRows(np.ones(N_ROWS), np.ones(N_ROWS)), metrics=("mae",))
    [found] = judge(tmp_path, gates, {"evaluation": evaluation, "baseline": regression}, **params)
    assert (found.state, "other rows or another task" in found.reason) == (state, True)


def test_metrics_that_steps_logged_are_judged(tmp_path, evaluation):
    cost = tmp_path / "cost.json"
    cost.write_text('{"name": "cost", "value": 12.5}')
    nothing = tmp_path / "nothing.json"
    nothing.write_text('{"name": "nothing", "value": null}')
    gates = [
        {"metric": "cost", "max": 10.0},
        {"metric": "train_loss", "max": 1.0},
        {"metric": "nothing", "max": 1.0},
    ]
    inputs = {"evaluation": evaluation, "metric.cost": cost, "metric.nothing": nothing}
    found = judge(tmp_path, gates, inputs, logged={"train_loss": 0.25})
    assert [gate.state for gate in found] == ["fail", "pass", "fail"]
    assert found[0].reason == "cost 12.5 is above 10"
    assert found[2].reason == "nothing is not a number"


def test_the_user_s_functions_pass_refuse_or_have_nothing_to_say(tmp_path, evaluation):
    inputs = {"evaluation": evaluation}
    for index, answer in enumerate(
        [{"ok": True}, {"ok": False, "reason": "gap 0.3", "value": 0.3}, {"ok": None}]
    ):
        inputs[f"gate.{index}"] = tmp_path / f"gate-{index}.json"
        inputs[f"gate.{index}"].write_text(json.dumps(answer))
    gates = [{"call": "gates.fairness:check", "severity": "error"} for _ in range(4)]
    found = judge(tmp_path, gates, inputs)
    assert [gate.state for gate in found] == ["pass", "fail", "skipped", "fail"]
    assert (found[1].reason, found[1].value) == ("gap 0.3", 0.3)
    assert found[3].reason == "the function did not answer"


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        ({"metric": "cost", "max": 1.0}, "no step makes the metric cost"),
        ({"metric": "mae", "max": 1.0}, "metric of regression"),
        ({"metric": "accuracy", "slice": ["height"], "min": 0.1}, "no slices by height"),
        ({"key": "gates[0]"}, "there is no gate of this kind"),
        ({"metric": "cost", "against": "baseline"}, "can't be compared with the baseline"),
    ],
)
def test_a_gate_that_can_t_be_judged_is_an_error_of_the_spec(tmp_path, evaluation, gate, said):
    baseline = write(tmp_path / "baseline", rows_with(0.05, seed=2))
    with pytest.raises(SpecError, match=said):
        judge(tmp_path, [gate], {"evaluation": evaluation, "baseline": baseline})


def test_a_damaged_evaluation_is_a_sentence(tmp_path, evaluation):
    (evaluation / "predictions.arrow").write_bytes(b"cut")
    with pytest.raises(EnvironmentFault, match="can't be read"):
        judge(tmp_path, [], {"evaluation": evaluation})


def test_parity_that_was_not_measured_never_passes(tmp_path):
    bare = write(tmp_path / "bare", rows_with(0.1))
    [found] = judge(tmp_path, [{"parity": {"max_abs": 1.0}}], {"evaluation": bare})
    assert (found.state, found.reason) == ("fail", "parity was not measured")
    endless = write(tmp_path / "endless", rows_with(0.1), parity=Parity(np.inf, np.inf, 0, 5))
    [found] = judge(tmp_path, [{"parity": {"max_abs": 1.0}}], {"evaluation": endless})
    assert found.state == "fail"
    assert "not finite" in found.reason


def test_the_same_seed_gives_the_same_results(tmp_path, evaluation):
    baseline = write(tmp_path / "baseline", rows_with(0.05, seed=2))
    gates = [{"metric": "f1_macro", "against": "baseline", "significant": True}]
    inputs = {"evaluation": evaluation, "baseline": baseline}
    assert judge(tmp_path, gates, inputs) == judge(tmp_path, gates, inputs)
