"""What a run records. Frozen values; the store gives and takes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

StepState = Literal["waiting", "running", "ran", "reused", "failed", "skipped", "cancelled"]
Verdict = Literal["pass", "warn", "fail", "error"]
RunState = Literal["running", "done", "interrupted"]


@dataclass(frozen=True)
class Metric:
    """One number.

    Attributes:
        name: such as `accuracy`.
        value: the number; NaN and infinities are allowed.
        step: x axis of a training curve, None for a final value.
        slice: such as `label=7` or `sex=F,age_group=30-40`; empty for all rows.
        low: lower end of its confidence interval, None when it has none.
        high: upper end.
        n_rows: rows it was computed on; 0 when it does not apply.
    """

    name: str
    value: float
    step: int | None = None
    slice: str = ""
    low: float | None = None
    high: float | None = None
    n_rows: int = 0


@dataclass(frozen=True)
class GateResult:
    """What one gate said.

    Attributes:
        name: how people call it, such as `accuracy >= 0.88` or `recall by label >= 0.6`.
        state: `pass`, `warn` (refused with severity warn), `fail`, or `skipped` (nothing to compare with).
        reason: one sentence with the numbers.
        value: the number judged, None when there is none.
        limit: the number it was judged by, None when there is none.
        key: key path in the spec, such as `gates[1]`.
    """

    name: str
    state: Literal["pass", "warn", "fail", "skipped"]
    reason: str
    value: float | None = None
    limit: float | None = None
    key: str = ""


@dataclass(frozen=True)
class Artifact:
    """A file or folder in the store.

    Attributes:
        digest: MD5 in DVC's way: 32 hex digits, and `.dir` behind it for a folder.
        size_bytes: content, all files together.
        n_files: 1 for a file.
    """

    digest: str
    size_bytes: int
    n_files: int = 1


@dataclass(frozen=True)
class Result:
    """What a step's work made once, found again by its fingerprint.

    Attributes:
        fingerprint: of the work, 64 hex digits (SHA-256).
        step: name under which it was made.
        spec: name of the spec that made it.
        run: id of the run that made it.
        outputs: name to artifact.
        parts: what the fingerprint was made of, part to value, for `fiat explain`.
        observed: files of the checkout that the work was seen to read beyond its declared inputs, path to
            digest (`-` for a file that was looked for and absent); reuse needs them unchanged.
        metrics: named numbers that the work printed or returned.
        facts: JSON values.
        warnings: sentences.
        seconds: how long the work took.
        made_at: aware UTC.
    """

    fingerprint: str
    step: str
    spec: str
    run: str
    outputs: Mapping[str, Artifact]
    parts: Mapping[str, object]
    observed: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    made_at: datetime | None = None


@dataclass(frozen=True)
class StepResult:
    """One step of one run.

    Attributes:
        name: the step's name in the plan.
        kind: its kind.
        state: see StepState.
        reason: why it ran, was reused, failed or was skipped, one sentence.
        seconds: wall clock of its work in this run; 0 when reused.
        attempt: 1 for the first try; 0 when it did not start.
        fingerprint: empty while an input is unknown.
        outputs: name to artifact.
        started_at: aware UTC, None when it did not start.
        ended_at: aware UTC.
        resources: what it asked for and peaked at, JSON values (`cpus`, `gpus`, `peak_memory_bytes`, ...).
    """

    name: str
    kind: str
    state: StepState
    reason: str = ""
    seconds: float = 0.0
    attempt: int = 0
    fingerprint: str = ""
    outputs: Mapping[str, Artifact] = field(default_factory=dict)
    started_at: datetime | None = None
    ended_at: datetime | None = None
    resources: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One walk of one plan.

    Attributes:
        id: sortable by time, such as `20261121-061500-4f2a`.
        spec: the spec's name.
        spec_path: as the user named it.
        spec_digest: SHA-256 of the composed spec.
        plan_digest: SHA-256 of the plan.
        commit: git commit of the checkout, empty outside git.
        branch: git branch, empty when detached or outside git.
        dirty: the working tree differed from the commit.
        overrides: as typed.
        config: the composed, resolved spec, JSON values.
        state: see RunState.
        verdict: None until it is known.
        reason: one sentence about the verdict.
        started_at: aware UTC.
        ended_at: aware UTC.
        pid: process that drives it; with `host`, to tell a crashed run from a running one.
        host: its host name.
        steps: in plan order.
        metrics: every metric of the run with its step in `name`'s prefix left out; see MetricRow in the store for curves.
        gates: in spec order.
        model_digest: digest of the packaged model, empty when there is none.
    """

    id: str
    spec: str
    spec_path: str
    spec_digest: str
    plan_digest: str
    commit: str
    branch: str
    dirty: bool
    overrides: tuple[str, ...]
    config: Mapping[str, object]
    state: RunState
    verdict: Verdict | None
    reason: str
    started_at: datetime
    ended_at: datetime | None = None
    pid: int = 0
    host: str = ""
    steps: tuple[StepResult, ...] = ()
    metrics: tuple[Metric, ...] = ()
    gates: tuple[GateResult, ...] = ()
    model_digest: str = ""


@dataclass(frozen=True)
class Release:
    """A model that passed its gates on a branch: what a baseline and a deploy refer to.

    Attributes:
        model: the model's name (`model.name`, or the spec's name).
        alias: such as `champion`; empty when the spec names none.
        branch: branch it was released from.
        commit: commit it was released from.
        run: run that released it.
        digest: digest of its package.
        fingerprint: fingerprint of the export step: a model is never its own baseline.
        released_at: aware UTC.
    """

    model: str
    alias: str
    branch: str
    commit: str
    run: str
    digest: str
    fingerprint: str
    released_at: datetime
