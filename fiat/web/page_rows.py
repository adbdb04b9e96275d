"""What pages show of runs, steps, gates and metrics: words and signs, ready for a template."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from fiat.run.model import GateResult, Metric, StepResult
from fiat.run.queue import CLOSED, Change, QueuedRun
from fiat.run.view import RunView
from fiat.web.words import ago, moment, number, seconds

SHORT = 8
MOST_SLICES = 200


@dataclass(frozen=True)
class Standing:
    """How something stands.

    Attributes:
        sign: one character.
        word: for people.
        tone: class of the style sheet: `good`, `doubt`, `bad`, `live` or `quiet`.
    """

    sign: str
    word: str
    tone: str


@dataclass(frozen=True)
class Moment:
    """A point in time.

    Attributes:
        text: as people say it.
        exact: in UTC.
        iso: for machines.
    """

    text: str
    exact: str
    iso: str


@dataclass(frozen=True)
class RunRow:
    """A run in a list."""

    run: QueuedRun
    standing: Standing
    short: str
    place: str
    took: str
    when: Moment | None


@dataclass(frozen=True)
class StepRow:
    """A step of a run."""

    step: StepResult
    standing: Standing
    took: str


@dataclass(frozen=True)
class GateRow:
    """A gate of a run."""

    gate: GateResult
    standing: Standing


@dataclass(frozen=True)
class MetricRow:
    """A final number of a run."""

    name: str
    slice: str
    value: str
    interval: str
    rows: str


@dataclass(frozen=True)
class Fact:
    """A name and a value in the head of a page; `url` is empty or begins with http.

    Attributes:
        name: what it is.
        value: as text.
        url: where it leads.
        code: written in fixed width.
        tone: class of the style sheet.
    """

    name: str
    value: str
    url: str = ""
    code: bool = False
    tone: str = ""


_VERDICTS = {
    "pass": Standing("✓", "passed", "good"),
    "warn": Standing("!", "passed with warnings", "doubt"),
    "fail": Standing("✗", "refused by a gate", "bad"),
    "error": Standing("✗", "failed", "bad"),
    None: Standing("–", "nothing to do", "quiet"),
}
_CANCELLED = Standing("–", "cancelled", "quiet")
_BROKEN = Standing("✗", "spec error", "bad")
_ON_PURPOSE = ("superseded by", "cancelled", CLOSED)
# How a fault of a spec begins: the file with line and column.
_PLACE = re.compile(r"[^\n]{1,500}?:\d+(?::\d+)?: ")
_STEPS = {
    "waiting": Standing("○", "waiting", "quiet"),
    "running": Standing("●", "running", "live"),
    "ran": Standing("✓", "ran", "good"),
    "reused": Standing("=", "reused", "quiet"),
    "failed": Standing("✗", "failed", "bad"),
    "skipped": Standing("–", "skipped", "quiet"),
    "cancelled": Standing("✗", "cancelled", "bad"),
}
_GATES = {
    "pass": Standing("✓", "passed", "good"),
    "warn": Standing("!", "warning", "doubt"),
    "fail": Standing("✗", "refused", "bad"),
    "skipped": Standing("–", "skipped", "quiet"),
}


def run_standing(run: QueuedRun, *, recorded: bool = True) -> Standing:
    """How a run stands.

    Args:
        run: the queue's row.
        recorded: False when it is known that no step of it was ever looked at.
    """
    if run.state == "done":
        return _over(run, recorded=recorded)
    if run.state == "held":
        return Standing("◇", "needs approval", "doubt")
    if run.state == "waiting":
        return Standing("○", "queued", "quiet")
    if run.cancel:
        return Standing("●", "ending", "live")
    return Standing("●", "deploying" if run.phase == "deploy" else "running", "live")


def _over(run: QueuedRun, *, recorded: bool = True) -> Standing:
    if run.verdict in (None, "error") and (run.cancel or run.reason.startswith(_ON_PURPOSE)):
        return _CANCELLED
    # Only a claimed run has a start: what refuses one without it was no gate.
    if run.verdict == "fail" and (not recorded or run.started_at is None or _PLACE.match(run.reason)):
        return _BROKEN
    return _VERDICTS[run.verdict]


def change_standing(change: Change, runs: Sequence[QueuedRun] = ()) -> Standing:
    """How a change stands, from what came of it; without runs it ended before there were any."""
    if change.state == "done":
        standings = {_over(run) for run in runs if run.verdict == change.verdict}
        if change.verdict == "fail" and standings <= {_BROKEN}:
            return _BROKEN
        if change.verdict == "error" and (
            standings == {_CANCELLED} or (not runs and change.reason.startswith(_ON_PURPOSE))
        ):
            return _CANCELLED
        return _VERDICTS[change.verdict]
    return (
        Standing("●", "in progress", "live") if change.state == "split" else Standing("○", "queued", "quiet")
    )


def run_row(run: QueuedRun, now: datetime) -> RunRow:
    """A run for a list."""
    return RunRow(
        run, run_standing(run), run.commit[:SHORT], run_place(run), _took(run, now), when(run.queued_at, now)
    )


def run_place(run: QueuedRun | Change) -> str:
    """Where its commit is: the pull request, or the branch or tag."""
    return f"#{run.pull}" if run.pull else run.ref.removeprefix("refs/heads/").removeprefix("refs/tags/")


def when(moment_: datetime | None, now: datetime) -> Moment | None:
    """A point in time for people."""
    return Moment(ago(moment_, now), moment(moment_), moment_.isoformat()) if moment_ else None


def step_row(step: StepResult, now: datetime) -> StepRow:
    """A step; of a running one the time that has passed."""
    spent = step.seconds
    if step.state == "running" and step.started_at is not None:
        spent = (now - step.started_at).total_seconds()
    return StepRow(step, _STEPS[step.state], seconds(spent) if spent else "")


def gate_row(gate: GateResult) -> GateRow:
    """A gate."""
    return GateRow(gate, _GATES[gate.state])


def metric_rows(metrics: Iterable[Metric]) -> tuple[list[MetricRow], list[MetricRow]]:
    """Final numbers on all rows, and those of slices (at most MOST_SLICES of them)."""
    whole: list[MetricRow] = []
    sliced: list[MetricRow] = []
    for metric in metrics:
        if metric.step is not None:
            continue
        interval = ""
        if metric.low is not None and metric.high is not None:
            interval = f"{number(metric.low)} to {number(metric.high)}"
        rows = f"{metric.n_rows:,}" if metric.n_rows else ""
        row = MetricRow(metric.name, metric.slice, number(metric.value), interval, rows)
        (sliced if metric.slice else whole).append(row)
    return whole, sliced[:MOST_SLICES]


def run_facts(view: RunView, now: datetime) -> list[Fact]:
    """What stands in the head of a run's page."""
    run = view.queued
    name = "Pull request" if run.pull else "Branch"
    facts = [
        Fact("Commit", run.commit[:12], web_link(view.commit_url), code=True),
        Fact(name, f"{run_place(run)}{' from a fork' if run.fork else ''}", web_link(view.pull_url)),
        Fact("Started by", run.cause or run.purpose.replace("_", " ")),
        Fact("Queued", moment(run.queued_at)),
    ]
    took = _took(run, now)
    if took:
        facts.append(Fact("Time", took))
    if run.gpu_seconds:
        facts.append(Fact("GPU time", seconds(run.gpu_seconds)))
    if run.attempt > 1:
        facts.append(Fact("Attempt", str(run.attempt)))
    if view.sandbox:
        alone = view.sandbox == "none"
        facts.append(Fact("Sandbox", view.sandbox, tone="bad" if alone else ""))
    if run.overrides:
        facts.append(Fact("Overrides", " ".join(run.overrides), code=True))
    if view.run is not None and view.run.model_digest:
        facts.append(Fact("Model", view.run.model_digest[:12], code=True))
    return facts


