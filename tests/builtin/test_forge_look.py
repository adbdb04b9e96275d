"""What `fiat doctor` is told of a link to a forge, each thing that can be wrong once."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from fiat.builtin.forge_gitea import GiteaForge
from fiat.builtin.forge_github import GithubForge
from fiat.builtin.forge_gitlab import GitlabForge
from fiat.builtin.forge_look import is_private_url
from fiat.ports.forge import Finding, Forge

sys.path.insert(0, str(Path(__file__).parent))
from forge_places import AppPlace
from forge_stage import BROKEN, FORBIDDEN, NOT_THERE, Fault, ForgeStage, forge_stage

HOOK = "https://fiat.example/webhooks/github"
KINDS: dict[str, Callable[..., Forge]] = {"github": GithubForge, "gitlab": GitlabForge, "gitea": GiteaForge}


def look(stage: ForgeStage, **changes: Any) -> dict[str, Finding]:
    repo = replace(stage.repo(), **changes)
    return {finding.name: finding for finding in KINDS[stage.flavour](repo).check()}


@pytest.fixture(params=list(KINDS))
def stage(request: pytest.FixtureRequest) -> Any:
    with forge_stage(request.param) as found:
        yield found


def test_a_good_link_is_good_in_everything(stage: ForgeStage) -> None:
    found = look(stage)
    assert {finding.name for finding in found.values() if finding.state == "good"} >= {
        "token",
        "repository",
        "clock",
    }
    assert "acme/models has id 4711" in found["repository"].found
    assert "fiat-bot" in found["token"].found


def test_another_repository_under_the_name_is_bad(stage: ForgeStage) -> None:
    stage.world.repo_id = 4711
    if stage.flavour == "gitlab":  # asked by its id, which is not there any more
        assert look(stage, id="9")["repository"].state == "bad"
        return
    finding = look(stage, id="9")["repository"]
    assert finding.state == "bad"
    assert "id 4711, the settings pin 9" in finding.found


def test_a_repository_that_is_not_pinned_or_was_renamed_is_noted(stage: ForgeStage) -> None:
    finding = look(stage, id="")["repository"]
    assert (finding.state, finding.mend) == ("note", 'set `id` to "4711"')
    if stage.flavour == "gitlab":
        renamed = look(stage, name="acme/old")["repository"]
        assert renamed.state == "note"
        assert "is called acme/models now" in renamed.found


def test_a_refused_token_and_a_broken_forge_are_bad_and_say_what_to_do(stage: ForgeStage) -> None:
    stage.world.token = "another"
    found = look(stage, credential=replace(stage.repo().credential, token="wrong"))
    assert all(found[name].state == "bad" and found[name].mend for name in ("token", "repository"))
    stage.outage = BROKEN
    found = look(stage)
    assert found["token"].state == "bad"
    assert "answers 500" in found["token"].found


@pytest.mark.parametrize(
    ("off_s", "state"), [(0, "good"), (-60, "note"), (120, "note"), (-3600, "bad"), (3600, "bad")]
)
def test_a_clock_that_differs_is_told(stage: ForgeStage, off_s: float, state: str) -> None:
    stage.clock_off_s = off_s
    assert look(stage)["clock"].state == state


def hook(stage: ForgeStage, url: str = HOOK, **more: Any) -> dict[str, Any]:
    if stage.flavour == "gitlab":
        events = {"push_events": True, "merge_requests_events": True, "note_events": True}
        return {"id": 1, "url": url, "alert_status": "executable", **events, **more}
    events_list = ["push", "pull_request", "issue_comment"]
    config = {"url": url, "content_type": "json"}
    return {"id": 1, "active": True, "events": events_list, "config": config, **more}


def test_a_webhook_that_leads_to_us_is_good(stage: ForgeStage) -> None:
    stage.world.hooks = [hook(stage, "https://other.example"), hook(stage, HOOK + "/")]
    assert look(stage, hook_url=HOOK)["webhook"] == Finding("webhook", "good", f"a webhook leads to {HOOK}")


def test_a_webhook_that_is_missing_is_bad_and_one_we_can_not_see_is_noted(stage: ForgeStage) -> None:
    stage.world.hooks = [hook(stage, "https://other.example")]
    assert look(stage, hook_url=HOOK)["webhook"].state == "bad"
    assert look(stage)["webhook"].state == "note"
    for fault in (NOT_THERE, FORBIDDEN):
        stage.fail(fault, path="/hooks$")
        assert "may not list webhooks" in look(stage, hook_url=HOOK)["webhook"].found


@pytest.mark.parametrize(
    ("flavour", "more", "said"),
    [
        ("github", {"active": False}, "is switched off"),
        ("github", {"config": {"url": HOOK, "content_type": "form"}}, "does not send JSON"),
        ("github", {"events": ["push"]}, "does not tell of pull_request, issue_comment"),
        ("github", {"last_response": {"code": 502}}, "was answered with 502 last"),
        ("gitea", {"active": False}, "is switched off"),
        ("gitea", {"events": ["pull_request"]}, "does not tell of push"),
        ("gitlab", {"alert_status": "disabled"}, "was switched off by GitLab"),
        ("gitlab", {"note_events": False}, "does not tell of note"),
    ],
)
def test_a_webhook_that_does_not_work_is_bad(flavour: str, more: dict[str, Any], said: str) -> None:
    with forge_stage(flavour) as stage:
        stage.world.hooks = [hook(stage, **more)]
        finding = look(stage, hook_url=HOOK)["webhook"]
        assert finding.state == "bad"
        assert said in finding.found
        stage.world.hooks.append(hook(stage))
        assert look(stage, hook_url=HOOK)["webhook"].state == "good"


def test_a_hook_for_everything_tells_of_everything() -> None:
    with forge_stage("github") as stage:
        stage.world.hooks = [hook(stage, events=["*"], last_response={"code": 200})]
        assert look(stage, hook_url=HOOK)["webhook"].state == "good"


@pytest.mark.parametrize(
    ("scopes", "state"),
    [
        ("repo, workflow", "good"),
        ("public_repo", "good"),
        (None, "good"),
        ("repo:status", "note"),
        ("", "bad"),
        ("gist", "bad"),
    ],
)
def test_the_scopes_of_a_github_token_are_told(scopes: str | None, state: str) -> None:
    with forge_stage("github") as stage:
        stage.world.scopes = scopes
        assert look(stage)["token"].state == state


def test_the_scopes_of_a_gitlab_token_are_told() -> None:
    with forge_stage("gitlab") as stage:
        stage.world.scopes = "read_api"
        finding = look(stage)["token"]
        assert finding.state == "bad"
        assert "no scope `api`" in finding.found
        stage.fail(Fault(404, {"message": "404 Not Found"}), path="personal_access_tokens")
        assert look(stage)["token"].state == "good"


def test_a_low_quota_is_noted() -> None:
    with forge_stage("github") as stage:
        assert look(stage)["quota"].state == "good"
        stage.world.remaining = 50
        assert look(stage)["quota"].state == "note"


def test_a_right_that_an_app_lacks_is_told() -> None:
    with forge_stage("github") as stage:
        place = AppPlace(stage, rsa.generate_private_key(public_exponent=65537, key_size=2048))
        named = {finding.name: finding for finding in place.forge().check()}
        assert named["token"].found == "the App fiat-app is installed, with what it needs"
        body = {"id": 5, "permissions": {"checks": "read", "contents": "write"}}
        stage.fail(Fault(200, body), times=2, path="/installation$")
        named = {finding.name: finding for finding in place.forge().check()}
        assert named["token"].found == "the App fiat-app lacks checks: write, pull_requests: write"


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("http://127.0.0.1:8321/x", True),
        ("http://10.0.0.5/x", True),
        ("http://[fd00::1]/x", True),
        ("http://fiat/x", True),
        ("https://fiat.internal/x", True),
        ("https://fiat.example.org/x", False),
        ("https://93.184.216.34/x", False),
    ],
)
def test_gitea_is_said_to_refuse_private_hosts_where_ours_is_one(url: str, private: bool) -> None:
    assert is_private_url(url) is private
    with forge_stage("gitea") as stage:
        stage.world.hooks = [hook(stage, url)]
        found = look(stage, hook_url=url)
        assert ("webhook host" in found) is private
        if private:
            assert "ALLOWED_HOST_LIST" in found["webhook host"].mend
