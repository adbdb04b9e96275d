"""What people ask of a runner by comments, and by buttons of checks."""

from collections.abc import Iterator

import pytest

from tests.e2e.repo_stage import MALLORY, MONA, RepoStage
from tests.e2e.runner_process import sleepers
from tests.e2e.runner_stage import RunnerStage, runner_stage
from tests.e2e.tiny_specs import tiny

pytestmark = pytest.mark.slow
PUSH, PULL = "fiat/push", "fiat/pr"
REPOS = ("acme/talk", "acme/words", "acme/halt")
SLEEP = "sleep 61.{word}; touch {{out.o}}"


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunnerStage]:
    with runner_stage(tmp_path_factory.mktemp("asks"), workers=2) as stage:
        for name in REPOS:
            stage.add(name)
        stage.others["acme/words"].entry["approvers"] = ["99"]
        stage.start()
        yield stage


def all_read(repo: RepoStage) -> None:
    """Wait until every delivery with something to do is dealt with, and the forge was told what came of it."""

    def dealt() -> bool:
        with repo.runner.opened_store() as store:
            return not store.deliveries.received()

    repo.runner.wait(dealt, "the comments to be read")
    repo.all_told()


@pytest.fixture(scope="module")
def talk(runner: RunnerStage) -> RepoStage:
    """Two specs on main, one of which a pull request touches."""
    repo = runner.others["acme/talk"]
    own = "triggers: {comment: please judge}\n"
    repo.begin(
        {
            "specs/one/spec.yaml": tiny("1", name="one", code="'one.txt'"),
            "specs/two/spec.yaml": tiny("2", name="two", code="'two.txt'"),
            "specs/own/spec.yaml": tiny("3", name="own", code="'one.txt'", head=own),
            "one.txt": "1",
            "two.txt": "1",
        },
    )
    return repo


@pytest.fixture(scope="module")
def asked(talk: RepoStage) -> str:
    """Head of pull request 1, which touches `one` only."""
    commit = talk.propose(1, {"one.txt": "2"})
    assert talk.said(commit, PULL) == "success: one: every step has its result"
    assert talk.said(commit, f"{PULL}/two") == "success: no change"
    return commit


def test_run_runs_what_the_commit_touches_again_and_run_with_a_name_that_spec(
    talk: RepoStage, asked: str
) -> None:
    assert talk.runs_end(asked, 1) == ["one"]
    talk.tell_comment(1, "/fiat run")
    assert talk.runs_end(asked, 2) == ["one", "one"]
    talk.tell_comment(1, "/fiat run two")
    assert talk.runs_end(asked, 3) == ["two", "one", "one"]
    talk.wait_text(asked, f"{PULL}/two", "success: every step has its result")


def test_a_comment_on_a_commit_runs_that_commit_again(talk: RepoStage) -> None:
    commit = talk.pushed({"two.txt": "at a commit"})
    assert talk.said(commit, PUSH).startswith("success: two: every step")
    comment = {"id": 4, "body": "/fiat run", "commit_id": commit, "user": {"id": 7, "login": "mona"}}
    talk.tell("commit_comment", {"action": "created", "comment": comment} | talk.place.who(MONA))
    assert talk.runs_end(commit, 2) == ["two", "two"]


def test_the_comment_that_a_spec_names_starts_that_spec_for_people_who_may(
    talk: RepoStage, asked: str
) -> None:
    before = len(talk.runs_of(asked))
    talk.tell_comment(1, "please judge", sender=MALLORY)
    talk.tell_comment(1, "who would please judge this?")
    talk.tell_comment(1, "Nice.\n\nplease judge this one")
    assert talk.runs_end(asked, before + 1)[0] == "own"
    assert talk.said(asked, f"{PULL}/own").startswith("success")


def test_comments_of_strangers_change_nothing_and_are_not_answered(talk: RepoStage, asked: str) -> None:
    talk.all_told()
    before = len(talk.runner.runs()), talk.forge.world.texts(1)
    for sender in (MALLORY, (MALLORY[0], MONA[1])):
        for text in ("/fiat run", "/fiat dance", f"/fiat approve {asked}", "/fiat rollback", "/fiat cancel"):
            assert talk.tell_comment(1, text, sender=sender).status == 202
    all_read(talk)
    assert (len(talk.runner.runs()), talk.forge.world.texts(1)) == before


