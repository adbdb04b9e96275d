"""What people ask for in comments and by buttons: done by the reconciler, since it must ask the forge who they are."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from fiat.engine.asks import SHORT, Asks, own_serial
from fiat.engine.intake import find_repo
from fiat.engine.policy import HEADS
from fiat.engine.pull_marks import PullMarks
from fiat.engine.specs_at import SpecsAt
from fiat.engine.watched import Watched
from fiat.errors import SpecError, Stalled
from fiat.run.delivery import Commented, Delivery, Happening, PullChanged, Rerequested
from fiat.run.queue import CLOSED, Change
from fiat.run.report import Report, addressed
from fiat.store.changes import serial_after
from fiat.store.store import Store

_MOST_NAMED = 10


class Word(Protocol):
    """A command as somebody wrote it.

    Attributes:
        verb: `run`, `cancel`, `approve`, `deploy`, `rollback`, or `unclear` when nobody knows.
        specs: names or paths of specs, for `run`; empty for all that the commit touches.
        commit: beginning of a hash, for `approve`.
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
        if isinstance(happening, PullChanged):
            return self._pull_changed(watched, happening)
        if isinstance(happening, Rerequested):
            return self._rerequested(watched, delivery, happening)
        if not isinstance(happening, Commented):
            return ""
        word = self.language.read(happening.text)
        if word is None:
            return self._own_comment(watched, delivery, happening)
        may = self.may_approve if word.verb == "approve" else self.may
        if not may(watched, delivery):
            return f"{delivery.sender_name} may not ask for {word.verb}"
        try:
            if word.verb == "unclear":
                raise SpecError(word.reply)
            return self._obey(watched, happening, word, delivery)
        except SpecError as error:
            if happening.pull:
                answer = self.language.reply(watched.policy.name, happening.pull, error.message)
                self.store.outbox.add([addressed(watched.policy.name, answer)])
            return error.message

    def _pull_changed(self, watched: Watched, told: PullChanged) -> str:
        if told.action == "closed":
            if self._is_open(watched, told.number):
                return "it was opened again meanwhile"
            return self.asks.cancel_pull(watched, told.number, CLOSED)
        if told.action == "opened" and told.number and watched.policy.watches(told.base_ref):
            # Its head has a change already when it was opened before: only what its close ended runs again.
            known = PullMarks(self.store).of_place(
                watched.policy.name, told.number, (told.commit, told.base_ref)
            )
            last = max(known, key=lambda change: change.id, default=None)
            if last is not None and PullMarks(self.store).closed(last):
                again = self.asks.once_more(last, f"pull request {told.number} was opened again")
                self.asks.add(again, serial_after(known))
                return again.cause
        return ""

    def _is_open(self, watched: Watched, number: int) -> bool:
        """Whether the forge has that pull request open, whatever a webhook that came late says."""
        if watched.forge is None:
            return False
        try:
            return any(pull.number == number for pull in watched.forge.pulls())
        except Stalled:
            return False

    def may_approve(self, watched: Watched, delivery: Delivery) -> bool:
        """Whether the sender may let strangers' code run: who may steer, and whom the operator names by numeric id."""
        named = bool(delivery.sender_id) and delivery.sender_id in watched.policy.approvers
        return named or self.may(watched, delivery)

    def may(self, watched: Watched, delivery: Delivery) -> bool:
        """Whether the sender may steer: with write access at the forge."""
        if not delivery.sender_id or watched.forge is None:
            return False
        try:
            return watched.forge.may_write(delivery.sender_id, delivery.sender_name)
        except Stalled:
            return False

    def _obey(self, watched: Watched, asked: Commented, word: Word, delivery: Delivery) -> str:
        who = delivery.sender_name
        if word.verb == "approve":
            return self._approve(watched, asked, word.commit, who)
        if word.verb == "cancel":
            reason = f"cancelled by {who}"
            if asked.pull:
                return self.asks.cancel_pull(watched, asked.pull, reason)
            return self.asks.cancel_commit(watched, asked.commit, reason)
        if word.verb == "rollback":
            return self._roll_back(watched, asked, delivery)
        if word.verb == "deploy":
            return self._deploy(watched, asked, delivery)
        return self._run(watched, asked, word.specs, delivery)

    def _deploy(self, watched: Watched, asked: Commented, delivery: Delivery) -> str:
        """Agree to deploy a commit that is the head of a branch that deploys, and let it run again: nothing is trained."""
        if asked.pull:
            # Whoever agrees has one commit before his eyes, and a pull request says nothing of the branch's head.
            raise SpecError("say it on the commit that is to be deployed, not on the pull request")
        heads = {
            change.commit: change
            for change in self.store.changes.heads(watched.policy.name)
            if watched.policy.protects(change.ref) and change.commit == asked.commit
        }
        if not heads:
            raise SpecError("only the head of a branch that deploys can be deployed: merge first")
        for commit in heads:
            self.asks.agree(watched.policy.name, commit, delivery.sender_name)
            change = self.asks.commit_change(watched, commit, f"deploy approved by {delivery.sender_name}")
            self.asks.add(change, _serial(delivery, commit))
        return (
            f"{delivery.sender_name} approved the deploy of {', '.join(commit[:SHORT] for commit in heads)}"
        )

    def _run(self, watched: Watched, asked: Commented, specs: tuple[str, ...], delivery: Delivery) -> str:
        """Run again: the head of the pull request as the forge has it now, or the commit that the comment is on."""
        who = delivery.sender_name
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
        self.asks.add(replace(change, specs=specs), _serial(delivery))
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
        try:
            released = self.asks.let_go(watched.policy.name, pull.number, pull.commit, who)
        except Stalled as error:
            raise SpecError(f"{error.message}: nothing was approved") from error
        return f"{who} approved {pull.commit[:SHORT]}: {released} runs"

    def _roll_back(self, watched: Watched, asked: Commented, delivery: Delivery) -> str:
        """The models that came of a pull request or commit go back to what was released before them."""
        repo = watched.policy.name
        if asked.pull:
            runs = self.store.queue.of_pull(repo, asked.pull)
        else:
            changes = self.store.changes.of_commit(repo, asked.commit)
            runs = [run for change in changes for run in self.store.queue.of_change(change.id)]
        specs = dict.fromkeys(run.spec for run in runs)
        if not specs:
            raise SpecError("nothing here was run yet")
        back: list[str] = []
        refused: list[str] = []
        for spec in specs:
            try:
                self.asks.rollback(watched, spec, delivery.sender_name, _serial(delivery, spec))
            except SpecError as error:
                refused.append(error.message)
            else:
                back.append(spec)
        if not back:
            raise SpecError("; ".join(refused))
        return f"rollback of {', '.join(back)} by {delivery.sender_name}"

    def _rerequested(self, watched: Watched, delivery: Delivery, asked: Rerequested) -> str:
        """A button of a check. GitHub shows them to people with write access only; we ask all the same."""
        may = self.may_approve if asked.button == "approve" else self.may
        if not may(watched, delivery):
            return f"{delivery.sender_name} may not ask for {asked.button or 'a run'}"
        if asked.button == "approve":
            for change in self.store.changes.of_commit(watched.policy.name, asked.commit):
                if change.fork and change.pull:
                    with suppress(Stalled):
                        self.asks.let_go(watched.policy.name, change.pull, asked.commit, delivery.sender_name)
            return f"{delivery.sender_name} approved {asked.commit[:SHORT]}"
        prefix, _, rest = asked.context.partition(f"{watched.policy.context}/")
        word, spec, *_ = (*rest.split("/"), "") if not prefix else ("", "")
        cause = f"asked for by {delivery.sender_name}"
        try:
            change = self.asks.commit_change(watched, asked.commit, cause, word)
            specs = (spec,) if spec and spec in self._specs_at(watched, change) else ()
            self.asks.add(replace(change, specs=specs), _serial(delivery))
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
        return self._run(watched, asked, names, delivery) if names else ""

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


def _serial(delivery: Delivery, *more: str) -> int:
    """One for all that comes of a delivery: what was done before a kill is not done again."""
    return own_serial("delivery", delivery.forge, delivery.body_key or delivery.id, *more)
