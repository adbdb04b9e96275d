"""GitHub's webhooks: their signatures, and every example that GitHub publishes."""

import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from fiat.builtin.trigger_github import GithubTrigger
from fiat.errors import SpecError
from fiat.ports.trigger import Trigger
from fiat.run.delivery import Commented, Delivery, PullChanged, Pushed, Rerequested
from fiat.testing.trigger_suite import SECRET, Sample, TriggerSuite

EXAMPLES = Path(__file__).parents[3] / "shared" / "contracts" / "github-webhook-examples.json"
COMMIT, BEFORE, ZERO = "a" * 40, "b" * 40, "0" * 40
REPO = {"id": 11, "full_name": "acme/models"}
SENDER = {"id": 7, "login": "ann"}


def body(**fields: Any) -> bytes:
    return json.dumps({"repository": REPO, "sender": SENDER, **fields}).encode()


def read(event: str, content: bytes, **headers: str) -> Delivery:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return GithubTrigger().read({"x-github-event": event, "x-github-delivery": "g-1", **more}, content)


def pull(action: str, head_repo: Any = REPO, **more: Any) -> bytes:
    head = {"ref": "topic", "sha": COMMIT, "repo": head_repo}
    return body(
        action=action, pull_request={"number": 5, "head": head, "base": {"ref": "main", "repo": REPO}}, **more
    )


def sign(content: bytes, secret: str, kind: str = "sha256") -> str:
    return f"{kind}=" + hmac.new(secret.encode(), content, kind).hexdigest()


class TestGithub(TriggerSuite):
    @pytest.fixture
    def trigger(self) -> Trigger:
        return GithubTrigger()

    @pytest.fixture
    def push(self) -> Sample:
        content = body(ref="refs/heads/main", before=BEFORE, after=COMMIT, deleted=False)
        return Sample({"x-github-event": "push", "x-github-delivery": "72d3162e-cc78"}, content)

    @pytest.fixture
    def unknown(self) -> Sample:
        return Sample({"x-github-event": "moon_landing", "x-github-delivery": "1"}, b'{"action": "landed"}')

    def prove(self, sample: Sample, secret: str) -> Mapping[str, str]:
        return {**sample.headers, "x-hub-signature-256": sign(sample.body, secret)}


def test_a_sha1_signature_alone_is_refused() -> None:
    content = body()
    headers = {"x-github-event": "push", "x-hub-signature": sign(content, SECRET, "sha1")}
    assert not GithubTrigger().verify(headers, content, [SECRET])
    digest = sign(content, SECRET).removeprefix("sha256=")
    for wrong in (
        f"sha1={digest}",
        digest,
        f"SHA256={digest}",
        f"sha256={digest.upper()}",
        "sha256=",
        f"={digest}",
    ):
        assert not GithubTrigger().verify({**headers, "x-hub-signature-256": wrong}, content, [SECRET]), wrong
    assert GithubTrigger().verify({**headers, "x-hub-signature-256": f"sha256={digest}"}, content, [SECRET])


@pytest.mark.skipif(not EXAMPLES.is_file(), reason="needs GitHub's examples beside the repository")
def test_every_event_that_github_publishes_is_read() -> None:
    events = json.loads(EXAMPLES.read_bytes())
    told: dict[str, int] = {}
    for event in events:
        for example in event["examples"]:
            content = json.dumps(example).encode()
            delivery = read(event["name"], content)
            assert delivery.event == event["name"]
            assert delivery.repo_id == str(example.get("repository", {}).get("id", ""))
            as_form = b"payload=" + quote(content).encode()
            form = read(event["name"], as_form, content_type="application/x-www-form-urlencoded")
            assert form.happenings == delivery.happenings
            told[event["name"]] = told.get(event["name"], 0) + len(delivery.happenings)
    assert len(events) == 58
    assert {name: count for name, count in told.items() if count} == {
        "push": 7,
        "pull_request": 29,
        "commit_comment": 5,
        "check_run": 3,
        "check_suite": 2,
        "merge_group": 2,
    }


