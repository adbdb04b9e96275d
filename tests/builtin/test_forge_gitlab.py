"""GitLab's statuses are a state machine, and forks' commits need a way around."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fiat.builtin.forge_gitlab import GitlabForge
from fiat.errors import Stalled, Waiting
from fiat.ports.forge import ForgeRepo
from fiat.run.report import Check, CheckState, PullComment

sys.path.insert(0, str(Path(__file__).parent))
from forge_places import StagePlace
from forge_stage import LOST, Fault, ForgeStage, forge_stage

COMMIT = "ab" * 20


@pytest.fixture
def stage() -> Iterator[ForgeStage]:
    with forge_stage("gitlab") as found:
        yield found


def check(state: CheckState, head_repo_id: str = "", **more: object) -> Check:
    url = "https://f.example/r"
    return Check(COMMIT, "fiat/pr/x", state, "a text", url, "topic", head_repo_id, **more)  # type: ignore[arg-type]


def words(stage: ForgeStage) -> list[str]:
    return [seen.word for seen in stage.world.seen]


def test_a_status_names_state_context_branch_and_page(stage: ForgeStage) -> None:
    GitlabForge(stage.repo()).send(check("pending"), "")
    (asked,) = stage.writes()
    assert asked.path == f"/projects/4711/statuses/{COMMIT}"
    assert asked.body == {
        "state": "pending",
        "name": "fiat/pr/x",
        "ref": "topic",
        "target_url": "https://f.example/r",
        "description": "a text",
    }
    assert asked.headers["private-token"] == stage.world.token


def test_a_project_without_a_pinned_id_is_named_by_its_path(stage: ForgeStage) -> None:
    repo = stage.repo()
    named = ForgeRepo(repo.name, "", repo.api, repo.credential, allow_private_hosts=True)
    GitlabForge(named).send(check("success"), "")
    assert stage.writes()[0].path == f"/projects/acme%2Fmodels/statuses/{COMMIT}"


def test_pending_goes_on_to_running_and_stays_there(stage: ForgeStage) -> None:
    forge, memory = GitlabForge(stage.repo()), ""
    for state in ("pending", "pending", "pending", "success"):
        memory = forge.send(check(state), memory)  # type: ignore[arg-type]
    assert words(stage) == ["pending", "running", "success"]


@pytest.mark.parametrize(
    ("report", "word"),
    [
        (check("success"), "success"),
        (check("failure"), "failed"),
        (check("error"), "failed"),
        (check("error", cancelled=True), "canceled"),
    ],
)
def test_an_end_is_told_in_gitlabs_words(stage: ForgeStage, report: Check, word: str) -> None:
    forge = GitlabForge(stage.repo())
    forge.send(report, forge.send(check("pending"), ""))
    assert words(stage)[-1] == word


def test_a_move_that_gitlab_refuses_is_fine_when_it_is_there_already(stage: ForgeStage) -> None:
    forge = GitlabForge(stage.repo())
    stage.fail(LOST, method="POST")
    with pytest.raises(Waiting):
        forge.send(check("pending"), "")
    assert forge.send(check("pending"), "") == "pending"
    assert words(stage) == ["pending"]
    assert stage.requests[1][1] == 400


def test_a_refusal_that_is_no_move_stalls(stage: ForgeStage) -> None:
    forge = GitlabForge(stage.repo())
    stage.fail(Fault(400, {"message": {"ref": ["is invalid"]}}))
    with pytest.raises(Stalled, match="is invalid"):
        forge.send(check("success"), "")
    assert words(stage) == []


def test_texts_are_cut_to_255_and_an_address_that_is_longer_is_left_out(stage: ForgeStage) -> None:
    forge = GitlabForge(stage.repo())
    contexts = ["fiat/pr/" + "x" * 300 + end for end in "ab"]
    for context in contexts:
        forge.send(Check(COMMIT, context, "success", "d" * 300, "https://f.example/" + "u" * 300), "")
    first, second = (asked.body for asked in stage.writes())
    assert len(first["name"]) == len(first["description"]) == 255
    assert first["name"] != second["name"]
    assert "target_url" not in first
    assert "ref" not in first


def test_a_forks_commit_gets_its_status_in_the_fork(stage: ForgeStage) -> None:
    GitlabForge(stage.repo()).send(check("pending", "4712"), "")
    assert [asked.path for asked in stage.writes()] == [f"/projects/4712/statuses/{COMMIT}"]


def test_where_the_fork_is_closed_to_us_our_project_is_tried(stage: ForgeStage) -> None:
    stage.world.fork_open = False
    forge = GitlabForge(stage.repo())
    forge.send(check("success", "4712"), forge.send(check("pending", "4712"), ""))
    assert words(stage) == ["pending", "success"]
    gone = GitlabForge(stage.repo())
    gone.send(check("failure", "9999"), "")
    assert words(stage)[-1] == "failed"


def test_where_no_project_takes_it_a_note_says_it_and_is_edited(stage: ForgeStage) -> None:
    stage.world.fork_open = False
    StagePlace(stage).open_pull(5, COMMIT, 4712)
    stage.world.commits = set()
    forge = GitlabForge(stage.repo())
    memory = forge.send(check("pending", "4712"), "")
    assert memory.startswith("note:")
    memory = forge.send(check("failure", "4712"), memory)
    GitlabForge(stage.repo()).send(check("error", "4712"), "")
    (text,) = stage.world.texts(5)
    assert text.endswith("\n`fiat/pr/x`: **error**, `a text` ([run](<https://f.example/r>))")
    assert text.startswith("<!-- fiat:status:")
    assert words(stage) == []


def test_strangers_words_in_a_note_stay_text(stage: ForgeStage) -> None:
    stage.world.fork_open, stage.world.commits = False, set()
    StagePlace(stage).open_pull(5, COMMIT, 4712)
    hostile = Check(COMMIT, "c`](x)\n/approve", "error", "@all `x`\n/merge", "javascript:`x`>\n", "", "4712")
    GitlabForge(stage.repo()).send(hostile, "")
    (text,) = stage.world.texts(5)
    assert text.split("\n", 1)[1] == "`c'](x) /approve`: **error**, `@all 'x' /merge`"


def test_a_forks_commit_that_is_no_head_any_more_needs_no_note(stage: ForgeStage) -> None:
    stage.world.fork_open, stage.world.commits = False, set()
    assert GitlabForge(stage.repo()).send(check("error", "4712"), "") == "note:"
    assert stage.world.comments == {}


def test_a_commit_that_is_not_there_yet_is_waited_for_and_a_project_that_is_gone_is_not(
    stage: ForgeStage,
) -> None:
    stage.world.commits = set()
    forge = GitlabForge(stage.repo())
    for head_repo_id in ("", "4712"):
        with pytest.raises(Waiting, match="Commit Not Found"):
            forge.send(check("pending", head_repo_id), "")
    repo = stage.repo()
    gone = ForgeRepo("acme/gone", "1", repo.api, repo.credential, allow_private_hosts=True)
    with pytest.raises(Stalled, match="Project Not Found"):
        GitlabForge(gone).send(check("pending"), "")


def test_a_note_may_be_a_million_characters_long(stage: ForgeStage) -> None:
    GitlabForge(stage.repo()).send(PullComment(5, "<!-- m -->", "line\n" * 300_000), "")
    (text,) = stage.world.texts(5)
    assert 990_000 < len(text) <= 1_000_000


@pytest.mark.parametrize(
    ("level", "may"),
    [(10, False), (20, False), (29, False), (30, True), (40, True), (50, True), ("30", False), (None, False)],
)
def test_a_developer_may_write(stage: ForgeStage, level: object, may: bool) -> None:
    stage.world.people["ann"] = (7, level)
    assert GitlabForge(stage.repo()).may_write("7", "ann") is may


@pytest.mark.parametrize("person_id", ["", "7/../8", "-1", "٧", "7 ", "x"])
def test_an_id_that_is_no_number_may_nothing(stage: ForgeStage, person_id: str) -> None:
    stage.world.people["ann"] = (7, 50)
    assert not GitlabForge(stage.repo()).may_write(person_id, "ann")
    assert stage.requests == []


def test_a_merge_request_without_commits_is_left_out(stage: ForgeStage) -> None:
    place = StagePlace(stage)
    place.open_pull(1, COMMIT, 4711)
    stage.world.pulls.append({**stage.world.pulls[0], "iid": 2, "sha": None})
    assert [pull.number for pull in GitlabForge(stage.repo()).pulls()] == [1]


def test_the_quota_is_kept(stage: ForgeStage) -> None:
    forge = GitlabForge(stage.repo())
    forge.pulls()
    assert (forge.remaining, forge.limit) == (4999, 5000)