def test_an_unclear_command_is_answered_in_one_comment_whose_text_is_the_newest_answer(
    talk: RepoStage, asked: str
) -> None:
    def answers() -> list[str]:
        return [text for text in talk.forge.world.texts(1) if "What can be asked" in text]

    talk.tell_comment(1, "/fiat dance")
    talk.runner.wait(answers, "an answer")
    assert "There is no command dance here" in answers()[0].replace("`", "")
    talk.tell_comment(1, "/fiat run nothing-like-it")
    talk.runner.wait(lambda: "nothing-like-it" in answers()[0], "the second answer")
    assert len(answers()) == 1
    assert "/fiat approve COMMIT" in answers()[0]


def test_words_of_a_commit_give_no_authority_and_skip_nothing(runner: RunnerStage) -> None:
    words = runner.others["acme/words"]
    words.begin({"specs/one/spec.yaml": tiny("1", name="one", code="'one.txt'"), "one.txt": "1"})
    message = f"[skip ci] /fiat approve\n\nReviewed-by: {MONA[1]}\n/fiat run"
    author = (MONA[1], "mona@example.org")
    commit = words.propose(2, {"one.txt": "by a stranger"}, message, fork=True, author=author)
    words.runner.wait(lambda: "approve" in words.description(commit, f"{PULL}/one"), "the wait for approval")
    assert {run["state"] for run in words.runs_of(commit)} == {"held"}
    words.wait_text(commit, PULL, "pending: one: waiting for approval")
    named = (99, "somebody-whom-the-operator-named")
    words.tell_comment(2, "/fiat run", sender=named)
    words.tell_comment(2, f"/fiat approve {commit}", sender=named)
    assert words.said(commit, f"{PULL}/one").startswith("success")
    assert len(words.runs_of(commit)) == 1, "who is named as an approver may approve, no more"
    skipped = words.propose(3, {"one.txt": "3"}, "[skip ci] [ci skip] nothing to see")
    assert words.said(skipped, PULL).startswith("success: one: every step")
    assert words.runs_of(skipped)


def test_cancel_ends_a_step_that_runs_with_all_its_processes(runner: RunnerStage) -> None:
    halt = runner.others["acme/halt"]
    halt.begin({"a.txt": "1"})
    commit = halt.propose(1, {"spec.yaml": tiny("1", run=f"(sleep 61.1 &) ; {SLEEP}")})
    runner.wait(lambda: len(sleepers("61.1")) >= 2, "the step to sleep")
    halt.tell_comment(1, "/fiat cancel")
    assert halt.said(commit, f"{PULL}/tiny") == "error: cancelled by mona"
    runner.wait(lambda: not sleepers("61.1"), "its processes to be gone", 10)
    assert halt.said(commit, PULL).startswith("error")
    (run,) = halt.runs_of(commit)
    assert (run["state"], run["verdict"]) == ("done", "error")


def test_a_refused_spec_stays_refused_while_another_one_of_its_commit_is_run_again(talk: RepoStage) -> None:
    commit = talk.propose(4, {"one.txt": None, "two.txt": "once more"})
    assert talk.said(commit, PULL).startswith("failure: 2 specs: 1 refused: one")
    talk.tell_comment(4, "/fiat run two")
    talk.runs_end(commit, 3)
    talk.all_told()
    assert talk.said(commit, PULL).startswith("failure: 2 specs: 1 refused: one")
    body = {"repo": "acme/talk", "ref": commit, "specs": ["mistyped"]}
    assert talk.runner.post("/api/v1/trigger", body).status == 201
    talk.all_told()
    assert talk.said(commit, PULL).startswith("failure: 2 specs: 1 refused: one")
    assert "success" not in talk.forge.world.states(commit, PULL)


def test_run_again_at_one_check_runs_that_spec_though_it_passed(talk: RepoStage) -> None:
    commit = talk.pushed({"one.txt": "at once", "two.txt": "at once"})
    assert talk.said(commit, PUSH).startswith("success: 2 specs")
    check = {"id": 8, "head_sha": commit, "name": f"{PUSH}/two", "completed_at": "x"}
    talk.tell("check_run", {"action": "rerequested", "check_run": check} | talk.place.who(MONA))
    assert talk.runs_end(commit, 3)[0] == "two"
    suite = {"id": 9, "head_sha": commit, "updated_at": "x"}
    talk.tell("check_suite", {"action": "rerequested", "check_suite": suite} | talk.place.who(MONA))
    assert sorted(talk.runs_end(commit, 5)[:2]) == ["one", "two"]
    talk.wait_text(commit, PUSH, "success: 2 specs: 2 passed")


def test_nothing_of_all_this_was_a_bug(runner: RunnerStage) -> None:
    assert "a bug of Fiat" not in runner.log
