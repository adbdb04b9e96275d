"""What a CI job is told in Markdown: the same words that a runner writes on a pull request."""

from collections.abc import Iterable, Sequence

from fiat.builtin.report_comment import Topic, broken_body, ended_body, pull_comment, result_body
from fiat.builtin.report_comment_plan import plan_part
from fiat.builtin.report_markdown import Part, code, join
from fiat.errors import FiatError, SpecError, SpecErrors
from fiat.plan.model import Decision
from fiat.ports.report import Told
from fiat.run.report import PullComment
from fiat.wiring.ci_job import Job
from fiat.wiring.desk import Desk


def topic_of(job: Job, spec: str, commit: str, run: str = "") -> Topic:
    """What the texts are about.

    It names no pull request: the words for one tell of comments that start a run, and nobody listens to those here.
    """
    return Topic(repo=job.repository, spec=spec, commit=commit, run=run, url=job.run_url)


def plan_text(topic: Topic, desk: Desk, decisions: Sequence[Decision]) -> str:
    """What would run, what would be reused and why, and what it took the last times."""
    expected_s = desk.store.runs.step_seconds(desk.loaded.spec.name)
    plan = plan_part(desk.plan, decisions, expected_s)
    return join([Part(f"### Plan of {code(topic.spec)}"), Part(plan, "the plan", 1)])


def result_text(topic: Topic, told: Told) -> str:
    """The verdict with everything that it rests on."""
    return result_body(topic, told)


def error_text(topic: Topic, error: FiatError) -> str:
    """Why there is no verdict: the faults of the spec, or of the machine."""
    if isinstance(error, SpecErrors):
        return broken_body(topic, error.errors)
    if isinstance(error, SpecError):
        return broken_body(topic, [error])
    return ended_body(topic, f"{error.message}{f' ({error.hint})' if error.hint else ''}")


def with_notes(text: str, notes: Iterable[str]) -> str:
    """The text with sentences of our own about the job behind it."""
    told = "\n".join(f"> {note}" for note in notes)
    return f"{text}\n\n{told}\n" if told else text


def comment_of(job: Job, topic: Topic, text: str) -> PullComment:
    """The text as the comment of its spec on the job's pull request."""
    found = pull_comment(topic, text)
    return PullComment(job.pull, found.marker, found.body)
