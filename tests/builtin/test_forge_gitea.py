"""Gitea and Forgejo: statuses, pages by number, and what their doctor knows."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fiat.builtin.forge_gitea import ForgejoForge, GiteaForge
from fiat.errors import Stalled
from fiat.run.report import Check, Deployed

sys.path.insert(0, str(Path(__file__).parent))
from forge_places import StagePlace
from forge_stage import ForgeStage, forge_stage

COMMIT = "ab" * 20


@pytest.fixture
def stage() -> Iterator[ForgeStage]:
    with forge_stage("gitea") as found:
        yield found


def test_a_status_is_told_in_githubs_shape(stage: ForgeStage) -> None:
    GiteaForge(stage.repo()).send(
        Check(COMMIT, "fiat/push/x", "failure", "d" * 300, "https://f.example/r"), ""
    )
    (asked,) = stage.writes()
    assert asked.path == f"/repos/acme/models/statuses/{COMMIT}"
    assert asked.body == {
        "state": "failure",
        "context": "fiat/push/x",
        "description": "d" * 254 + "…",
        "target_url": "https://f.example/r",
    }
    assert asked.headers["authorization"] == f"token {stage.world.token}"


def test_pages_are_asked_for_by_number_whatever_host_the_links_name(stage: ForgeStage) -> None:
    stage.world.page_size = 7
    place = StagePlace(stage)
    for number in range(1, 31):
        place.open_pull(number, COMMIT, 4711)
    assert [pull.number for pull in GiteaForge(stage.repo()).pulls()] == list(range(1, 31))
    assert [asked.query["page"] for asked, _ in stage.requests] == ["1", "2", "3", "4", "5", "6"]


def test_a_head_that_was_pushed_without_write_access_is_a_fork(stage: ForgeStage) -> None:
    StagePlace(stage).open_pull(1, COMMIT, 4711)
    stage.world.pulls[0]["head"]["ref"] = "refs/pull/1/head"
    (pull,) = GiteaForge(stage.repo()).pulls()
    assert (pull.fork, pull.head_repo_id) == (True, "")


@pytest.mark.parametrize(
    ("permission", "may"),
    [("owner", True), ("admin", True), ("write", True), ("read", False), ("none", False), (None, False)],
)
def test_only_writers_may_write(stage: ForgeStage, permission: str, may: bool) -> None:
    stage.world.people["ann"] = (7, permission)
    assert GiteaForge(stage.repo()).may_write("7", "ann") is may
    assert not GiteaForge(stage.repo()).may_write("8", "ann")


def test_a_deployment_is_not_told(stage: ForgeStage) -> None:
    assert GiteaForge(stage.repo()).send(Deployed(COMMIT, "e", "success", "d", "", "k"), "m") == "m"
    assert stage.requests == []


def test_forgejo_speaks_for_itself() -> None:
    with forge_stage("forgejo") as stage, pytest.raises(Stalled, match="Forgejo answers 401"):
        ForgejoForge(stage.repo(token="wrong")).send(Check(COMMIT, "c", "success", ""), "")
