"""Checks of a commit: one for the commit as a whole, one a spec, and one a gate if that is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

from fiat.builtin.page_json import items, mapping
from fiat.builtin.report_check_notes import gate_notes, spec_notes
from fiat.builtin.report_check_words import (
    NO_CHANGE,
    gate_section,
    gate_slug,
    line,
    on_purpose,
    progress_text,
    runs_text,
    verdict_text,
)
from fiat.builtin.report_markdown import cut
from fiat.builtin.view_text import visible
from fiat.errors import SpecError
from fiat.ports.deploy import MOVING
from fiat.ports.report import Told
from fiat.run.model import GateResult, Run, StepResult, Verdict
from fiat.run.queue import Change, QueuedRun, check_word
from fiat.run.report import Annotation, Check, CheckState, Deployed, DeployState

HEADS, TAGS = "refs/heads/", "refs/tags/"
_LONGEST_PART = 60
_STATES: dict[Verdict | None, CheckState] = {
    "pass": "success",
    "warn": "success",
    "fail": "failure",
    "error": "error",
    None: "error",
}
_GATE_STATES: dict[str, tuple[CheckState, str]] = {
    "pass": ("success", ""),
    "warn": ("success", "warning: "),
    "skipped": ("success", "not judged: "),
    "fail": ("failure", ""),
}
_DEPLOYS: dict[str, tuple[DeployState, str]] = {
    "ran": ("success", "deployed"),
    "failed": ("failure", "failed"),
    "cancelled": ("error", "cancelled"),
}


@dataclass(frozen=True)
class Manner:
    """How a runner speaks about one repository.

    Attributes:
        context: first part of the names of its checks.
        url: address of the runner's pages without a slash at its end; empty for checks without links.
        sandboxed: whether code runs in a sandbox; that it does not stands in every check.
        gate_checks: one check a gate beside the one a spec.
        comments: write comments on pull requests.
        commands: comments are read, so what is said may name commands.
    """

    context: str = "fiat"
    url: str = ""
    sandboxed: bool = True
    gate_checks: bool = False
    comments: bool = True
    commands: bool = True


def context_name(manner: Manner, subject: Change | QueuedRun, spec: str = "", gate: str = "") -> str:
    """The name of a check: `fiat/pr` for all of a commit, `fiat/pr/fashion`, `fiat/pr/fashion/recall-by-label`.

    See `check_word` for the second part.
    """
    parts = (check_word(subject), *(_part(name) for name in (spec, gate) if name))
    return "/".join([manner.context, *parts])


def run_url(manner: Manner, run_id: str) -> str:
    """The page of a run; empty when there are no pages."""
    return f"{manner.url}/runs/{run_id}" if manner.url else ""


def short_ref(ref: str) -> str:
    """A branch or tag without what git puts before it."""
    return ref.removeprefix(HEADS).removeprefix(TAGS)


def change_check(manner: Manner, change: Change, runs: Sequence[QueuedRun]) -> Check:
    """The check of a commit as a whole; it is the one to require before a merge.

    Args:
        manner: how to speak.
        change: the commit.
        runs: all that came of it; none while it waits to be looked at.
    """
    if runs:
        state, said = runs_text(runs)
        cancelled = state == "error" and all(on_purpose(run.reason) for run in runs if run.verdict == "error")
        return _check(manner, change, state, said, cancelled=cancelled)
    if change.state != "done":
        return _check(manner, change, "pending", "queued")
    state = _STATES[change.verdict]
    cancelled = state == "error" and on_purpose(change.reason)
    return _check(manner, change, state, change.reason or NO_CHANGE, cancelled=cancelled)


def waiting_check(
    manner: Manner, run: QueuedRun, errors: Sequence[SpecError] = (), summary: str = ""
) -> Check:
    """The check of a run as the queue has it: held, queued, or over without a record.

    Args:
        manner: how to speak.
        run: the queue's row.
        errors: faults of its spec; they make it a failure, for it is the commit that is at fault.
        summary: Markdown for check runs.
    """
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        notes = spec_notes(errors, run.spec_path)
        said = f"spec error: {errors[0]}{more}"
        return _check(manner, run, "failure", said, summary=summary, annotations=notes)
    if run.state == "done":
        state, said = _STATES[run.verdict], run.reason or "ended without a verdict"
        cancelled = state == "error" and on_purpose(run.reason)
        return _check(manner, run, state, said, summary=summary, cancelled=cancelled)
    if run.state == "held":
        how = (
            f"the comment /fiat approve {run.commit}" if manner.commands else "an approval on the run's page"
        )
        said = f"from a fork: needs {how}"
        return _check(manner, run, "pending", said, summary=summary)
    return _check(manner, run, "pending", "running" if run.state == "running" else "queued", summary=summary)


def running_check(
    manner: Manner, run: QueuedRun, steps: Sequence[StepResult], n_steps: int, summary: str = ""
) -> Check:
    """The check of a run on its way.

    Args:
        manner: how to speak.
        run: the queue's row.
        steps: as they stand.
        n_steps: of the whole plan.
        summary: Markdown for check runs.
    """
    return _check(manner, run, "pending", progress_text(steps, n_steps), summary=summary)


def ended_check(manner: Manner, run: QueuedRun, told: Told, summary: str = "") -> Check:
    """The check of a run that has its verdict, with remarks at its gates."""
    record = told.run
    state = _STATES[record.verdict]
    notes = gate_notes(record.gates, told.where, run.spec_path) if state != "error" else ()
    cancelled = state == "error" and on_purpose(record.reason)
    said = verdict_text(record, told.baseline_metrics)
    return _check(manner, run, state, said, summary=summary, annotations=notes, cancelled=cancelled)


def gate_checks(manner: Manner, run: QueuedRun, record: Run) -> tuple[Check, ...]:
    """One check a gate; a gate that the run did not get to is an error, so that none keeps what it said before."""
    judged = {gate.key: gate for gate in record.gates}
    keys = [f"gates[{place}]" for place in range(len(items(record.config.get("gates"))))]
    used: dict[str, int] = {}
    checks = []
    for key in dict.fromkeys([*keys, *judged]):
        gate = judged.get(key)
        slug = gate_slug(gate.name if gate else key, mapping(gate_section(key, record.config)))
        used[slug] = used.get(slug, 0) + 1
        name = slug if used[slug] == 1 else f"{slug}-{used[slug]}"
        state, said = _gate_said(gate, record.reason)
        checks.append(
            _check(manner, run, state, said, gate=name, cancelled=not gate and on_purpose(record.reason))
        )
    return tuple(checks)


def _gate_said(gate: GateResult | None, reason: str) -> tuple[CheckState, str]:
    if gate is None:
        return "error", f"not judged: {reason or 'the run did not get there'}"
    state, word = _GATE_STATES[gate.state]
    return state, f"{word}{gate.reason}"


def deployments(manner: Manner, run: QueuedRun, steps: Sequence[StepResult]) -> tuple[Deployed, ...]:
    """How each target stands that a run which is over has changed; one that had the model already says nothing.

    That a deployment has begun is not told: a run that is killed then and parked would leave it so for ever. One whose
    traffic is still moved when the run is over is told in progress: whoever follows it tells the end.
    """
    return tuple(
        Deployed(
            commit=run.commit,
            environment=f"{run.spec}/{target}",
            state="in_progress" if step.resources.get("phase") in MOVING else _DEPLOYS[step.state][0],
            description=line(step.reason or _DEPLOYS[step.state][1], sandboxed=manner.sandboxed),
            url=run_url(manner, run.id),
            key=f"{run.id} {target}",
        )
        for step in steps
        if step.kind == "deploy" and step.state in _DEPLOYS
        for target in [step.name.removeprefix("deploy.")]
    )


def _check(
    manner: Manner,
    subject: Change | QueuedRun,
    state: CheckState,
    said: str,
    *,
    gate: str = "",
    summary: str = "",
    annotations: tuple[Annotation, ...] = (),
    cancelled: bool = False,
) -> Check:
    is_run = isinstance(subject, QueuedRun)
    page = "runs" if is_run else "changes"
    return Check(
        commit=subject.commit,
        context=context_name(manner, subject, subject.spec if isinstance(subject, QueuedRun) else "", gate),
        state=state,
        description=line(said, sandboxed=manner.sandboxed),
        url=f"{manner.url}/{page}/{subject.id}" if manner.url else "",
        ref="" if subject.pull else short_ref(subject.ref),
        head_repo_id=subject.head_repo_id if subject.fork else "",
        summary=summary,
        annotations=annotations,
        cancelled=cancelled,
    )


def _part(name: str) -> str:
    """A part of a check's name: no blanks, no slashes, and small letters since forges don't tell large ones apart."""
    return cut("-".join(visible(name).lower().replace("/", "-").split()), _LONGEST_PART)
