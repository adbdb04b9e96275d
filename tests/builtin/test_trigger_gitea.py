"""Gitea's and Forgejo's webhooks, which also carry GitHub's headers."""

import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest

from fiat.builtin.trigger_gitea import ForgejoTrigger, GiteaTrigger
from fiat.builtin.trigger_github import GithubTrigger
from fiat.builtin.trigger_gitlab import GitlabTrigger
from fiat.ports.trigger import Trigger
from fiat.run.delivery import Commented, Delivery, PullChanged, Pushed
from fiat.testing.trigger_suite import OTHER, SECRET, Sample, TriggerSuite

COMMIT, BEFORE, ZERO = "a" * 40, "b" * 40, "0" * 40
REPO = {"id": 21, "full_name": "acme/models"}


def body(**fields: Any) -> bytes:
    return json.dumps({"repository": REPO, "sender": {"id": 3, "login": "cy"}, **fields}, indent=2).encode()


PUSH = body(ref="refs/heads/main", before=BEFORE, after=COMMIT)


def digest(content: bytes, secret: str, kind: str = "sha256") -> str:
    return hmac.new(secret.encode(), content, kind).hexdigest() if secret else ""


def as_sent(event: str, content: bytes, secret: str, *marks: str) -> dict[str, str]:
    """All the headers that Gitea (and Forgejo, with its mark) sends."""
    headers = {
        "x-hub-signature": "sha1=" + digest(content, secret, "sha1"),
        "x-hub-signature-256": "sha256=" + digest(content, secret),
    }
    for mark in (*marks, "x-gitea", "x-gogs"):
        headers |= {
            f"{mark}-event": event,
            f"{mark}-delivery": "d-1",
            f"{mark}-signature": digest(content, secret),
        }
    return headers | {"x-github-event": event, "x-github-delivery": "d-1"}


def read(event: str, content: bytes) -> Delivery:
    return GiteaTrigger().read({"x-gitea-event": event}, content)


class TestGitea(TriggerSuite):
    marks: tuple[str, ...] = ()

    @pytest.fixture
    def trigger(self) -> Trigger:
        return GiteaTrigger()

    @pytest.fixture
    def push(self) -> Sample:
        return Sample({**as_sent("push", PUSH, "", *self.marks)}, PUSH)

    @pytest.fixture
    def unknown(self) -> Sample:
        return Sample(as_sent("moon", b"{}", "", *self.marks), b"{}")

    def prove(self, sample: Sample, secret: str) -> Mapping[str, str]:
        return {**sample.headers, **as_sent("push", sample.body, secret, *self.marks)}


class TestForgejo(TestGitea):
    marks = ("x-forgejo",)

    @pytest.fixture
    def trigger(self) -> Trigger:
        return ForgejoTrigger()


def test_forgejo_is_asked_before_gitea_and_gitea_before_github() -> None:
    triggers: list[Trigger] = [GithubTrigger(), GitlabTrigger(), GiteaTrigger(), ForgejoTrigger()]
    triggers.sort(key=lambda trigger: trigger.order)

    def first(headers: Mapping[str, str]) -> str:
        return next(trigger.name for trigger in triggers if trigger.recognises(headers))

    assert first(as_sent("push", PUSH, SECRET, "x-forgejo")) == "forgejo"
    assert first(as_sent("push", PUSH, SECRET)) == "gitea"
    assert first({"x-gitlab-event": "Push Hook"}) == "gitlab"
    assert first({"x-github-event": "push"}) == "github"


def test_a_hook_without_a_secret_sends_empty_digests_and_is_refused() -> None:
    headers = as_sent("push", PUSH, "", "x-forgejo")
    assert headers["x-hub-signature-256"] == "sha256="
    for trigger in (GiteaTrigger(), ForgejoTrigger(), GithubTrigger()):
        assert not trigger.verify(headers, PUSH, [SECRET, ""])


def test_githubs_signature_is_enough_and_a_wrong_one_of_its_own_is_not_mended() -> None:
    hub = {"x-gitea-event": "push", "x-hub-signature-256": "sha256=" + digest(PUSH, SECRET)}
    assert GiteaTrigger().verify(hub, PUSH, [OTHER, SECRET])
    assert not GiteaTrigger().verify({**hub, "x-gitea-signature": digest(PUSH, OTHER)}, PUSH, [SECRET])
    sha1 = {"x-gitea-event": "push", "x-hub-signature": "sha1=" + digest(PUSH, SECRET, "sha1")}
    assert not GiteaTrigger().verify(sha1, PUSH, [SECRET])


