"""What people ask for in comments and by buttons: done by the reconciler, since it must ask the forge who they are."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from fiat.engine.asks import SHORT, Asks
from fiat.engine.intake import find_repo
from fiat.engine.policy import HEADS
from fiat.engine.specs_at import SpecsAt
from fiat.engine.watched import Watched
from fiat.errors import SpecError, Stalled
from fiat.run.delivery import Commented, Delivery, Happening, PullChanged, Rerequested
from fiat.run.queue import CLOSED, Change
from fiat.run.report import Report, addressed
from fiat.store.store import Store

_MOST_NAMED = 10


class Word(Protocol):
    """A command as somebody wrote it.

    Attributes:
        verb: `run`, `cancel`, `approve`, `rollback`, or `unclear` when nobody knows.
        specs: names or paths of specs, for `run`; empty for all that the commit touches.
        commit: beginning of a hash, for `approve`.
        target: name of a deploy target, for `rollback`; empty for all.
        reply: what would be right, when it is unclear.
    """

    @property
    def verb(self) -> str:
        """What to do."""
        ...

    @property
    def specs(self) -> tuple[str, ...]:
        """For `run`."""
        ...

    @property
    def commit(self) -> str:
        """For `approve`."""
        ...

    @property
    def target(self) -> str:
        """For `rollback`."""
        ...

    @property
    def reply(self) -> str:
        """Plain text."""
        ...


class Language(Protocol):
    """Reads comments and words answers."""

    def read(self, text: str) -> Word | None:
        """The command of a comment, None when it has none."""
        ...

    def says(self, text: str, phrase: str) -> bool:
        """Whether a comment has a line that starts with a phrase."""
        ...

    def reply(self, repo: str, pull: int, said: str) -> Report:
        """The answer to a command, in plain words."""
        ...


@dataclass
class Commands:
    """Does what deliveries ask for beyond new commits.

    Attributes:
        store: with deliveries and the queue.
        repos: what is watched, by name.
        specs: for specs with a comment of their own as trigger.
        asks: does it.
        language: reads comments and words answers.
    """

    store: Store
    repos: Mapping[str, Watched]
    specs: SpecsAt
    asks: Asks
    language: Language

    def do(self, delivery: Delivery) -> str:
        """Do everything that a delivery asks for; gives one sentence for the record.

        Raises:
            Waiting: the forge does not answer now.
        """
        policy = find_repo(delivery, [watched.policy for watched in self.repos.values()])
        if policy is None:
            return "nobody watches this repository"
        watched = self.repos[policy.name]
        said = [self._happened(watched, delivery, happening) for happening in delivery.happenings]
        return "; ".join(text for text in said if text)

    def _happened(self, watched: Watched, delivery: Delivery, happening: Happening) -> str:
        if isinstance(happening, PullChanged) and happening.action == "closed":
            return self.asks.cancel_pull(watched, happening.number, CLOSED)
        if isinstance(happening, Rerequested):
            return self._rerequested(watched, delivery, happening)
        if not isinstance(happening, Commented):
            return ""
        word = self.language.read(happening.text)
        if word is None:
            return self._own_comment(watched, delivery, happening)
        if not self.may(watched, delivery):
            return f"{delivery.sender_name} may not ask for {word.verb}"
        try:
            if word.verb == "unclear":
                raise SpecError(word.reply)
            return self._obey(watched, happening, word, delivery.sender_name)
        except SpecError as error:
            if happening.pull:
                answer = self.language.reply(watched.policy.name, happening.pull, error.message)
                self.store.outbox.add([addressed(watched.policy.name, answer)])
            return error.message

    def may(self, watched: Watched, delivery: Delivery) -> bool:
        """Whether the sender may steer: by numeric id named by the operator, or with write access at the forge."""
        if not delivery.sender_id:
            return False
        if delivery.sender_id in watched.policy.approvers:
            return True
        if watched.forge is None:
            return False
        try:
            return watched.forge.may_write(delivery.sender_id, delivery.sender_name)
        except Stalled:
            return False

    def _obey(self, watched: Watched, asked: Commented, word: Word, who: str) -> str:
        if word.verb == "approve":
            return self._approve(watched, asked, word.commit, who)
        if word.verb == "cancel":
            reason = f"cancelled by {who}"
            if asked.pull:
                return self.asks.cancel_pull(watched, asked.pull, reason)
            return self.asks.cancel_commit(watched, asked.commit, reason)
        if word.verb == "rollback":
            return self._roll_back(watched, asked, word.target, who)
        return self._run(watched, asked, word.specs, who)

    def _run(self, watched: Watched, asked: Commented, specs: tuple[str, ...], who: str) -> str:
        """Run again: the head of the pull request as the forge has it now, or the commit that the comment is on."""
        if asked.pull:
            pull = self.asks.open_pull(watched, asked.pull)
            change = self.asks.pull_change(watched, pull, f"asked for by {who}")
        else:
            change = self.asks.commit_change(watched, asked.commit, f"asked for by {who}")
        if specs:
            known = self._specs_at(watched, change)
            if missing := [name for name in specs if name not in known and "/" not in name]:
                # Said here, for a mistyped name must not become a failed check.
                there = ", ".join(known[:_MOST_NAMED]) or "none"
                raise SpecError(f"There is no spec {missing[0]} here, but: {there}. Nothing was done.")
        self.asks.add(replace(change, specs=specs))
        return f"{who} asked for a run of {change.commit[:SHORT]}"

    def _specs_at(self, watched: Watched, change: Change) -> tuple[str, ...]:
        """Names of the specs that a change can be asked for."""
        watched.mirror.fetch([change.ref], [change.commit])
        at = watched.mirror.commit_of(change.ref) if change.fork else change.commit
        paths = watched.mirror.spec_files(at, watched.policy.specs)
        return tuple(sorted(card.name for card in self.specs.cards(watched, at, paths)))

    def _approve(self, watched: Watched, asked: Commented, commit: str, who: str) -> str:
        if not asked.pull:
            raise SpecError("an approval is a comment on the pull request")
        pull = self.asks.open_pull(watched, asked.pull)
        if not pull.commit.startswith(commit):
            raise SpecError(
                f"{commit[:40]} is not the head of pull request {pull.number}: nothing was approved"
            )
        released = self.asks.let_go(watched.policy.name, pull.number, pull.commit, who)
        return f"{who} approved {pull.commit[:SHORT]}: {released} runs"

    def _roll_back(self, watched: Watched, asked: Commented, target: str, who: str) -> str:
        """The models that came of a pull request or commit go back to what was released before them."""
        repo = watched.policy.name
        if asked.pull:
            runs = self.store.queue.of_pull(repo, asked.pull)
        else:
            changes = self.store.changes.of_commit(repo, asked.commit)
            runs = [run for change in changes for run in self.store.queue.of_change(change.id)]
        specs = dict.fromkeys(run.spec for run in runs if not target or self._deploys(run.id, target))
        if not specs:
            raise SpecError(f"nothing here deploys to {target}" if target else "nothing here was run yet")
        for spec in specs:
            self.asks.rollback(watched, spec, who)
        return f"rollback of {', '.join(specs)} by {who}"

    def _deploys(self, run_id: str, target: str) -> bool:
        try:
            return any(step.name == f"deploy.{target}" for step in self.store.runs.find(run_id).steps)
        except SpecError:
            return False

    def _rerequested(self, watched: Watched, delivery: Delivery, asked: Rerequested) -> str:
        """A button of a check. GitHub shows them to people with write access only; we ask all the same."""
        if not self.may(watched, delivery):
            return f"{delivery.sender_name} may not ask for a run"
        if asked.button == "approve":
            for change in self.store.changes.of_commit(watched.policy.name, asked.commit):
                if change.fork and change.pull:
                    self.asks.let_go(watched.policy.name, change.pull, asked.commit, delivery.sender_name)
            return f"{delivery.sender_name} approved {asked.commit[:SHORT]}"
        prefix, _, rest = asked.context.partition(f"{watched.policy.context}/")
        word, spec, *_ = (*rest.split("/"), "") if not prefix else ("", "")
        cause = f"asked for by {delivery.sender_name}"
        try:
            change = self.asks.commit_change(watched, asked.commit, cause, word)
            specs = (spec,) if spec and spec in self._specs_at(watched, change) else ()
            self.asks.add(replace(change, specs=specs))
        except SpecError as error:
            return error.message
        return f"{delivery.sender_name} asked for a run of {asked.commit[:SHORT]}"

    def _own_comment(self, watched: Watched, delivery: Delivery, asked: Commented) -> str:
        """A spec's `triggers.comment`: a text of its own that starts it."""
        if not asked.pull or watched.forge is None or not asked.text.strip():
            return ""
        # The forge is asked only about words that start something on some branch.
        started = {
            change.ref: names
            for change in self.store.changes.heads(watched.policy.name)
            if change.ref.startswith(HEADS) and (names := self._started(watched, change.commit, asked.text))
        }
        if not started or not self.may(watched, delivery):
            return ""
        names = started.get(self.asks.open_pull(watched, asked.pull).base_ref, ())
        return self._run(watched, asked, names, delivery.sender_name) if names else ""

    def _started(self, watched: Watched, commit: str, text: str) -> tuple[str, ...]:
        """Names of the specs at a commit that a comment starts by words of their own."""
        if not watched.mirror.has(commit):
            return ()
        paths = watched.mirror.spec_files(commit, watched.policy.specs)
        return tuple(
            read.name
            for read in self.specs.cards(watched, commit, paths)
            if read.loaded is not None
            and (triggers := read.loaded.spec.triggers) is not None
            and triggers.comment is not None
            and not triggers.comment.startswith("/fiat")
            and self.language.says(text, triggers.comment)
        )
