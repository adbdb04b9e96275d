"""The forms of the API's answers: what programs may rely on."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from fiat.run.model import StepResult
from fiat.run.queue import Change, QueuedRun
from fiat.run.report import Check, Letter, PullComment
from fiat.run.view import ChangeView, RunView

PurposeName = Literal["push", "pull_request", "schedule", "data", "manual", "rollback"]
RunStateName = Literal["held", "waiting", "running", "done"]
VerdictName = Literal["pass", "warn", "fail", "error"]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


# JSON has no word for infinities and the result of 0/0.
Finite = Annotated[float | None, BeforeValidator(_finite)]


class MetricAnswer(BaseModel):
    """One number of a run."""

    name: str
    value: Finite = Field(description="null when it is not finite.")
    slice: str = Field(description="Part of the rows; empty for all.")
    low: Finite = Field(description="Lower end of its confidence interval.")
    high: Finite = Field(description="Upper end.")
    n_rows: int


class GateAnswer(BaseModel):
    """What one gate said."""

    name: str
    state: Literal["pass", "warn", "fail", "skipped"]
    reason: str
    value: Finite
    limit: Finite


class StepAnswer(BaseModel):
    """One step of a run."""

    name: str
    kind: str
    state: Literal["waiting", "running", "ran", "reused", "failed", "skipped", "cancelled"]
    reason: str
    seconds: float
    attempt: int
    started_at: datetime | None
    ended_at: datetime | None


class RunAnswer(BaseModel):
    """One spec at one commit, in a list."""

    id: str
    change: str
    repo: str
    commit: str
    purpose: PurposeName
    ref: str
    pull: int = Field(description="Number of the pull request, 0 for none.")
    fork: bool
    spec: str
    spec_path: str
    state: RunStateName
    phase: Literal["train", "deploy"]
    verdict: VerdictName | None
    reason: str
    overrides: list[str] = Field(description="What was asked for in place of what the spec says.")
    cause: str
    cancel: str = Field(description="Why it shall end; empty when nobody wants that.")
    attempt: int
    priority: int
    gpu_seconds: float
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    url: str = Field(description="Page of the run.")


class WholeRunAnswer(RunAnswer):
    """One run with everything that is known about it."""

    sandbox: str
    commit_url: str
    pull_url: str
    model_digest: str
    steps: list[StepAnswer]
    metrics: list[MetricAnswer] = Field(description="Final values, curves left out.")
    gates: list[GateAnswer]


class RunsAnswer(BaseModel):
    """Some runs, newest first."""

    items: list[RunAnswer]
    next: str = Field(description="What to pass as `before` for older ones; empty at the end.")


class StepsAnswer(BaseModel):
    """The steps of a run, in plan order."""

    items: list[StepAnswer]


class ChangeAnswer(BaseModel):
    """A commit that wants attention."""

    id: str
    repo: str
    commit: str
    purpose: PurposeName
    ref: str
    pull: int
    fork: bool
    specs: list[str]
    overrides: list[str]
    cause: str
    state: Literal["new", "split", "done"]
    verdict: VerdictName | None
    reason: str
    made_at: datetime | None
    url: str


class WholeChangeAnswer(ChangeAnswer):
    """A change with its runs."""

    runs: list[RunAnswer]


class ChangesAnswer(BaseModel):
    """Some changes, newest first."""

    items: list[ChangeAnswer]
    next: str


class LetterAnswer(BaseModel):
    """A report that waits, or can't be delivered."""

    id: int
    repo: str
    channel: str
    state: Literal["waiting", "dead"]
    attempt: int
    reason: str
    kind: Literal["check", "comment", "deployment"]
    about: str = Field(description="The commit, or the pull request's number.")


class LettersAnswer(BaseModel):
    """Undelivered reports, oldest first."""

    items: list[LetterAnswer]


class CancelAnswer(BaseModel):
    """What became of a wish to end a run."""

    state: Literal["cancelled", "cancelling"]


class ApproveAnswer(BaseModel):
    """How many runs were let go."""

    released: int


def run_answer(run: QueuedRun, url: str) -> RunAnswer:
    """A run for a list; `url` is the server's public address."""
    return RunAnswer.model_validate(_run_fields(run, url))


def whole_run_answer(view: RunView, url: str) -> WholeRunAnswer:
    """A run with its record."""
    run = view.run
    return WholeRunAnswer.model_validate(
        {
            **vars(view),
            **_run_fields(view.queued, url),
            "model_digest": run.model_digest if run else "",
            "steps": step_answers(run.steps if run else ()),
            "metrics": [vars(metric) for metric in (run.metrics if run else ()) if metric.step is None],
            "gates": [vars(gate) for gate in (run.gates if run else ())],
        }
    )


def step_answers(steps: Sequence[StepResult]) -> list[StepAnswer]:
    """Steps in plan order."""
    return [StepAnswer.model_validate(vars(step)) for step in steps]


def change_answer(change: Change, url: str) -> ChangeAnswer:
    """A change for a list."""
    return ChangeAnswer.model_validate(_change_fields(change, url))


def whole_change_answer(view: ChangeView, url: str) -> WholeChangeAnswer:
    """A change with its runs."""
    runs = [run_answer(run, url) for run in view.runs]
    return WholeChangeAnswer.model_validate({**_change_fields(view.change, url), "runs": runs})


def letter_answer(letter: Letter) -> LetterAnswer:
    """A report in a few words."""
    report = letter.report
    if isinstance(report, PullComment):
        told = {"kind": "comment", "about": str(report.pull)}
    else:
        told = {"kind": "check" if isinstance(report, Check) else "deployment", "about": report.commit}
    return LetterAnswer.model_validate({**vars(letter), **told})


def _run_fields(run: QueuedRun, url: str) -> dict[str, object]:
    return {**vars(run), "url": f"{url}/runs/{run.id}"}


def _change_fields(change: Change, url: str) -> dict[str, object]:
    return {**vars(change), "url": f"{url}/changes/{change.id}"}
