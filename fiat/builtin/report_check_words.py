"""One line for a commit: what a check says beside its name. Plain text, at most what GitHub takes."""

import math
import re
from collections.abc import Mapping, Sequence

from fiat.builtin.page_json import items, mapping, text
from fiat.builtin.report_markdown import cut
from fiat.builtin.view_text import count, number, score, visible
from fiat.run.model import GateResult, Metric, Run, StepResult
from fiat.run.queue import CLOSED, QueuedRun
from fiat.run.report import CheckState

LONGEST = 140
SANDBOX_OFF = " (sandbox off)"
NO_CHANGE = "no change"
_MOST_NAMES = 3
_MOST_NUMBERS = 3
_DONE = frozenset({"ran", "reused", "failed", "skipped", "cancelled"})
_GATE_INDEX = re.compile(r"gates\[(\d{1,4})\]")
_ENDED_ON_PURPOSE = ("superseded by", "cancelled", CLOSED)
_MOVED_ON = re.compile(r"\S+ has moved on to (?:[0-9a-f]{10}|nothing)")
_NOT_SLUG = re.compile(r"[^a-z0-9_.]+")


def line(said: str, *, sandboxed: bool = True) -> str:
    """One harmless line of at most LONGEST characters; that the sandbox is off is never cut away."""
    tail = "" if sandboxed else SANDBOX_OFF
    return cut(" ".join(visible(said).split()), LONGEST - len(tail)) + tail


def on_purpose(reason: str) -> bool:
    """Whether a run ended because somebody, or a newer commit, wanted it."""
    return reason.startswith(_ENDED_ON_PURPOSE) or _MOVED_ON.fullmatch(reason) is not None


def progress_text(steps: Sequence[StepResult], n_steps: int) -> str:
    """`running: train (3 of 7 steps, 2 reused)`.

    Args:
        steps: as they stand.
        n_steps: of the whole plan.
    """
    busy = [step.name for step in steps if step.state == "running"]
    over = sum(step.state in _DONE for step in steps)
    reused = sum(step.state == "reused" for step in steps)
    told = f"{over} of {count(max(n_steps, len(steps)), 'step')}" + (f", {reused} reused" if reused else "")
    return f"running: {names(busy)} ({told})" if busy else f"running ({told})"


def verdict_text(run: Run, baseline: Sequence[Metric] = ()) -> str:
    """What a finished run says: gates and the metrics that they judge, or why it is refused or broken.

    Args:
        run: with its gates, metrics and composed spec.
        baseline: metrics of the model that it was compared with.
    """
    if run.verdict == "pass":
        parts = [run.reason or "passed", *_numbers(run, baseline), *_deeds(run.steps)]
        return "; ".join(parts)
    if run.verdict == "warn":
        return f"passed with warnings: {run.reason}"
    if run.verdict == "fail":
        refused = [gate for gate in run.gates if gate.state == "fail"]
        if refused:
            more = f"; {count(len(refused) - 1, 'more gate')} refused" if len(refused) > 1 else ""
            return gate_text(refused[0], run.config) + more
    return run.reason or "ended without a verdict"


def gate_text(gate: GateResult, config: Mapping[str, object]) -> str:
    """A refused gate in few words: `accuracy 0.85 < 0.88 (gate)`; its own reason when that would not tell enough."""
    wanted = gate_section(gate.key, config)
    metric = text(wanted.get("metric"))
    plain = wanted.get("against") is None and gate.value is not None and gate.limit is not None
    if not metric or not plain or gate.value is None or gate.limit is None or gate.value == gate.limit:
        return f"{gate.reason} (gate {gate.name})"
    value, limit = _apart(gate.value, gate.limit)
    by = wanted.get("slice")
    columns = f" by {', '.join(map(text, items(by))) or text(by)}" if by else ""
    return f"{metric}{columns} {value} {'<' if gate.value < gate.limit else '>'} {limit} (gate)"


def gate_section(key: str, config: Mapping[str, object]) -> Mapping[str, object]:
    """What the spec says about the gate of a key such as `gates[1]`; empty when that is not known."""
    match, gates = _GATE_INDEX.match(key), items(config.get("gates"))
    return mapping(gates[int(match[1])]) if match and int(match[1]) < len(gates) else {}


