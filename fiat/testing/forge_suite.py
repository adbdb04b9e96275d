"""What every forge must do: derive a test class from `ForgeSuite` and give it a `Place`.

    class TestMine(ForgeSuite):
        @pytest.fixture
        def place(self):
            with my_pretended_server() as server:
                yield MyPlace(server)

A Place is the forge's side: it makes plugin objects and tells what really arrived. Pretend it over real HTTP.
"""

from typing import Protocol

import pytest

from fiat.errors import Stalled, Waiting
from fiat.ports.forge import Forge
from fiat.run.report import Annotation, Check, CheckState, Deployed, PullComment

COMMIT = "c0ffee" + "0" * 34
CONTEXT = "fiat/pr/fashion"
MARKER = "<!-- fiat:comment fashion -->"
CANARY = "canary-of-a-credential-0123456789"
_HOSTILE = "a\x00b\r\n\x1b[31m<script>\ud800 \u202e 🐛 `x` @everyone " + "w" * 70_000


class Place(Protocol):
    """The forge's side of things."""

    def forge(self, token: str = "") -> Forge:
        """A new plugin object for the repository, as after a restart; with another credential when one is given."""
        ...

    def states(self, commit: str, context: str) -> list[str]:
        """Every state that a commit was given in a context: `pending`, `success`, `failure` or `error`."""
        ...

    def texts(self, pull: int) -> list[str]:
        """Bodies of the comments that stand on a pull request."""
        ...

    def write_as_stranger(self, pull: int, body: str) -> None:
        """Somebody else comments."""
        ...

    def delete_comments(self, pull: int) -> None:
        """Somebody deletes every comment."""
        ...

    def open_pull(self, number: int, commit: str, head_repo_id: int | None) -> None:
        """Somebody (id 55) opens a pull request from branch `topic` to `main`; None: its repository is gone.

        The repository itself has id 4711.
        """
        ...

    def person(self, person_id: int, name: str, *, writes: bool) -> None:
        """There is a person, who may write or only read."""
        ...

    def lose_reply(self) -> None:
        """The next write is done, and its answer never comes."""
        ...

    def be_busy(self, seconds: int) -> None:
        """The next request is put off."""
        ...

    def break_down(self, status: int) -> None:
        """The next request fails with a server's error."""
        ...


def check(state: CheckState, description: str = "waiting", **more: object) -> Check:
    """A report of a commit's check."""
    url = "https://fiat.example/runs/1"
    return Check(COMMIT, CONTEXT, state, description, url, ref="topic", **more)  # type: ignore[arg-type]


