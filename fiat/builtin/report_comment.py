"""The one comment of a spec on a pull request, and the same text as a summary: first the plan, at the end the verdict."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fiat.builtin.command_words import USAGE
from fiat.builtin.page_model import RunPage
from fiat.builtin.report_check_words import on_purpose
from fiat.builtin.report_comment_metrics import (
    gates_part,
    gates_summary,
    metrics_part,
    slice_count,
    slices_part,
)
from fiat.builtin.report_comment_plan import plan_part
from fiat.builtin.report_comment_plots import curves_part, plots_part
from fiat.builtin.report_comment_record import (
    anomalies_part,
    changed_part,
    data_part,
    dataset_count,
    deploys_part,
    logs_part,
    refused_part,
    steps_part,
    steps_summary,
    warnings_part,
)
from fiat.builtin.report_markdown import MOST_CHARS, Part, code, details, join, link, prose, table
from fiat.builtin.view_run import run_seconds
from fiat.builtin.view_text import count, seconds, visible
from fiat.errors import SpecError
from fiat.plan.model import Decision, Plan
from fiat.ports.report import Told
from fiat.run.model import Run
from fiat.run.report import PullComment

MOST_ERRORS = 30
_VERDICTS = {
    "pass": "✅ {} passed",
    "warn": "⚠️ {} passed with warnings",
    "fail": "❌ {} is refused",
    "error": "⛔ {} failed",
    None: "⛔ {} did not finish",
}


@dataclass(frozen=True)
class Topic:
    """What a comment is about.

    Attributes:
        repo: repository, by its name in the runner's settings.
        spec: the spec's name.
        commit: full hash.
        pull: number of the pull request, 0 for a summary.
        base: branch that the pull request wants to go to.
        run: id of the run, empty when there is none.
        url: page of the run or of its change; empty for none.
        sandboxed: whether code runs in a sandbox.
        refused: sentences that say which rule refuses something that the commit asks for.
        logs: step that failed to its last lines; only where whoever reads the comment may read them.
        commands: whether comments are read: where they are not, the run's page is named.
    """

    repo: str
    spec: str
    commit: str
    pull: int = 0
    base: str = ""
    run: str = ""
    url: str = ""
    sandboxed: bool = True
    refused: tuple[str, ...] = ()
    logs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    commands: bool = True


def marker(repo: str, spec: str) -> str:
    """What finds the comment of a spec again: a digest, so that no name can end the HTML comment."""
    digest = hashlib.sha256("\n".join((repo, spec)).encode("utf-8", "replace"))
    return f"<!-- fiat:{digest.hexdigest()[:24]} -->"


def pull_comment(topic: Topic, body: str) -> PullComment:
    """A body as the comment of the topic's spec."""
    return PullComment(topic.pull, marker(topic.repo, topic.spec), body)


def plan_body(
    topic: Topic, plan: Plan, decisions: Sequence[Decision], expected_s: Mapping[str, Sequence[float]]
) -> str:
    """What runs, what is reused and why, and what it will take.

    Args:
        topic: what it is about.
        plan: the graph.
        decisions: for each step as far as it is known.
        expected_s: step to the seconds of its last runs, the newest first.
    """
    parts = [
        Part(f"### ⏳ {code(topic.spec)} runs"),
        Part(_facts(topic)),
        Part(refused_part(topic.refused)),
        Part(plan_part(plan, decisions, expected_s, deploys=not topic.pull), "the plan", 1),
        Part(_again(topic)),
    ]
    return join(parts)


def result_body(topic: Topic, told: Told) -> str:
    """The verdict with everything that it rests on; what is not there has no section.

    It has at most MOST_CHARS characters, and says what was left out.
    """
    run, page = told.run, _page(told)
    gates = (
        details(gates_summary(run.gates), gates_part(run.gates), is_open=run.verdict != "pass")
        if run.gates
        else ""
    )
    parts = [
        Part(f"### {_headline(run).format(code(topic.spec))}"),
        Part(prose(run.reason)),
        Part(_facts(topic, run)),
        Part(refused_part([reason for reason in topic.refused if reason not in run.reason])),
        Part(logs_part(topic.logs), "the logs", 5),
        Part(anomalies_part(told.data), "anomalies", 8),
        Part(metrics_part(page), "metrics", 9),
        Part(gates, "gates", 8),
        Part(warnings_part(told.warnings), "warnings", 7),
        *_folded(page, told),
        Part(changed_part(told.changed, topic.base) if topic.pull else "", "what counts after the merge", 6),
        Part(deploys_part(run, topic.base, topic.refused) if topic.pull else ""),
        Part(_again(topic)),
    ]
    return join(parts, MOST_CHARS)


