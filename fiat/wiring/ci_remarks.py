"""Annotations of a CI job: faults of a spec at their lines, gates that refuse, steps that failed."""

from collections.abc import Callable, Iterator, Sequence

from fiat.errors import FiatError, SpecErrors, Where
from fiat.plan.model import Plan
from fiat.run.model import Run
from fiat.wiring.ci_words import Level, remark

# Source: "Workflow commands": a step shows 10 errors and 10 warnings, what comes behind them is lost.
MOST_REMARKS = 10


def error_remarks(error: FiatError) -> list[str]:
    """One command a fault, at the line of the spec where it has one."""
    errors = error.errors if isinstance(error, SpecErrors) else [error]
    found = [
        remark(
            "error",
            f"{item.message}\n{item.hint}".strip(),
            title=item.where.key if item.where and item.where.key else "Fiat",
            where=_inside(item.where),
        )
        for item in errors
    ]
    return _some("error", found)


def run_remarks(run: Run, plan: Plan, where: Callable[[str], Where]) -> list[str]:
    """What a person must look at in a run that is over: failed steps, gates that refused or warned.

    Args:
        run: the record.
        plan: its graph.
        where: the place of a key of the spec.
    """
    errors = list(_failures(run, plan, where))
    warnings: list[str] = []
    for gate in run.gates:
        if gate.state in ("fail", "warn"):
            level: Level = "error" if gate.state == "fail" else "warning"
            text = remark(level, gate.reason, title=f"gate {gate.name}", where=_inside(where(gate.key)))
            (errors if gate.state == "fail" else warnings).append(text)
    return [*_some("error", errors), *_some("warning", warnings)]


def _failures(run: Run, plan: Plan, where: Callable[[str], Where]) -> Iterator[str]:
    keys = {step.name: step.key for step in plan.steps}
    for step in run.steps:
        if step.state == "failed":
            place = _inside(where(keys.get(step.name, "")))
            yield remark("error", step.reason, title=f"step {step.name} failed", where=place)


def _inside(where: Where | None) -> Where | None:
    """A place that the job can show: a file of the checkout, relative to its top."""
    if where is None or not where.file or where.file.startswith(("<", "/", "..")):
        return None
    return where


def _some(level: Level, found: Sequence[str]) -> list[str]:
    if len(found) <= MOST_REMARKS:
        return list(found)
    left = len(found) - MOST_REMARKS + 1
    return [*found[: MOST_REMARKS - 1], remark(level, f"{left} more are in the summary of this job")]