class ForgeSuite:
    """What a forge must do."""

    error_word = "error"

    @pytest.fixture
    def place(self) -> Place:
        raise NotImplementedError("give the forge's side")

    @pytest.fixture
    def forge(self, place: Place) -> Forge:
        return place.forge()

    def test_it_says_who_it_is(self, forge: Forge) -> None:
        assert forge.name

    @pytest.mark.parametrize("final", ["success", "failure", "error"])
    def test_a_check_goes_from_pending_to_its_end(
        self, place: Place, forge: Forge, final: CheckState
    ) -> None:
        memory = forge.send(check("pending"), "")
        memory = forge.send(check("pending", "half done"), memory)
        forge.send(check(final, "over"), memory)
        states = place.states(COMMIT, CONTEXT)
        assert set(states[:-1]) == {"pending"}
        assert states[-1] == (self.error_word if final == "error" else final)

    def test_a_check_that_is_told_again_stays_as_it_is(self, place: Place, forge: Forge) -> None:
        memory = ""
        for report in (check("pending"), check("pending"), check("failure"), check("failure")):
            memory = forge.send(report, memory)
        assert place.states(COMMIT, CONTEXT)[-1] == "failure"
        forge.send(check("failure"), "")
        assert place.states(COMMIT, CONTEXT)[-1] == "failure"

    def test_a_cancelled_check_is_neither_pending_nor_passed(self, place: Place, forge: Forge) -> None:
        forge.send(check("error", "superseded", cancelled=True), forge.send(check("pending"), ""))
        assert place.states(COMMIT, CONTEXT)[-1] == "error"

    def test_a_check_that_runs_again_is_pending_again(self, place: Place, forge: Forge) -> None:
        memory = forge.send(check("failure"), forge.send(check("pending"), ""))
        memory = forge.send(check("pending"), memory)
        assert place.states(COMMIT, CONTEXT)[-1] == "pending"
        forge.send(check("success"), memory)
        assert place.states(COMMIT, CONTEXT)[-1] == "success"

    def test_texts_of_any_length_and_kind_are_taken(self, place: Place, forge: Forge) -> None:
        notes = (Annotation("specs/ü x.yaml", 0, "failure", _HOSTILE, _HOSTILE),) * 3
        forge.send(check("failure", _HOSTILE, summary=_HOSTILE, annotations=notes), "")
        assert place.states(COMMIT, CONTEXT) == ["failure"]
        forge.send(check("success", ""), "")
        assert place.states(COMMIT, CONTEXT)[-1] == "success"
        forge.send(PullComment(3, MARKER, _HOSTILE), "")
        assert len(place.texts(3)) == 1

    def test_a_comment_is_written_once_and_edited_in_place(self, place: Place, forge: Forge) -> None:
        memory = forge.send(PullComment(3, MARKER, "first"), "")
        assert memory
        assert forge.send(PullComment(3, MARKER, "second"), memory) == memory
        assert place.texts(3) == [f"{MARKER}\nsecond"]

    def test_a_comment_is_found_again_by_its_marker(self, place: Place, forge: Forge) -> None:
        place.write_as_stranger(3, "hello")
        memory = forge.send(PullComment(3, MARKER, "first"), "")
        assert place.forge().send(PullComment(3, MARKER, "second"), "") == memory
        forge.send(PullComment(3, "<!-- another -->", "else"), "")
        assert place.texts(3) == ["hello", f"{MARKER}\nsecond", "<!-- another -->\nelse"]

    def test_a_strangers_comment_with_our_marker_is_left_alone(self, place: Place, forge: Forge) -> None:
        place.write_as_stranger(3, f"{MARKER}\nmine")
        forge.send(PullComment(3, MARKER, "ours"), "")
        forge.send(PullComment(3, MARKER, "ours again"), "")
        assert place.texts(3) == [f"{MARKER}\nmine", f"{MARKER}\nours again"]

    def test_a_deleted_comment_is_written_anew(self, place: Place, forge: Forge) -> None:
        memory = forge.send(PullComment(3, MARKER, "first"), "")
        place.delete_comments(3)
        again = forge.send(PullComment(3, MARKER, "second"), memory)
        assert again != memory
        assert place.texts(3) == [f"{MARKER}\nsecond"]

    def test_a_long_comment_keeps_its_marker_and_its_top(self, place: Place, forge: Forge) -> None:
        forge.send(PullComment(3, MARKER, "the verdict\n" + "line\n" * 400_000), "")
        (text,) = place.texts(3)
        assert text.startswith(f"{MARKER}\nthe verdict\nline\n")
        assert len(text) < 1_100_000

    @pytest.mark.parametrize("state", ["pending", "success"])
    def test_a_lost_reply_leaves_one_of_everything(
        self, place: Place, forge: Forge, state: CheckState
    ) -> None:
        for report in (check(state), PullComment(3, MARKER, "text")):
            place.lose_reply()
            with pytest.raises(Waiting):
                forge.send(report, "")
            forge.send(report, "")
        assert set(place.states(COMMIT, CONTEXT)) == {state}
        assert place.texts(3) == [f"{MARKER}\ntext"]

    def test_a_busy_forge_says_how_long_to_wait(self, place: Place, forge: Forge) -> None:
        place.be_busy(77)
        with pytest.raises(Waiting) as caught:
            forge.send(check("success"), "")
        assert caught.value.retry_after_s == 77
        forge.send(check("success"), "")
        assert place.states(COMMIT, CONTEXT) == ["success"]

    @pytest.mark.parametrize("status", [500, 502, 503])
    def test_a_broken_forge_is_asked_again_later(self, place: Place, forge: Forge, status: int) -> None:
        for call in (
            lambda: forge.send(check("success"), ""),
            forge.pulls,
            lambda: forge.may_write("1", "ann"),
            lambda: forge.repo_id,
        ):
            place.break_down(status)
            with pytest.raises(Waiting):
                call()

    def test_a_refused_credential_stalls_and_is_not_shown(self, place: Place) -> None:
        forge = place.forge(CANARY)
        for report in (check("success"), PullComment(3, MARKER, "x")):
            with pytest.raises(Stalled) as caught:
                forge.send(report, "")
            assert CANARY not in f"{caught.value} {caught.value.__cause__!r}"
        assert CANARY not in repr(forge.check())
        assert any(finding.state == "bad" and finding.mend for finding in forge.check())

    def test_a_deployment_is_told_or_quietly_left_out(self, forge: Forge) -> None:
        memory = ""
        for state in ("in_progress", "success", "success", "inactive"):
            report = Deployed(COMMIT, "fashion/shelf", state, _HOSTILE, "https://fiat.example", "run-1 shelf")
            memory = forge.send(report, memory)
        assert isinstance(memory, str)

    def test_open_pull_requests_say_where_their_head_lies(self, place: Place, forge: Forge) -> None:
        place.open_pull(1, COMMIT, 4711)
        place.open_pull(2, COMMIT, 4712)
        place.open_pull(3, COMMIT, None)
        own, other, gone = forge.pulls()
        assert (own.number, own.commit, own.head_ref, own.base_ref) == (1, COMMIT, "topic", "refs/heads/main")
        assert (own.author_id, own.fork, own.head_repo_id) == ("55", False, "")
        assert (other.number, other.fork, other.head_repo_id) == (2, True, "4712")
        assert (gone.number, gone.fork, gone.head_repo_id) == (3, True, "")

    def test_the_repository_that_has_the_name_now_is_told_by_its_id(self, forge: Forge) -> None:
        assert forge.repo_id == "4711"

    def test_every_open_pull_request_is_told(self, place: Place, forge: Forge) -> None:
        for number in range(1, 231):
            place.open_pull(number, COMMIT, 4711)
        assert [pull.number for pull in forge.pulls()] == list(range(1, 231))
        place.open_pull(231, COMMIT, 4711)
        assert len(forge.pulls()) == 231

    def test_who_may_write_is_told_by_id_and_name_together(self, place: Place, forge: Forge) -> None:
        place.person(7, "ann", writes=True)
        place.person(8, "bob", writes=False)
        assert forge.may_write("7", "ann")
        assert not forge.may_write("8", "bob")
        assert not forge.may_write("8", "ann")
        assert not forge.may_write("", "ann")
        assert not forge.may_write("9", "cy")

    @pytest.mark.parametrize(
        "name", ["", ".", "..", "../../user", "a/b", "ann?x=1", "ann#", "ann%2f", "\ud800", "ü"]
    )
    def test_hostile_names_open_nothing(self, place: Place, forge: Forge, name: str) -> None:
        place.person(7, "ann", writes=True)
        assert not forge.may_write("77", name)

    def test_a_good_link_has_nothing_bad(self, forge: Forge) -> None:
        found = forge.check()
        assert found
        assert [finding for finding in found if finding.state == "bad"] == []
