"""The plan in a comment: what runs, what is reused and why, and what it will take by the clock of earlier runs. Markdown."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from fiat.builtin.report_markdown import code, prose, steps_set_off, table
from fiat.builtin.view_text import count, seconds
from fiat.plan.model import Decision, Plan, Step

MOST_STEPS = 60
LAST_RUNS = 5
MOST_UNKNOWN = 5
_LONGEST_REASON = 200
_ACTIONS = {"run": "▶ run", "wait": "▷ run if needed", "reuse": "= reuse", "skip": "– skip"}
_LATER = "▷ after the merge"
_WORKS = frozenset({"run", "wait"})


@dataclass(frozen=True)
class Forecast:
    """What a plan will take.

    Attributes:
        work_s: seconds of all steps that run, one after the other.
        path_s: seconds of the longest chain of them: how long it takes when nothing waits for a machine.
        gpu_s: GPU seconds.
        unknown: steps that run and that never ran before.
    """

    work_s: float
    path_s: float
    gpu_s: float
    unknown: tuple[str, ...]


def forecast(
    plan: Plan, decisions: Sequence[Decision], expected_s: Mapping[str, Sequence[float]]
) -> Forecast:
    """Add up what the steps took in their last runs (the median of the last LAST_RUNS).

    Args:
        plan: gives the graph and the GPUs that steps ask for.
        decisions: a step without one is taken to run.
        expected_s: step to the seconds of its last runs, the newest first.
    """
    actions = {item.step: item.action for item in decisions}
    took = {
        step.name: usual_s(expected_s.get(step.name, ()))
        for step in plan.steps
        if actions.get(step.name, "run") in _WORKS
    }
    ends: dict[str, float] = {}
    for step in plan.steps:
        before = [ends.get(name, 0.0) for name in (*(ref.step for ref in step.inputs.values()), *step.after)]
        ends[step.name] = max(before, default=0.0) + (took.get(step.name) or 0.0)
    return Forecast(
        work_s=sum(value for value in took.values() if value),
        path_s=max(ends.values(), default=0.0),
        gpu_s=sum(_gpu_s(step, took.get(step.name)) for step in plan.steps),
        unknown=tuple(name for name, value in took.items() if value is None),
    )


def usual_s(taken_s: Sequence[float]) -> float | None:
    """The median of the last runs, None when there are none."""
    last = [value for value in taken_s[:LAST_RUNS] if value >= 0]
    return median(last) if last else None


def gpu_text(gpu_s: float) -> str:
    """GPU time: `12 GPU min`, `3.5 GPU h`."""
    return f"{gpu_s / 60:.0f} GPU min" if gpu_s < 3600 else f"{gpu_s / 3600:.1f} GPU h"


def plan_part(
    plan: Plan,
    decisions: Sequence[Decision],
    expected_s: Mapping[str, Sequence[float]],
    *,
    deploys: bool = True,
) -> str:
    """The plan as a table with its sum, and a sentence about it.

    Args:
        plan: as of `forecast`.
        decisions: as of `forecast`.
        expected_s: as of `forecast`.
        deploys: False for a pull request, whose targets change after the merge.
    """
    known = {item.step: item for item in decisions}
    later = () if deploys else _later(plan, known)
    known |= {name: Decision(name, "skip", ()) for name in later}
    decisions = tuple(known.values())
    whole = forecast(plan, decisions, expected_s)
    names = frozenset(step.name for step in plan.steps)
    with_gpus = any(step.limits.gpus for step in plan.steps)
    rows = [
        _row(step, known.get(step.name), expected_s, names, with_gpus=with_gpus, is_later=step.name in later)
        for step in plan.steps[:MOST_STEPS]
    ]
    if whole.work_s:
        gpus = [_gpu(whole.gpu_s)] if with_gpus else []
        rows.append(("**total**", "", f"**{seconds(whole.work_s)}**", *gpus, ""))
    heads = ("step", "", "time", *(["GPU time"] if with_gpus else []), "why")
    right = frozenset({2, 3}) if with_gpus else frozenset({2})
    return f"{plan_sentence(plan, decisions, whole, len(later))}\n\n{table(heads, rows, right)}"


def _later(plan: Plan, known: Mapping[str, Decision]) -> tuple[str, ...]:
    """Steps that deploy and that nothing else leaves out."""
    return tuple(
        step.name
        for step in plan.steps
        if step.kind == "deploy" and (step.name not in known or known[step.name].action in _WORKS)
    )


def plan_sentence(plan: Plan, decisions: Sequence[Decision], whole: Forecast, n_later: int = 0) -> str:
    """Such as `2 of 7 steps to run, 5 reused. By earlier runs that takes about 3 m 20 s`.

    `n_later` of the skipped steps come after the merge.
    """
    actions: list[str] = [item.action for item in decisions]
    n_reused, n_skipped = actions.count("reuse"), actions.count("skip")
    n_steps = len(plan.steps)
    told = f"{n_steps - n_reused - n_skipped} of {count(n_steps, 'step')} to run"
    told += f", {n_reused} reused" if n_reused else ""
    told += f", {n_skipped - n_later} skipped" if n_skipped > n_later else ""
    told += f", {n_later} after the merge" if n_later else ""
    sentences = [told]
    if whole.work_s:
        gpus = f" and {gpu_text(whole.gpu_s)}" if whole.gpu_s else ""
        sentences.append(f"By earlier runs that takes about {seconds(whole.path_s)}{gpus}")
    if whole.unknown:
        shown = ", ".join(code(name) for name in whole.unknown[:MOST_UNKNOWN])
        rest = len(whole.unknown) - MOST_UNKNOWN
        uncounted = (
            "Not counted, for want of an earlier run:" if whole.work_s else "No earlier run tells the time of"
        )
        sentences.append(f"{uncounted} {shown}" + (f" and {rest} more" if rest > 0 else ""))
    left = n_steps - MOST_STEPS
    if left > 0:
        sentences.append(f"{count(left, 'more step')} not shown")
    return ". ".join(sentences) + "."


def _row(
    step: Step,
    decision: Decision | None,
    expected_s: Mapping[str, Sequence[float]],
    names: Collection[str],
    *,
    with_gpus: bool,
    is_later: bool,
) -> tuple[str, ...]:
    action = decision.action if decision else "wait"
    usual = usual_s(expected_s.get(step.name, ())) if action in _WORKS else None
    gpus = [_gpu(_gpu_s(step, usual))] if with_gpus else []
    return (
        code(step.name),
        _LATER if is_later else _ACTIONS[action],
        _about(usual),
        *gpus,
        _why(decision, names),
    )


def _why(decision: Decision | None, names: Collection[str]) -> str:
    if decision is None or not decision.reasons:
        return ""
    more = len(decision.reasons) - 1
    return prose(steps_set_off(decision.reasons[0], names), _LONGEST_REASON) + (
        f" (and {more} more)" if more else ""
    )


def _about(value_s: float | None) -> str:
    return seconds(value_s) if value_s else ""


def _gpu(gpu_s: float) -> str:
    return gpu_text(gpu_s) if gpu_s else ""


def _gpu_s(step: Step, usual: float | None) -> float:
    return step.limits.gpus * (usual or 0.0)
