"""One runner, four forges: each told as it speaks, each told back in its own words."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.repo_stage import MALLORY, RepoStage
from tests.e2e.runner_stage import RunnerStage, runner_stage
from tests.e2e.tiny_specs import add_models, judged, tiny

pytestmark = pytest.mark.slow
FORGES = ("gitlab", "gitea", "forgejo", "github")
PUSH, PULL = "fiat/push", "fiat/pr"
TINY = tiny("first", code="'*.txt'")


@dataclass
class Forges:
    """A runner that watches a repository on each forge.

    Attributes:
        runner: it.
        app: a repository on GitHub where the runner is an App.
    """

    runner: RunnerStage
    app: RepoStage

    def of(self, flavour: str) -> RepoStage:
        """The repository on a forge."""
        return self.runner if flavour == "github" else self.runner.others[f"acme/{flavour}"]


@pytest.fixture(scope="module")
def forges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forges]:
    with runner_stage(tmp_path_factory.mktemp("forges"), workers=2) as stage:
        for flavour in FORGES[:-1]:
            stage.add(f"acme/{flavour}", flavour)
        forks = stage.add("acme/forks", "gitlab")
        app = stage.add("acme/app", app=True)
        stage.start()
        for flavour in FORGES:
            Forges(stage, app).of(flavour).pushed({"spec.yaml": TINY, "a.txt": "1"})
        forks.pushed({"spec.yaml": TINY, "a.txt": "1"})
        yield Forges(stage, app)


@pytest.mark.parametrize("flavour", FORGES)
def test_a_push_that_is_told_in_the_forges_words_is_pending_and_then_a_success(
    forges: Forges, flavour: str
) -> None:
    repo = forges.of(flavour)
    commit = repo.pushed({"a.txt": "2"})
    assert repo.said(commit, PUSH) == "success: tiny: every step has its result"
    assert repo.forge.world.states(commit, PUSH) == ["pending", "success"]
    assert repo.forge.world.states(commit, f"{PUSH}/tiny")[0] == "pending"
    (run,) = repo.runs_of(commit)
    assert run["cause"] == "pushed by mona: a change"


@pytest.mark.parametrize("flavour", FORGES)
def test_a_pull_request_gets_checks_and_one_comment_and_a_comment_of_a_writer_runs_it_again(
    forges: Forges, flavour: str
) -> None:
    repo = forges.of(flavour)
    commit = repo.propose(1, {"a.txt": "3"})
    assert repo.said(commit, PULL).startswith("success")
    repo.runner.wait(lambda: "passed" in "".join(repo.forge.world.texts(1)), "the comment")
    assert repo.tell_comment(1, "/fiat run", sender=MALLORY).status == 202
    assert repo.tell_comment(1, "Looks good!\n\n/fiat run").status == 202
    repo.runner.wait(lambda: len(repo.runs_of(commit)) == 2, "the second run")
    assert repo.runs_of(commit)[0]["cause"].startswith("asked for by mona")
    repo.runner.wait(lambda: repo.runs_of(commit)[0]["state"] == "done", "its end")
    assert len(repo.forge.world.texts(1)) == 1
    asked = [one.path for one in repo.forge.asked("GET", "/(members|collaborators)/")]
    assert len(asked) == 2, "write access is asked for at the forge"


@pytest.mark.parametrize("flavour", FORGES)
def test_a_closed_pull_request_ends_what_waits_for_approval(forges: Forges, flavour: str) -> None:
    repo = forges.of(flavour)
    commit = repo.propose(2, {"a.txt": "4"}, fork=True)
    repo.runner.wait(lambda: "approve" in repo.description(commit, f"{PULL}/tiny"), "the wait for approval")
    assert repo.tell_pull(2, commit, action="closed", fork=True).status == 202
    assert repo.said(commit, f"{PULL}/tiny") == "error: the pull request was closed"
    assert repo.said(commit, PULL).startswith("error")


def test_a_fork_on_gitlab_is_told_on_its_own_project_then_on_ours_then_in_a_note(forges: Forges) -> None:
    repo = forges.runner.others["acme/forks"]
    world = repo.forge.world
    open_one = repo.propose(3, {"a.txt": "5"}, fork=True)
    repo.runner.wait(lambda: "approve" in repo.description(open_one, f"{PULL}/tiny"), "the wait for approval")
    assert repo.forge.asked("POST", f"/projects/{world.fork_id}/statuses/{open_one}")
    world.fork_open = False
    ours = repo.propose(4, {"a.txt": "6"}, fork=True)
    repo.runner.wait(lambda: "approve" in repo.description(ours, f"{PULL}/tiny"), "the wait for approval")
    assert repo.forge.asked("POST", f"/projects/{world.repo_id}/statuses/{ours}")
    world.commits = {open_one, ours}  # our project does not have the commits of forks from here on
    nowhere = repo.propose(5, {"a.txt": "7"}, fork=True)
    repo.runner.wait(lambda: len(world.texts(5)) == 3, "two notes for checks and the comment")
    assert repo.tell_comment(5, f"/fiat approve {nowhere}").status == 202
    repo.runner.wait(
        lambda: any("fiat/pr`: **success**" in text for text in world.texts(5)), "the note to say success"
    )
    assert len(world.texts(5)) == 3
    world.commits, world.fork_open = None, True


def test_an_app_writes_check_runs_with_annotations_at_the_line_of_a_broken_spec(forges: Forges) -> None:
    app = forges.app
    first = app.pushed({"spec.yaml": tiny("app")})
    assert app.said(first, PUSH).startswith("success")
    broken = app.propose(1, {"spec.yaml": tiny("app") + "deply: {}\n"})
    assert app.said(broken, f"{PULL}/tiny").startswith("failure: spec error: spec.yaml:5:1: ")
    (check,) = [run for run in app.forge.world.check_runs.values() if run["name"] == f"{PULL}/tiny"]
    (note,) = check["annotations"]
    assert (note["path"], note["start_line"], note["annotation_level"]) == ("spec.yaml", 5, "failure")
    assert "deploy" in note["message"], "the nearest right spelling"
    assert (check["status"], check["conclusion"]) == ("completed", "failure")
    assert app.forge.asked("POST", "/statuses/") == []


def test_a_refused_gate_is_the_conclusion_failure_and_stands_at_its_line(forges: Forges) -> None:
    app = forges.app
    add_models(app.clone, 2)
    commit = app.pushed({"specs/scale/spec.yaml": judged(2, 0.5)})
    assert app.said(commit, f"{PUSH}/scale").startswith("failure: mae ")
    (check,) = [run for run in app.forge.world.check_runs.values() if run["name"] == f"{PUSH}/scale"]
    assert check["conclusion"] == "failure"
    (note,) = check["annotations"]
    assert (note["path"], note["start_line"]) == ("specs/scale/spec.yaml", 7)
    (whole,) = [
        run
        for run in app.forge.world.check_runs.values()
        if run["name"] == PUSH and run["head_sha"] == commit
    ]
    app.runner.wait(lambda: whole["conclusion"] == "failure", "the check of the whole commit")


def test_git_is_shown_the_installation_token_and_nothing_else(forges: Forges) -> None:
    app = forges.app
    asked = [one for one in app.git.asked if one.method == "POST" and "upload-pack" in one.path]
    assert asked, "the runner fetched"
    assert all(one.headers.get("authorization", "").startswith("Basic ") for one in asked)
    log = forges.runner.log
    assert not [token for token in app.forge.world.installation_tokens if token in log]
    assert "PRIVATE KEY" not in log


def test_a_button_run_again_at_a_check_runs_the_commit_again(forges: Forges) -> None:
    app = forges.app
    commit = app.pushed({"b.txt": "1", "spec.yaml": tiny("app once more")})
    assert app.said(commit, f"{PUSH}/tiny").startswith("success")
    before = len(app.runs_of(commit))
    body = {
        "action": "rerequested",
        "check_run": {
            "id": 99,
            "head_sha": commit,
            "name": f"{PUSH}/tiny",
            "completed_at": "2026-01-01T00:00:00Z",
        },
    }
    strange = {**body, "check_run": {**body["check_run"], "id": 98}}
    assert app.tell("check_run", strange | app.place.who(MALLORY)).status == 202
    assert app.tell("check_run", body | app.place.who((7, "mona"))).status == 202
    app.runner.wait(lambda: len(app.runs_of(commit)) == before + 1, "another run")
    app.runner.wait(lambda: all(run["state"] == "done" for run in app.runs_of(commit)), "its end")
    assert app.said(commit, PUSH).startswith(("success", "failure"))


def test_at_the_end_no_check_of_any_forge_is_open(forges: Forges) -> None:
    for repo in (*(forges.of(flavour) for flavour in FORGES), forges.app):
        world = repo.forge.world
        repo.all_sent()
        held = {seen.commit for seen in world.seen if "approve" in seen.description}
        assert {commit for commit, _ in world.unfinished()} <= held
    assert "a bug of Fiat" not in forges.runner.log
