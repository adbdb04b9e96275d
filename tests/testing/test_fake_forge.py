"""The fake passes what the real ones pass."""

import pytest

from fiat.errors import Stalled, Waiting
from fiat.ports.forge import Finding, Forge, Pull
from fiat.testing.fake_forge import FakeComment, FakeForge
from fiat.testing.forge_suite import ForgeSuite, Place


class FakePlace:
    def __init__(self) -> None:
        self.fake = FakeForge()

    def forge(self, token: str = "") -> Forge:
        if token:
            self.fake.fail(Stalled("the credential is refused"), times=2)
            self.fake.findings = (Finding("token", "bad", "it is refused", "get another"),)
        return self.fake

    def states(self, commit: str, context: str) -> list[str]:
        return self.fake.states(commit, context)

    def texts(self, pull: int) -> list[str]:
        return [comment.body for comment in self.fake.comments if comment.pull == pull]

    def write_as_stranger(self, pull: int, body: str) -> None:
        self.fake.comments.append(FakeComment(10_000, pull, body, ours=False))

    def delete_comments(self, pull: int) -> None:
        self.fake.comments.clear()

    def open_pull(self, number: int, commit: str, head_repo_id: int | None) -> None:
        fork = head_repo_id != 4711
        head_id = str(head_repo_id) if fork and head_repo_id is not None else ""
        pull = Pull(number, commit, "topic", "refs/heads/main", fork, head_id, "55")
        self.fake.open_pulls += (pull,)

    def person(self, person_id: int, name: str, *, writes: bool) -> None:
        if writes:
            self.fake.writers[name] = str(person_id)

    def lose_reply(self) -> None:
        self.fake.fail(Waiting("the reply was lost"), done=True)

    def be_busy(self, seconds: int) -> None:
        self.fake.fail(Waiting("busy", retry_after_s=seconds))

    def break_down(self, status: int) -> None:
        self.fake.fail(Waiting(f"it answers {status}"))


class TestFakeForge(ForgeSuite):
    @pytest.fixture
    def place(self) -> Place:
        return FakePlace()