def test_pushes_deletions_and_tags_are_read() -> None:
    assert read("push", PUSH).happenings == (Pushed("refs/heads/main", COMMIT, BEFORE),)
    gone = body(ref="old", ref_type="branch", pusher_type="user")
    assert read("delete", gone).happenings == (Pushed("refs/heads/old", ""),)
    assert read("delete", body(ref="v1", ref_type="tag")).happenings == (Pushed("refs/tags/v1", ""),)
    assert read("delete", body(ref="v1", ref_type="moon")).happenings == ()
    assert read("create", body(ref="old", ref_type="branch", sha=COMMIT)).happenings == ()


def test_a_bot_of_the_forge_has_a_negative_id() -> None:
    assert (
        read("push", body(ref="refs/heads/x", before=ZERO, after=COMMIT, sender={"id": -2})).sender_id == "-2"
    )


def pull(
    action: str, ref: str = "topic", repo: Any = REPO, sha: str = COMMIT, at: str = "2026", **fields: Any
) -> bytes:
    head, base = {"ref": ref, "sha": sha, "repo": repo}, {"ref": "main", "repo": REPO}
    told = {"number": 4, "head": head, "base": base, "updated_at": at}
    return body(action=action, number=4, pull_request=told, **fields)


@pytest.mark.parametrize(
    ("action", "means"),
    [
        ("opened", "opened"),
        ("reopened", "opened"),
        ("synchronized", "updated"),
        ("closed", "closed"),
        ("label_updated", "other"),
    ],
)
def test_a_pull_request_says_what_happened_to_it(action: str, means: str) -> None:
    (told,) = read("pull_request", pull(action)).happenings
    assert told == PullChanged(4, means, COMMIT, "topic", "refs/heads/main", False)  # type: ignore[arg-type]


def test_another_base_is_an_update_and_another_title_is_none() -> None:
    (told,) = read("pull_request", pull("edited", changes={"ref": {"from": "lax"}})).happenings
    assert told == PullChanged(4, "updated", COMMIT, "topic", "refs/heads/main", False)
    (told,) = read("pull_request", pull("edited", changes={"title": {"from": "lax"}})).happenings
    assert told == PullChanged(4, "other", COMMIT, "topic", "refs/heads/main", False)


def test_closing_twice_at_one_head_is_told_twice_and_one_push_by_two_hooks_once() -> None:
    for action in ("closed", "reopened"):
        keys = [
            read("pull_request", pull(action, at=at)).body_key for at in ("2026-01", "2026-02", "2026-02")
        ]
        assert keys[0] != keys[1] == keys[2]
    pushes = {read("pull_request", pull("synchronized", at=at)).body_key for at in ("2026-01", "2026-02")}
    assert len(pushes) == 1


@pytest.mark.parametrize(
    ("ref", "repo", "head_id"),
    [("topic", {"id": 22}, "22"), ("topic", None, ""), ("refs/pull/4/head", REPO, "")],
)
def test_a_head_elsewhere_nowhere_or_pushed_without_write_access_is_a_fork(
    ref: str, repo: object, head_id: str
) -> None:
    (told,) = read("pull_request", pull("opened", ref, repo)).happenings
    assert isinstance(told, PullChanged)
    assert told.fork
    assert told.head_repo_id == head_id


def test_a_closed_pull_request_may_have_lost_its_branch() -> None:
    (told,) = read("pull_request", pull("closed", sha="")).happenings
    assert isinstance(told, PullChanged)
    assert told.commit == ""


def test_comments_count_on_pull_requests() -> None:
    comment = {"id": 9, "body": "/fiat cancel"}
    told = (Commented("/fiat cancel", 4, "", "9"),)
    issue = {"number": 4}
    made = body(action="created", issue=issue, comment=comment, is_pull=True)
    assert read("issue_comment", made).happenings == told
    assert read("pull_request_comment", made).happenings == told
    linked = body(action="created", issue={**issue, "pull_request": {"merged": False}}, comment=comment)
    assert read("issue_comment", linked).happenings == told
    for nothing in (
        body(action="created", issue=issue, comment=comment, is_pull=False),
        body(action="deleted", issue=issue, comment=comment, is_pull=True),
    ):
        assert read("issue_comment", nothing).happenings == ()


def test_a_body_sent_again_as_another_event_that_reads_alike_is_the_same() -> None:
    made = body(action="created", issue={"number": 4}, comment={"id": 9, "body": "/fiat run"}, is_pull=True)
    assert read("issue_comment", made).body_key == read("pull_request_comment", made).body_key
