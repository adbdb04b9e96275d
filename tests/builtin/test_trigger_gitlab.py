"""GitLab's webhooks: the plain token, the signing token, and what they tell."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest

from fiat.builtin.trigger_gitlab import GitlabTrigger
from fiat.ports.trigger import Trigger
from fiat.run.delivery import Commented, Delivery, PullChanged, Pushed
from fiat.testing.trigger_suite import OTHER, SECRET, Sample, TriggerSuite

COMMIT, BEFORE, ZERO = "a" * 40, "b" * 40, "0" * 40
PROJECT = {"id": 15, "path_with_namespace": "mike/diaspora"}
NOW_S = 1_750_000_000


def body(kind: str, **fields: Any) -> bytes:
    return json.dumps({"object_kind": kind, "project": PROJECT, **fields}).encode()


def push_body(**more: Any) -> bytes:
    fields = {
        "ref": "refs/heads/main",
        "before": BEFORE,
        "after": COMMIT,
        "checkout_sha": COMMIT,
        "user_id": 4,
    }
    return body("push", **{**fields, **more})


def read(content: bytes, **headers: str) -> Delivery:
    return GitlabTrigger().read({name.replace("_", "-"): value for name, value in headers.items()}, content)


def signing(text: str) -> str:
    return "whsec_" + base64.b64encode(text.encode()).decode()


def signature(content: bytes, secret: str, stamp: int = NOW_S, message_id: str = "m-1") -> dict[str, str]:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{message_id}.{stamp}.".encode() + content, hashlib.sha256).digest()
    shown = "v1," + base64.b64encode(mac).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(stamp), "webhook-signature": shown}


class _Gitlab(TriggerSuite):
    @pytest.fixture
    def trigger(self) -> Trigger:
        return GitlabTrigger(clock=lambda: NOW_S)

    @pytest.fixture
    def push(self) -> Sample:
        return Sample({"x-gitlab-event": "Push Hook", "idempotency-key": "f5e5-11"}, push_body())

    @pytest.fixture
    def unknown(self) -> Sample:
        return Sample({"x-gitlab-event": "Moon Hook"}, body("moon"))


class TestThePlainToken(_Gitlab):
    proves_body = False

    def prove(self, sample: Sample, secret: str) -> Mapping[str, str]:
        return {**sample.headers, "x-gitlab-token": secret}


class TestTheSigningToken(_Gitlab):
    def secret(self, text: str) -> str:
        return signing(text)

    def prove(self, sample: Sample, secret: str) -> Mapping[str, str]:
        return {**sample.headers, **signature(sample.body, secret or "whsec_")}


def verify(headers: Mapping[str, str], secrets: list[str], content: bytes = b"{}") -> bool:
    return GitlabTrigger(clock=lambda: NOW_S).verify(headers, content, secrets)


@pytest.mark.parametrize(
    ("off_s", "taken"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)]
)
def test_a_signature_is_taken_five_minutes_before_and_after_its_time(off_s: int, taken: bool) -> None:
    secret = signing(SECRET)
    assert verify(signature(b"{}", secret, NOW_S + off_s), [secret]) == taken


def test_the_time_and_the_id_are_part_of_what_is_signed() -> None:
    secret = signing(SECRET)
    headers = signature(b"{}", secret)
    assert verify(headers, [secret])
    for name, wrong in [
        ("webhook-id", "m-2"),
        ("webhook-id", ""),
        ("webhook-timestamp", str(NOW_S + 1)),
        ("webhook-timestamp", ""),
        ("webhook-timestamp", "1e9"),
        ("webhook-timestamp", "٣"),
        ("webhook-timestamp", "9" * 400),
    ]:
        assert not verify({**headers, name: wrong}, [secret]), (name, wrong)


def test_one_of_several_signatures_is_enough() -> None:
    new, old = signing(SECRET), signing(OTHER)
    headers = signature(b"{}", old)
    both = f"{signature(b'{}', new)['webhook-signature']} v1a,xyz {headers['webhook-signature']}"
    assert verify({**headers, "webhook-signature": both}, [old])
    assert verify({**headers, "webhook-signature": both}, [new])
    assert not verify({**headers, "webhook-signature": "v1,AAAA v1a,xyz"}, [old])
    assert not verify(
        {**headers, "webhook-signature": headers["webhook-signature"].replace("v1,", "v2,")}, [old]
    )


def test_a_wrong_signature_is_not_mended_by_the_token() -> None:
    secret = signing(SECRET)
    headers = {**signature(b"{}", signing(OTHER)), "x-gitlab-token": OTHER}
    assert not verify(headers, [secret, OTHER])
    assert verify(headers, [OTHER])
    assert verify({"x-gitlab-token": OTHER}, [secret, OTHER])
    assert not verify({"x-gitlab-token": secret}, [secret])


def test_a_malformed_signing_token_proves_nothing() -> None:
    for wrong in ("whsec_", "whsec_%%%", "whsec_ü"):
        assert not verify(signature(b"{}", "whsec_"), [wrong])
        assert not verify({"x-gitlab-token": wrong}, [wrong])


def test_pushes_of_branches_and_tags_are_read() -> None:
    assert read(push_body()).happenings == (Pushed("refs/heads/main", COMMIT, BEFORE),)
    assert read(push_body()).sender_id == "4"
    gone = push_body(after=ZERO, checkout_sha=None)
    assert read(gone).happenings == (Pushed("refs/heads/main", "", BEFORE),)
    tag = body("tag_push", ref="refs/tags/v1", before=ZERO, after="c" * 40, checkout_sha=COMMIT)
    assert read(tag).happenings == (Pushed("refs/tags/v1", COMMIT, ""),)


def merge_request(action: str, source: object = 15, **more: Any) -> bytes:
    attributes = {
        "iid": 3,
        "action": action,
        "source_branch": "topic",
        "target_branch": "main",
        "source_project_id": source,
        "target_project_id": 15,
        "last_commit": {"id": COMMIT},
    }
    changes = more.pop("changes", {})
    user = {"id": 8, "username": "bob"}
    return body("merge_request", object_attributes={**attributes, **more}, changes=changes, user=user)


@pytest.mark.parametrize(
    ("content", "means"),
    [
        (merge_request("open"), "opened"),
        (merge_request("reopen"), "opened"),
        (merge_request("update", oldrev=BEFORE), "updated"),
        (merge_request("update", changes={"target_branch": {"previous": "x"}}), "updated"),
        (merge_request("update"), "other"),
        (merge_request("approved"), "other"),
        (merge_request("merge"), "closed"),
        (merge_request("close"), "closed"),
    ],
)
def test_a_merge_request_says_what_happened_to_it(content: bytes, means: str) -> None:
    delivery = read(content)
    assert delivery.happenings == (PullChanged(3, means, COMMIT, "topic", "refs/heads/main", False),)  # type: ignore[arg-type]
    assert (delivery.repo_id, delivery.sender_id, delivery.sender_name) == ("15", "8", "bob")


@pytest.mark.parametrize(("source", "head_id"), [(16, "16"), (None, "")])
def test_a_source_elsewhere_or_gone_is_a_fork(source: object, head_id: str) -> None:
    (told,) = read(merge_request("open", source)).happenings
    assert isinstance(told, PullChanged)
    assert told.fork
    assert told.head_repo_id == head_id


def test_a_merge_request_without_commits_is_no_error() -> None:
    (told,) = read(merge_request("open", last_commit=None)).happenings
    assert isinstance(told, PullChanged)
    assert told.commit == ""


def note(kind: str, **more: Any) -> bytes:
    attributes = {"id": 1243, "note": "/fiat run", "noteable_type": kind, "system": False, **more}
    about = {"merge_request": {"iid": 3}, "commit": {"id": COMMIT}}
    return body("note", object_attributes=attributes, user={"id": 8}, **about)


def test_notes_on_merge_requests_and_commits_are_read() -> None:
    assert read(note("MergeRequest")).happenings == (Commented("/fiat run", 3, "", "1243"),)
    assert read(note("MergeRequest", action="create")).happenings
    assert read(note("Commit")).happenings == (Commented("/fiat run", 0, COMMIT, "1243"),)
    for nothing in (
        note("Issue"),
        note("Snippet"),
        note("MergeRequest", system=True),
        note("MergeRequest", action="update"),
    ):
        assert read(nothing).happenings == ()


def test_the_best_id_that_is_there_is_taken_and_never_the_hooks_own() -> None:
    headers = {"x_gitlab_webhook_uuid": "hook", "x_gitlab_event_uuid": "event"}
    assert read(push_body(), **headers, idempotency_key="key").id == "key"
    assert read(push_body(), **headers).id == "event"
    found = read(push_body(), x_gitlab_webhook_uuid="hook").id
    assert found == hashlib.sha256(push_body()).hexdigest()