def _headline(run: Run) -> str:
    cancelled = run.verdict == "error" and on_purpose(run.reason)
    return "⛔ {} was cancelled" if cancelled else _VERDICTS[run.verdict]


def _folded(page: RunPage, told: Told) -> list[Part]:
    """What is only looked at now and then."""
    slices, data = slices_part(page), data_part(told.data)
    drawn = "\n\n".join(part for part in (curves_part(told.curves), plots_part(told.plots)) if part)
    n_slices = slice_count(told.run.metrics)
    found = (
        ("slices", 4, f"Slices: {n_slices:,}, the worst first", slices),
        ("plots", 2, "Plots", drawn),
        ("data", 1, f"Data: {count(dataset_count(told.data), 'dataset')}", data),
        ("steps", 3, steps_summary(told.run.steps), steps_part(told.run.steps)),
    )
    return [Part(details(title, body), name, weight) for name, weight, title, body in found if body]


def held_body(topic: Topic) -> str:
    """Strangers' code waits: who may start it, and with which words."""
    return join(
        [
            Part(f"### ✋ {code(topic.spec)} waits for approval"),
            *_approval(topic),
            Part(
                "It then runs without secrets, without a network and without deploying anything, by the spec of the base "
                "branch. Another commit needs another approval."
            ),
            Part(_facts(topic)),
        ]
    )


def _approval(topic: Topic) -> tuple[Part, ...]:
    who = "This commit comes from a fork. Somebody who may write to this repository can look at it and then "
    if not topic.commands:
        return (Part(f"{who}start it on {link('the page of the run', topic.url)}."),)
    # In a block it is no command of this comment's own, and GitHub gives it a button to copy it.
    command = f"```text\n/fiat approve {visible(topic.commit)}\n```"
    return Part(f"{who}start it with a comment of this one line:"), Part(command)


def broken_body(topic: Topic, errors: Sequence[SpecError]) -> str:
    """The faults of a spec."""
    rows = [
        (
            code(str(error.where)) if error.where else "",
            code(error.where.key) if error.where and error.where.key else "",
            prose(error.message) + (f"; {prose(error.hint)}" if error.hint else ""),
        )
        for error in errors[:MOST_ERRORS]
    ]
    more = len(errors) - len(rows)
    parts = [
        Part(f"### ❌ {code(topic.spec)} can't run"),
        Part(f"The spec has {count(len(errors), 'fault')}."),
        Part(_facts(topic)),
        Part(
            table(("where", "key", "what is wrong"), rows)
            + (f"\n\n{more:,} more not shown." if more else ""),
            "faults",
            1,
        ),
    ]
    return join(parts)


def ended_body(topic: Topic, reason: str) -> str:
    """A run that ended without a record: cancelled, parked."""
    title = Part(f"### ⛔ {code(topic.spec)} did not finish")
    return join([title, Part(prose(reason)), Part(_facts(topic)), Part(_again(topic))])


def reply_comment(topic: Topic, said: str) -> PullComment:
    """An answer to a command: one comment of its own on the pull request, the newest answer stands in it.

    Args:
        topic: what it is about; its spec does not matter.
        said: plain text, which may be hostile.
    """
    known = details("What can be asked for in a comment", USAGE)
    return PullComment(topic.pull, marker(topic.repo, "/ commands"), join([Part(prose(said)), Part(known)]))


def _page(told: Told) -> RunPage:
    return RunPage(
        run=told.run,
        plots=told.plots,
        curves=told.curves,
        evaluation=told.evaluation,
        baseline=told.baseline_name,
        baseline_metrics=told.baseline_metrics or None,
        data=told.data,
        warnings=told.warnings,
    )


def _facts(topic: Topic, run: Run | None = None) -> str:
    """Commit, run, time, and what everybody should know of the sandbox."""
    told = [f"Commit {code(topic.commit[:12])}"] if topic.commit else []
    if topic.run:
        told.append(link(f"run {code(topic.run)}", topic.url))
    elif topic.url:
        told.append(link("details", topic.url))
    if run is not None and run.ended_at:
        told.append(seconds(run_seconds(run)))
    if not topic.sandboxed:
        told.append("**sandbox off**")
    return " · ".join(told)


def _again(topic: Topic) -> str:
    """How to start it again; the words stand within a line, where they are no command."""
    if not topic.pull:
        return ""
    if not topic.commands:
        return f"It can be run again on {link('the page of the run', topic.url)}." if topic.url else ""
    return f"To run it again, comment {code(f'/fiat run {topic.spec}')}."
