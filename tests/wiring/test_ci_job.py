"""What a CI job says of itself, and what it may therefore do."""

import json
from pathlib import Path

import pytest

from fiat.errors import EnvironmentFault
from fiat.wiring.ci_job import Job, allowed_mode, read_job, refuse_strangers, without_credentials

BASE = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REPOSITORY": "acme/models",
    "GITHUB_REPOSITORY_ID": "42",
    "GITHUB_API_URL": "https://forge.example/api/v3",
    "GITHUB_SERVER_URL": "https://forge.example",
    "GITHUB_RUN_ID": "77",
    "GITHUB_SHA": "a" * 40,
}


def pull_event(head_repo: object) -> dict[str, object]:
    return {
        "number": 5,
        "pull_request": {
            "number": 5,
            "head": {"sha": "b" * 40, "repo": head_repo},
            "base": {"repo": {"id": 42}},
        },
        "repository": {"id": 42},
    }


def job(tmp_path: Path, event: object = None, **more: str) -> Job:
    path = tmp_path / "event.json"
    path.write_text(json.dumps(event if event is not None else {}))
    return read_job({**BASE, "GITHUB_EVENT_PATH": str(path), **more}, tmp_path)


def test_a_pull_request_is_known_with_its_number_and_head(tmp_path: Path) -> None:
    read = job(tmp_path, pull_event({"id": 42}), GITHUB_EVENT_NAME="pull_request")
    assert (read.pull, read.fork, read.head, read.commit) == (5, False, "b" * 40, "a" * 40)
    assert read.run_url == "https://forge.example/acme/models/actions/runs/77"
    assert (read.api, read.repository_id, read.forge) == ("https://forge.example/api/v3", "42", "github")


@pytest.mark.parametrize("head_repo", [{"id": 43}, None])
def test_a_fork_and_a_fork_that_is_gone_are_strangers(tmp_path: Path, head_repo: object) -> None:
    assert job(tmp_path, pull_event(head_repo), GITHUB_EVENT_NAME="pull_request").fork


def test_without_an_event_the_number_comes_from_the_ref(tmp_path: Path) -> None:
    read = job(tmp_path, GITHUB_EVENT_NAME="pull_request", GITHUB_REF="refs/pull/9/merge")
    assert (read.pull, read.head) == (9, "a" * 40)
    assert job(tmp_path, GITHUB_EVENT_NAME="push", GITHUB_REF="refs/heads/pull/9/merge").pull == 0


def test_gitea_and_forgejo_are_told_apart_from_github(tmp_path: Path) -> None:
    assert job(tmp_path, GITEA_ACTIONS="true").forge == "gitea"
    assert job(tmp_path, FORGEJO_ACTIONS="true", GITEA_ACTIONS="true").forge == "forgejo"


@pytest.mark.parametrize(
    ("event", "wanted", "allowed"),
    [
        ("push", "run", "run"),
        ("schedule", "run", "run"),
        ("workflow_dispatch", "run", "run"),
        ("", "run", "run"),
        ("pull_request", "run", "judge"),
        ("pull_request_target", "run", "judge"),
        ("merge_group", "run", "judge"),
        ("issue_comment", "run", "judge"),
        ("something_new", "run", "judge"),
        ("push", "judge", "judge"),
        ("pull_request", "plan", "plan"),
    ],
)
def test_only_events_of_the_repositorys_branches_may_deploy(
    tmp_path: Path, event: str, wanted: str, allowed: str
) -> None:
    assert allowed_mode(job(tmp_path, GITHUB_EVENT_NAME=event), wanted) == allowed


@pytest.mark.parametrize("event", ["pull_request_target", "workflow_run", "issue_comment"])
def test_code_of_a_pull_request_is_not_run_where_secrets_are(tmp_path: Path, event: str) -> None:
    read = job(tmp_path, GITHUB_EVENT_NAME=event)
    refuse_strangers(read, "a" * 40)
    for commit in ("b" * 40, ""):
        with pytest.raises(EnvironmentFault, match=event):
            refuse_strangers(read, commit)
    refuse_strangers(job(tmp_path, GITHUB_EVENT_NAME="pull_request"), "b" * 40)


def test_at_a_desk_nothing_of_a_job_is_believed(tmp_path: Path) -> None:
    read = job(
        tmp_path, GITHUB_ACTIONS="", GITHUB_EVENT_NAME="pull_request", GITHUB_OUTPUT=str(tmp_path / "out")
    )
    assert (read.inside, read.event, read.output, read.pull) == (False, "", None, 0)


@pytest.mark.parametrize("content", [b"[]", b"{", b"\xff\xfe", b"[" * 200_000])
def test_a_broken_event_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "event.json"
    path.write_bytes(content)
    with pytest.raises(EnvironmentFault, match="the event in"):
        read_job({**BASE, "GITHUB_EVENT_PATH": str(path)}, tmp_path)


def test_the_jobs_own_credentials_are_not_for_steps(tmp_path: Path) -> None:
    environment = {
        "GITHUB_TOKEN": "ghs_x",
        "FIAT_RUNNER_TOKEN": "y",
        "ACTIONS_RUNTIME_TOKEN": "z",
        "HUB_TOKEN": "h",
    }
    assert without_credentials(environment) == {"HUB_TOKEN": "h"}
    assert "ghs_x" not in repr(job(tmp_path, GITHUB_TOKEN="ghs_x"))