def test_a_deleted_branch_has_no_commit() -> None:
    for gone in (
        body(ref="refs/heads/x", before=BEFORE, after=ZERO),
        body(ref="refs/heads/x", before=BEFORE, after=COMMIT, deleted=True),
    ):
        assert read("push", gone).happenings == (Pushed("refs/heads/x", "", BEFORE),)


def test_a_new_branch_was_nowhere_before() -> None:
    content = body(ref="refs/heads/x", before=ZERO, after=COMMIT)
    assert read("push", content).happenings == (Pushed("refs/heads/x", COMMIT, ""),)


def test_an_annotated_tag_tells_its_commit_and_not_its_object() -> None:
    content = body(ref="refs/tags/v1", before=ZERO, after="c" * 40, head_commit={"id": COMMIT})
    assert read("push", content).happenings == (Pushed("refs/tags/v1", COMMIT, ""),)


@pytest.mark.parametrize("name", ["--upload-pack=x", "$(id)", "`id`", "ü/<script>", "a;b&c|d", "'\""])
def test_hostile_names_that_git_allows_stay_text(name: str) -> None:
    (pushed,) = read("push", body(ref=f"refs/heads/{name}", before=BEFORE, after=COMMIT)).happenings
    assert pushed == Pushed(f"refs/heads/{name}", COMMIT, BEFORE)


@pytest.mark.parametrize(
    "commit", ["", "main", "A" * 40, "a" * 39, "a" * 41, "--help", 7, None, "a" * 40 + "\n"]
)
def test_what_is_no_full_hash_is_refused(commit: object) -> None:
    with pytest.raises(SpecError, match="no full commit hash"):
        read("push", body(ref="refs/heads/x", before=BEFORE, after=commit))


def test_a_merge_queue_asks_once_for_its_head() -> None:
    ref = "refs/heads/gh-readonly-queue/main/pr-104-929f"
    group = {"head_sha": COMMIT, "head_ref": ref, "base_ref": "refs/heads/main", "base_sha": BEFORE}
    assert read("push", body(ref=ref, before=ZERO, after=COMMIT)).happenings == ()
    assert read("merge_group", body(action="destroyed", merge_group=group)).happenings == ()
    (asked,) = read("merge_group", body(action="checks_requested", merge_group=group)).happenings
    assert asked == PullChanged(
        0, "updated", COMMIT, ref.removeprefix("refs/heads/"), "refs/heads/main", False
    )


@pytest.mark.parametrize(
    ("action", "means"),
    [
        ("opened", "opened"),
        ("reopened", "opened"),
        ("ready_for_review", "opened"),
        ("synchronize", "updated"),
        ("closed", "closed"),
        ("labeled", "other"),
        ("edited", "other"),
    ],
)
def test_a_pull_request_says_what_happened_to_it(action: str, means: str) -> None:
    (told,) = read("pull_request", pull(action)).happenings
    assert told == PullChanged(5, means, COMMIT, "topic", "refs/heads/main", False)  # type: ignore[arg-type]


def test_a_pull_request_that_turns_to_another_branch_is_updated() -> None:
    (told,) = read("pull_request", pull("edited", changes={"base": {"ref": {"from": "old"}}})).happenings
    assert isinstance(told, PullChanged)
    assert told.action == "updated"


@pytest.mark.parametrize(
    ("head_repo", "head_id"), [({"id": 12}, "12"), (None, ""), ({}, ""), ({"id": 0}, "0")]
)
def test_a_head_that_lies_elsewhere_or_nowhere_is_a_fork(head_repo: object, head_id: str) -> None:
    (told,) = read("pull_request", pull("opened", head_repo)).happenings
    assert isinstance(told, PullChanged)
    assert told.fork
    assert told.head_repo_id == head_id


