"""The words of a runner: how each repository is spoken about, and answers to comments."""

from collections.abc import Mapping, Sequence

from fiat.builtin.command_words import Command, parse, says
from fiat.builtin.report_check import Manner
from fiat.builtin.report_comment import Topic, reply_comment
from fiat.builtin.report_target import target_reports
from fiat.builtin.report_teller import ForgeTeller
from fiat.engine.targets import Words
from fiat.ports.deploy import TargetState
from fiat.run.deployment import Deployment
from fiat.run.report import Report
from fiat.wiring.runner_settings import RunnerSettings


def make_teller(settings: RunnerSettings) -> ForgeTeller:
    """Words for every repository of a runner."""
    return ForgeTeller(make_manners(settings))


def target_words(settings: RunnerSettings) -> Words:
    """Reports of a repository about a place that a model went to."""
    manners = make_manners(settings)

    def words(
        repo: str, deployment: Deployment, state: TargetState, drift: Sequence[str]
    ) -> tuple[Report, ...]:
        return target_reports(manners.get(repo, Manner()), deployment, state, drift)

    return words


def make_manners(settings: RunnerSettings) -> Mapping[str, Manner]:
    """How each repository is spoken about."""
    return {
        repository.policy.name: Manner(
            context=repository.policy.context,
            url=settings.url,
            sandboxed=settings.sandbox.kind != "none",
            gate_checks=repository.policy.gate_checks,
            commands=repository.webhooks,
        )
        for repository in settings.repositories
    }


class CommentLanguage:
    """Implements `fiat.engine.commands.Language`."""

    def read(self, text: str) -> Command | None:
        """The command of a comment."""
        return parse(text)

    def says(self, text: str, phrase: str) -> bool:
        """Whether a comment has a line that starts with a phrase."""
        return says(text, phrase)

    def reply(self, repo: str, pull: int, said: str) -> Report:
        """The answer to a command."""
        return reply_comment(Topic(repo=repo, spec="", commit="", pull=pull), said)
