"""Step `gates`: judge the evaluation by the spec's gates. It succeeds whatever the gates say; the engine folds them."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

from fiat.errors import EnvironmentFault, SpecError
from fiat.evaluate.catalog import METRICS
from fiat.evaluate.comparison import Comparison, compare, same_rows
from fiat.evaluate.folder import Evaluation, read_evaluation, slice_columns
from fiat.evaluate.gates import (
    Evidence,
    Judgement,
    LimitGate,
    MetricGate,
    MissingBaseline,
    Severity,
    judge_answer,
    judge_parity,
    judge_size,
)
from fiat.evaluate.measure import Measured, check_metrics, measure
from fiat.evaluate.metric_gate import judge_metric
from fiat.evaluate.slices import cut
from fiat.ports.step import StepContext, StepOutcome
from fiat.run.model import GateResult
from fiat.spec.section import size_bytes

DEFAULT_PARITY = 1e-4
IfMissing = Literal["pass", "warn", "error"]
GATE_ROLE = "gate."
METRIC_ROLE = "metric."


@dataclass(frozen=True)
class _Bench:
    """All that gates are judged by."""

    evaluation: Evaluation
    baseline: Evaluation | MissingBaseline
    if_missing: IfMissing
    logged: Mapping[str, float]
    answers: Mapping[str, Path]
    confidence: float
    seed: int


class GatesStep:
    """Judges a model.

    Inputs: `evaluation`, and where there are: `baseline` (its evaluation), `gate.<n>` (what the user's gate at index n
    said: ok, reason, value) and `metric.<name>` (what the user's metric gave: name, value). Output: `gates`, a JSON file
    with one result a gate.
    """

    name = "gates"
    version = "1"
    packages = ("numpy", "scikit-learn")

    def run(self, context: StepContext) -> StepOutcome:
        """Judge every gate, and write what each says.

        Raises:
            SpecError: a gate names a metric or a slice that nothing makes, or is of no kind.
            EnvironmentFault: an input is damaged.
        """
        params = cast(Mapping[str, Any], context.params)
        bench = _read_bench(params, context.inputs)
        judged = [_judge(gate, bench) for gate in params.get("gates") or ()]
        results = [asdict(GateResult(**asdict(judgement))) for judgement in judged]
        context.outputs["gates"].write_text(json.dumps({"gates": results}, allow_nan=False, indent=1) + "\n")
        states = [judgement.state for judgement in judged]
        return StepOutcome(facts={state: states.count(state) for state in dict.fromkeys(states)})


def _read_bench(params: Mapping[str, Any], inputs: Mapping[str, Path]) -> _Bench:
    logged = dict(params.get("logged") or {})
    for role, path in inputs.items():
        if role.startswith(METRIC_ROLE):
            value = _read_json(path).get("value")
            logged[role.removeprefix(METRIC_ROLE)] = math.nan if value is None else float(value)
    about = params.get("baseline") or {}
    if_missing = cast(IfMissing, about.get("if_missing") or "warn")
    return _Bench(
        evaluation=read_evaluation(inputs["evaluation"]),
        baseline=_read_baseline(about, inputs.get("baseline"), if_missing),
        if_missing=if_missing,
        logged=logged,
        answers={
            role.removeprefix(GATE_ROLE): path for role, path in inputs.items() if role.startswith(GATE_ROLE)
        },
        confidence=float(params.get("confidence") or 0.95),
        seed=int(params.get("seed") or 0),
    )


def _read_baseline(
    about: Mapping[str, Any], path: Path | None, if_missing: IfMissing
) -> Evaluation | MissingBaseline:
    if path is None:
        declared = about.get("declared", True)
        reason = "no other model was released before" if declared else "the spec names no baseline"
        return MissingBaseline(reason, if_missing)
    found = read_evaluation(path)
    return MissingBaseline(found.unusable, if_missing) if found.unusable else found


def _judge(gate: Mapping[str, Any], bench: _Bench) -> Judgement:
    severity: Severity = gate.get("severity") or "error"
    key = str(gate.get("key") or "")
    if gate.get("metric") is not None:
        return _judge_metric(_metric_gate(gate, severity, key), bench)
    if gate.get("parity") is not None:
        limit = float(gate["parity"].get("max_abs", DEFAULT_PARITY))
        return judge_parity(LimitGate(f"parity <= {limit:g}", limit, severity, key), bench.evaluation.parity)
    if gate.get("size") is not None:
        text = str(gate["size"]["max"])
        size = bench.evaluation.model_size_bytes
        return judge_size(LimitGate(f"size <= {text}", float(size_bytes(text)), severity, key), size)
    if gate.get("call") is not None:
        return _judge_call(str(gate["call"]), bench, severity, key)
    raise SpecError(f"{key}: there is no gate of this kind", hint="leave the gate out")


def _judge_call(name: str, bench: _Bench, severity: Severity, key: str) -> Judgement:
    index = key.partition("[")[2].rstrip("]")
    path = bench.answers.get(index)
    if path is None:
        return judge_answer(name, False, "the function did not answer", None, severity=severity, key=key)
    said = _read_json(path)
    ok, value = said.get("ok"), said.get("value")
    number = None if value is None else float(value)
    return judge_answer(
        name,
        None if ok is None else bool(ok),
        str(said.get("reason") or ""),
        number,
        severity=severity,
        key=key,
    )


def _metric_gate(gate: Mapping[str, Any], severity: Severity, key: str) -> MetricGate:
    by = gate.get("slice") or ()
    return MetricGate(
        metric=str(gate["metric"]),
        min=gate.get("min"),
        max=gate.get("max"),
        against_baseline=gate.get("against") is not None,
        max_drop=float(gate.get("max_drop") or 0.0),
        significant=bool(gate.get("significant")),
        slice=(by,) if isinstance(by, str) else tuple(by),
        min_examples=int(gate.get("min_examples") or 0),
        severity=severity,
        key=key,
    )


def _judge_metric(gate: MetricGate, bench: _Bench) -> Judgement:
    evaluation = bench.evaluation
    rows = evaluation.rows
    if rows is None:
        raise SpecError(f"{gate.key}: there are no predictions to judge: {evaluation.unusable}")
    evidence = Evidence(
        overall=None if gate.slice or (gate.min is None and gate.max is None) else _overall(gate, bench),
        slices=_of_slices(gate, bench) if gate.slice else (),
        invalid_rows=rows.invalid_rows,
        comparison=_compared(gate, bench) if gate.against_baseline else None,
    )
    return judge_metric(gate, evidence)


def _overall(gate: MetricGate, bench: _Bench) -> Measured:
    """The metric of all rows: measured, else logged by a step, else computed now from the predictions."""
    for item in bench.evaluation.measured:
        if item.name == gate.metric and item.slice == "":
            return item
    if gate.metric in bench.logged:
        return Measured(gate.metric, bench.logged[gate.metric])
    return _compute(gate, bench, ())[0]


def _of_slices(gate: MetricGate, bench: _Bench) -> tuple[Measured, ...]:
    slices = cut(slice_columns(bench.evaluation, gate.slice))
    names = {part.name for part in slices}
    found = [item for item in bench.evaluation.measured if item.name == gate.metric and item.slice in names]
    if len(found) == len(names):
        return tuple(found)
    return tuple(item for item in _compute(gate, bench, slices) if item.slice)


def _compute(gate: MetricGate, bench: _Bench, slices: Any) -> tuple[Measured, ...]:
    rows = bench.evaluation.rows
    assert rows is not None  # noqa: S101 - _judge_metric looked
    if gate.metric not in METRICS:
        raise SpecError(
            f"{gate.key}: no step makes the metric {gate.metric}",
            hint="name it in evaluate.metrics, or log it: " + ", ".join(sorted(bench.logged)),
        )
    check_metrics((gate.metric,), rows)
    return measure(rows, (gate.metric,), slices, confidence=bench.confidence, seed=bench.seed)


def _compared(gate: MetricGate, bench: _Bench) -> Comparison | MissingBaseline:
    if isinstance(bench.baseline, MissingBaseline):
        return bench.baseline
    if gate.metric not in METRICS:
        raise SpecError(
            f"{gate.key}: {gate.metric} can't be compared with the baseline, only its predictions are known",
            hint="compare a metric of the catalog, such as accuracy",
        )
    mine, theirs = bench.evaluation.rows, bench.baseline.rows
    assert mine is not None  # noqa: S101 - _judge_metric looked
    assert theirs is not None  # noqa: S101 - _read_baseline looked
    pair = same_rows(mine, theirs)
    if pair is None:
        return MissingBaseline("the baseline was measured on other rows or another task", bench.if_missing)
    try:
        check_metrics((gate.metric,), pair[1])
    except SpecError as error:
        return MissingBaseline(f"of the baseline, {error.message}", bench.if_missing)
    return compare(gate.metric, *pair, confidence=bench.confidence, seed=bench.seed)


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise EnvironmentFault(f"{path.name} can't be read: {error}", hint="run again") from error
    if not isinstance(found, Mapping):
        raise EnvironmentFault(f"{path.name} holds no JSON object", hint="run again")
    return found
