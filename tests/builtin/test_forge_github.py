"""GitHub's statuses, comments and deployments: limits, lost replies, who wrote what."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fiat.builtin.forge_github import GithubForge
from fiat.errors import Stalled, Waiting
from fiat.run.report import Check, Deployed, PullComment

sys.path.insert(0, str(Path(__file__).parent))
from forge_stage import FORBIDDEN, LOST, ForgeStage, forge_stage

COMMIT = "ab" * 20
MARKER = "<!-- fiat:comment x -->"


@pytest.fixture
def stage() -> Iterator[ForgeStage]:
    with forge_stage("github") as found:
        yield found


def test_a_status_says_state_text_and_page(stage: ForgeStage) -> None:
    forge = GithubForge(stage.repo())
    forge.send(
        Check(COMMIT, "fiat/push/x", "failure", "accuracy 0.81\nis below 0.9", "https://f.example/r"), ""
    )
    (asked,) = stage.writes()
    assert asked.path == f"/repos/acme/models/statuses/{COMMIT}"
    assert asked.body == {
        "state": "failure",
        "context": "fiat/push/x",
        "description": "accuracy 0.81 is below 0.9",
        "target_url": "https://f.example/r",
    }
    assert asked.headers["authorization"] == f"token {stage.world.token}"
    assert asked.headers["user-agent"] == "fiat"
    assert asked.headers["x-github-api-version"]


@pytest.mark.parametrize("text", ["x" * 140, "x" * 141, "ü" * 5000, "🐛" * 200, "a🐛b"])
def test_a_description_is_cut_to_what_github_takes(stage: ForgeStage, text: str) -> None:
    GithubForge(stage.repo()).send(Check(COMMIT, "c", "success", text), "")
    (asked,) = stage.writes()
    sent = asked.body["description"]
    assert len(sent) == min(140, len(text))
    assert "target_url" not in asked.body
    if text == "x" * 140:
        assert sent == text
    if len(text) > 140:
        assert sent.endswith("…")


def test_a_comment_is_found_on_a_later_page(stage: ForgeStage) -> None:
    stage.world.page_size = 2
    for number in range(7):
        stage.world.add_comment(3, f"chat {number}", (666, "mallory"))
    forge = GithubForge(stage.repo())
    memory = forge.send(PullComment(3, MARKER, "one"), "")
    assert GithubForge(stage.repo()).send(PullComment(3, MARKER, "two"), "") == memory
    assert stage.world.texts(3)[-1] == f"{MARKER}\ntwo"
    assert len(stage.asked("POST", "/comments")) == 1


def test_a_marker_that_is_quoted_in_a_comment_is_none(stage: ForgeStage) -> None:
    stage.world.add_comment(3, f"> {MARKER}\nlook")
    GithubForge(stage.repo()).send(PullComment(3, MARKER, "one"), "")
    assert stage.world.texts(3) == [f"> {MARKER}\nlook", f"{MARKER}\none"]


def test_who_we_are_is_asked_once_and_only_when_it_matters(stage: ForgeStage) -> None:
    forge = GithubForge(stage.repo())
    forge.send(PullComment(3, MARKER, "one"), "")
    assert stage.asked("GET", "^/user$") == []
    for _ in range(3):
        forge.send(PullComment(3, MARKER, "two"), "")
    assert len(stage.asked("GET", "^/user$")) == 1


def test_the_token_of_a_workflow_finds_its_own_comment(stage: ForgeStage) -> None:
    stage.fail(FORBIDDEN, path="^/user$")
    bot = stage.world.add_comment(3, f"{MARKER}\none", (41898282, "github-actions[bot]"))
    stage.world.add_comment(3, f"{MARKER}\nmine", (666, "mallory"))
    assert GithubForge(stage.repo()).send(PullComment(3, MARKER, "two"), "") == str(bot["id"])
    assert stage.world.texts(3) == [f"{MARKER}\ntwo", f"{MARKER}\nmine"]


def test_a_comment_without_an_author_is_nobodys(stage: ForgeStage) -> None:
    stage.world.add_comment(3, f"{MARKER}\nghost")["user"] = None
    GithubForge(stage.repo()).send(PullComment(3, MARKER, "one"), "")
    assert len(stage.world.texts(3)) == 2


def test_a_comment_is_cut_to_githubs_limit_with_its_fence_closed(stage: ForgeStage) -> None:
    GithubForge(stage.repo()).send(PullComment(3, MARKER, "top\n```\n" + "line\n" * 20_000), "")
    (text,) = stage.world.texts(3)
    assert len(text) <= 65_536
    assert len(text) > 65_000
    assert text.startswith(f"{MARKER}\ntop\n```\nline\n")
    assert "\n```\n\n\n*The rest is cut" in text


def test_a_comment_that_is_listed_but_can_not_be_edited_is_not_doubled(stage: ForgeStage) -> None:
    forge = GithubForge(stage.repo())
    memory = forge.send(PullComment(3, MARKER, "one"), "")
    stage.fail(LOST, method="PATCH")
    with pytest.raises(Waiting):
        forge.send(PullComment(3, MARKER, "two"), memory)
    from_404 = stage.world.comments
    stage.world.comments = {3: list(from_404[3])}
    stage.fail(type(LOST)(404, {"message": "Not Found"}), method="PATCH")
    with pytest.raises(Waiting, match="lists comment"):
        forge.send(PullComment(3, MARKER, "two"), memory)
    assert len(stage.world.texts(3)) == 1


def deployed(state: str, key: str = "run-1/shelf") -> Deployed:
    return Deployed(COMMIT, "fashion/shelf", state, "d" * 300, "https://f.example/r", key)  # type: ignore[arg-type]


def test_a_deployment_is_made_once_and_goes_through_its_states(stage: ForgeStage) -> None:
    forge, memory = GithubForge(stage.repo()), ""
    for state in ("in_progress", "success"):
        memory = forge.send(deployed(state), memory)
    (made,) = stage.world.deployments
    assert memory == str(made["id"])
    assert (made["auto_merge"], made["required_contexts"], made["sha"]) == (False, [], COMMIT)
    assert [status["state"] for status in made["statuses"]] == ["in_progress", "success"]
    assert all(len(status["description"]) == 140 for status in made["statuses"])
    forge.send(deployed("success", "run-2/shelf"), "")
    assert len(stage.world.deployments) == 2


@pytest.mark.parametrize("path", ["/deployments$", "/statuses$"])
def test_a_lost_reply_makes_no_second_deployment(stage: ForgeStage, path: str) -> None:
    forge = GithubForge(stage.repo())
    stage.fail(LOST, method="POST", path=path)
    with pytest.raises(Waiting):
        forge.send(deployed("in_progress"), "")
    forge.send(deployed("success"), forge.send(deployed("in_progress"), ""))
    (made,) = stage.world.deployments
    assert made["statuses"][-1]["state"] == "success"


def test_a_deployment_that_somebody_deleted_is_made_anew(stage: ForgeStage) -> None:
    forge = GithubForge(stage.repo())
    memory = forge.send(deployed("in_progress"), "")
    stage.world.deployments.clear()
    again = forge.send(deployed("success"), memory)
    assert again != memory
    assert [made["id"] for made in stage.world.deployments] == [int(again)]


@pytest.mark.parametrize(
    ("permission", "person", "may"),
    [
        ("admin", 7, True),
        ("write", 7, True),
        ("read", 7, False),
        ("none", 7, False),
        ("Write", 7, False),
        ("write", 8, False),
        ("write", "7", False),
        ("write", None, False),
        ("write", True, False),
    ],
)
def test_only_a_writer_with_that_very_id_may_write(
    stage: ForgeStage, permission: str, person: object, may: bool
) -> None:
    stage.world.people["ann"] = (person, permission)  # type: ignore[assignment]
    assert GithubForge(stage.repo()).may_write("7", "ann") is may
    assert not GithubForge(stage.repo()).may_write("", "ann")


def test_not_being_allowed_to_ask_who_may_write_is_no_answer(stage: ForgeStage) -> None:
    stage.fail(FORBIDDEN)
    with pytest.raises(Stalled):
        GithubForge(stage.repo()).may_write("7", "ann")
