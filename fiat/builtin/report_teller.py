"""Puts what a runner does into words for a forge: checks, the comment on a pull request, deployments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fiat.builtin.report_check import (
    Manner,
    change_check,
    deployments,
    ended_check,
    gate_checks,
    run_url,
    running_check,
    short_ref,
    waiting_check,
)
from fiat.builtin.report_check_words import on_purpose
from fiat.builtin.report_comment import (
    Topic,
    broken_body,
    ended_body,
    held_body,
    plan_body,
    pull_comment,
    result_body,
)
from fiat.errors import SpecError
from fiat.plan.model import Decision, Plan
from fiat.ports.report import Told
from fiat.run.model import Run
from fiat.run.queue import Change, QueuedRun
from fiat.run.report import Report


@dataclass(frozen=True)
class ForgeTeller:
    """The words of a runner. Implements `fiat.ports.report.Teller`.

    Attributes:
        manners: repository, by its name in the runner's settings, to how it is spoken about.
    """

    manners: Mapping[str, Manner] = field(default_factory=dict)

    def change(self, change: Change, runs: Sequence[QueuedRun]) -> tuple[Report, ...]:
        """The check of a commit as a whole, from all runs that came of it; no runs yet means pending."""
        return (change_check(self._manner(change.repo), change, runs),)

    def waits(self, run: QueuedRun, errors: Sequence[SpecError] = ()) -> tuple[Report, ...]:
        """A run as the queue has it: held, waiting, or done without a record.

        A comment is written only where there is something to do: an approval, faults of the spec, a run that broke. One
        that a newer commit ended leaves the comment to that commit's run.
        """
        manner, topic = self._manner(run.repo), self._topic(run)
        body = ""
        if errors:
            body = broken_body(topic, errors)
        elif run.state == "held":
            body = held_body(topic)
        check = waiting_check(manner, run, errors, body)
        if run.state == "done" and run.verdict == "error" and not errors and not on_purpose(run.reason):
            body = ended_body(topic, run.reason)
        return (check, *self._comment(manner, topic, body))

    def runs(
        self,
        run: QueuedRun,
        record: Run,
        plan: Plan,
        decisions: Sequence[Decision],
        expected_s: Mapping[str, Sequence[float]],
    ) -> tuple[Report, ...]:
        """A run on its way: the plan with what earlier runs of its steps took, and how far it is."""
        manner, topic = self._manner(run.repo), self._topic(run)
        body = plan_body(topic, plan, decisions, expected_s)
        check = running_check(manner, run, record.steps, len(plan.steps), body)
        return (check, *self._comment(manner, topic, body))

    def ends(self, run: QueuedRun, told: Told) -> tuple[Report, ...]:
        """A run that has its verdict."""
        manner, topic = self._manner(run.repo), self._topic(run)
        body = result_body(replace(topic, refused=told.refused, logs=told.logs), told)
        reports: list[Report] = [ended_check(manner, run, told, body)]
        if not on_purpose(told.run.reason):
            reports += self._comment(manner, topic, body)
        if manner.gate_checks:
            reports += gate_checks(manner, run, told.run)
        return (*reports, *deployments(manner, run, told.run.steps))

    def _manner(self, repo: str) -> Manner:
        return self.manners.get(repo, Manner())

    def _topic(self, run: QueuedRun) -> Topic:
        manner = self._manner(run.repo)
        return Topic(
            repo=run.repo,
            spec=run.spec,
            commit=run.commit,
            # The comment is about what the pull request says, not about what somebody tries on it.
            pull=0 if run.overrides else run.pull,
            base=short_ref(run.ref),
            run=run.id,
            url=run_url(manner, run.id),
            sandboxed=manner.sandboxed,
            commands=manner.commands,
        )

    def _comment(self, manner: Manner, topic: Topic, body: str) -> tuple[Report, ...]:
        return (pull_comment(topic, body),) if body and topic.pull and manner.comments else ()