def test_a_comment_counts_on_a_pull_request_or_commit_and_when_it_is_new() -> None:
    issue = {"number": 5, "pull_request": {"url": "x"}}
    comment = {"id": 99, "body": "/fiat run\x00\ud800", "commit_id": COMMIT}
    (told,) = read("issue_comment", body(action="created", issue=issue, comment=comment)).happenings
    assert told == Commented("/fiat run\ufffd\ufffd", 5, "", "99")
    (told,) = read("commit_comment", body(action="created", comment=comment)).happenings
    assert told == Commented("/fiat run\ufffd\ufffd", 0, COMMIT, "99")
    assert not read("issue_comment", body(action="edited", issue=issue, comment=comment)).happenings
    assert not read("issue_comment", body(action="created", issue={"number": 5}, comment=comment)).happenings


def test_buttons_of_a_check_are_read() -> None:
    check = {"id": 4, "head_sha": COMMIT, "name": "fiat/pr/x", "completed_at": "2026-01-01T00:00:00Z"}
    assert read("check_run", body(action="rerequested", check_run=check)).happenings == (
        Rerequested(COMMIT, "fiat/pr/x"),
    )
    pressed = body(action="requested_action", check_run=check, requested_action={"identifier": "rollback"})
    assert read("check_run", pressed).happenings == (Rerequested(COMMIT, "fiat/pr/x", "rollback"),)
    assert not read("check_run", body(action="completed", check_run=check)).happenings
    suite = {"id": 5, "head_sha": COMMIT, "updated_at": "2026-01-01T00:00:00Z"}
    first = read("check_suite", body(action="rerequested", check_suite=suite))
    assert first.happenings == (Rerequested(COMMIT, ""),)
    later = read("check_suite", body(action="rerequested", check_suite={**suite, "updated_at": "2026-02"}))
    assert later.body_key != first.body_key


def test_authority_is_a_number_and_names_are_only_shown() -> None:
    content = body(
        ref="refs/heads/main",
        before=BEFORE,
        after=COMMIT,
        pusher={"name": "admin"},
        head_commit={
            "id": COMMIT,
            "author": {"name": "admin", "username": "admin"},
            "message": "/fiat approve",
        },
    )
    delivery = read("push", content)
    assert (delivery.sender_id, delivery.sender_name) == ("7", "ann")
    for wrong in ("7", 7.0, True, [7], 2**70):
        with pytest.raises(SpecError, match="no numeric id"):
            read("ping", body(sender={"id": wrong}))


def test_two_hooks_that_tell_of_one_event_have_the_same_key() -> None:
    one = read("pull_request", pull("synchronize"), x_github_delivery="1")
    two = read(
        "pull_request", pull("synchronize", installation={"id": 3}, hook={"id": 9}), x_github_delivery="2"
    )
    assert one.body_key == two.body_key
    keys = {
        read(event, content).body_key
        for event, content in [
            ("pull_request", pull("synchronize")),
            ("pull_request", pull("opened")),
            ("pull_request", pull("reopened")),
            ("push", body(ref="refs/heads/main", before=BEFORE, after=COMMIT)),
            ("push", body(ref="refs/heads/main", before=COMMIT, after=BEFORE)),
            ("push", body(ref="refs/heads/other", before=BEFORE, after=COMMIT)),
            ("push", body(ref="refs/heads/main", before=BEFORE, after=COMMIT, repository={"id": 12})),
        ]
    }
    assert len(keys) == 7


@pytest.mark.parametrize(
    "form",
    [b"", b"payload", b"payload=%ff", b"payload={}&payload={}", b"x={}", b"payload=\xff", b"payload=[]"],
)
def test_a_form_of_another_shape_is_refused(form: bytes) -> None:
    with pytest.raises(SpecError):
        read("push", form, content_type="application/x-www-form-urlencoded; charset=utf-8")