def gate_slug(name: str, wanted: Mapping[str, object]) -> str:
    """A gate's part of a check's name, the same whatever its limits are: `recall-by-label`.

    Args:
        name: the gate's, for one that the spec does not tell about.
        wanted: what the spec says about it.
    """
    metric, by = text(wanted.get("metric")), wanted.get("slice")
    if metric:
        title = metric + (f" by {' '.join(map(text, items(by))) or text(by)}" if by else "")
        title += " against baseline" if wanted.get("against") is not None else ""
    else:
        kinds = (kind for kind in ("parity", "size", "probe") if wanted.get(kind) is not None)
        title = next(kinds, "") or text(wanted.get("call")) or re.split(r" [<>]=| at most ", name)[0]
    return _NOT_SLUG.sub("-", title.lower()).strip("-.")[:60] or "gate"


def names(found: Sequence[str]) -> str:
    """A few names and how many more there are."""
    more = len(found) - _MOST_NAMES
    return ", ".join(found[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def runs_text(runs: Sequence[QueuedRun]) -> tuple[CheckState, str]:
    """How a commit stands as a whole: `3 specs: 2 passed, 1 refused: wine`.

    Args:
        runs: one or more.
    """
    groups = _groups(runs)
    state: CheckState = "success"
    if any(run.state != "done" for run in runs):
        state = "pending"
    elif "refused" in groups:
        state = "failure"
    elif groups.keys() - {"passed", NO_CHANGE}:
        state = "error"
    if len(runs) == 1:
        word, (run,) = next(iter(groups.items()))
        told = run.reason if run.state == "done" and run.reason else word
        return state, f"{run.spec}: {told}"
    told = ", ".join(_group_text(word, found) for word, found in groups.items())
    return state, f"{count(len(runs), 'spec')}: {told}"


def _groups(runs: Sequence[QueuedRun]) -> dict[str, list[QueuedRun]]:
    """Runs by how they stand, in the order in which that is told."""
    found: dict[str, list[QueuedRun]] = {}
    for run in runs:
        found.setdefault(_stands(run), []).append(run)
    order = ("refused", "failed", "ended", "waiting for approval", "running", "queued", "passed", NO_CHANGE)
    return {word: found[word] for word in sorted(found, key=order.index)}


def _stands(run: QueuedRun) -> str:
    if run.state != "done":
        return {"held": "waiting for approval", "running": "running"}.get(run.state, "queued")
    if run.verdict == "fail":
        return "refused"
    if run.verdict in ("pass", "warn"):
        return NO_CHANGE if run.reason == NO_CHANGE else "passed"
    return "ended" if on_purpose(run.reason) else "failed"


def _group_text(word: str, runs: Sequence[QueuedRun]) -> str:
    if word == "ended":
        word = runs[0].reason
    told = f"{len(runs)} {word}"
    return f"{told}: {names([run.spec for run in runs])}" if word in ("refused", "failed") else told


def _numbers(run: Run, baseline: Sequence[Metric]) -> list[str]:
    """The metrics that gates judge first, with what they were before."""
    whole = {item.name: item for item in run.metrics if not item.slice and item.step is None}
    before = {item.name: item for item in baseline if not item.slice and item.step is None}
    judged = [text(mapping(gate).get("metric")) for gate in items(run.config.get("gates"))]
    ordered = [name for name in dict.fromkeys([*judged, *whole]) if name in whole]
    chosen = [name for name in ordered if name in judged][:_MOST_NUMBERS] or ordered[:1]
    return [", ".join(_with_before(whole[name], before.get(name)) for name in chosen)] if chosen else []


def _with_before(now: Metric, before: Metric | None) -> str:
    was = f" (was {score(before.value)})" if before is not None and math.isfinite(before.value) else ""
    return f"{now.name} {number(now.value) if now.low is None else score(now.value)}{was}"


def _deeds(steps: Sequence[StepResult]) -> list[str]:
    """What happened to targets, and that nothing had to be worked out."""
    deployed = [
        step.name.removeprefix("deploy.") for step in steps if step.kind == "deploy" and step.state == "ran"
    ]
    worked = [step for step in steps if step.state == "ran" and step.kind != "deploy"]
    told = ["all reused"] if steps and not worked and any(step.state == "reused" for step in steps) else []
    return [*told, f"deployed to {names(deployed)}"] if deployed else told


def _apart(value: float, limit: float) -> tuple[str, str]:
    """Both numbers with as few digits as tell them apart, at least 4."""
    for digits in range(4, 17):
        pair = f"{value:.{digits}g}", f"{limit:.{digits}g}"
        if pair[0] != pair[1]:
            return pair
    return repr(value), repr(limit)