def run_sentence(run: QueuedRun) -> str:
    """Why a run stands as it does, in a sentence; empty when there is nothing to add."""
    if run.reason:
        return run.reason
    if run.state == "held":
        return (
            "Code from a fork: nothing of it runs until somebody with write access approves this very commit."
        )
    return run.cancel


def shown_step(view: RunView, asked: str) -> str:
    """The step whose output a page shows: the one that is asked for, else the one people want to see."""
    steps = view.run.steps if view.run else ()
    if any(step.name == asked for step in steps):
        return asked
    for state in ("failed", "cancelled", "running"):
        for step in steps:
            if step.state == state:
                return step.name
    ran = [step.name for step in steps if step.state == "ran"]
    # The user's own code is what prints: of a run that went well its training.
    return "train" if "train" in ran else ran[-1] if ran else ""


def silence(view: RunView, step: str) -> str:
    """What to say of a step without output; empty while there may still be some."""
    state = next((item.state for item in view.run.steps if item.name == step), "") if view.run else ""
    if state in ("ran", "failed", "cancelled"):
        return "It printed nothing."
    return "It did not run here, so it printed nothing." if state in ("reused", "skipped") else ""


def _took(run: QueuedRun, now: datetime) -> str:
    if run.started_at is None:
        return ""
    return seconds(((run.ended_at or now) - run.started_at).total_seconds())


def web_link(url: str) -> str:
    """The address, when it is one of the web; else nothing."""
    return url if url.startswith(("https://", "http://")) else ""
