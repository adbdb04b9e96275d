"""Webhooks: who has signed, what it says, what becomes of it, and what the forge is told."""

import asyncio
import hashlib
import hmac
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from web_stage import COMMIT, SECRET, Full, Stage, app_of, ask, client_of, push_body, signed

from fiat.errors import EnvironmentFault
from fiat.run.delivery import Delivery, Pushed

EXAMPLES = Path(__file__).parents[3] / "shared" / "contracts" / "github-webhook-examples.json"


def sha1(body: bytes) -> dict[str, str]:
    """The old signature alone."""
    digest = hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()
    return {"X-GitHub-Event": "push", "X-GitHub-Delivery": "d1", "X-Hub-Signature": f"sha1={digest}"}


def without(headers: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}


def test_a_signed_push_is_read_and_taken() -> None:
    stage = Stage()
    body = push_body()
    answer = ask(app_of(stage), "POST", "/webhook/github", content=body, headers=signed(body, delivery="d1"))
    assert (answer.status_code, answer.json()) == (202, {"state": "new", "event": "push"})
    (delivery,) = stage.taken
    assert (delivery.forge, delivery.id, delivery.repo_id) == ("github", "d1", "123456")
    assert delivery.happenings == (Pushed("refs/heads/main", COMMIT, "1" * 40),)


def test_the_same_delivery_again_is_answered_alike_and_told_apart() -> None:
    app = app_of(Stage())
    body = push_body()
    headers = signed(body, delivery="d1")
    states = [ask(app, "POST", "/webhook", content=body, headers=headers).json()["state"] for _ in range(2)]
    assert states == ["new", "again"]


BODY = push_body()
GOOD = signed(BODY)
SIGNATURE = GOOD["X-Hub-Signature-256"]
UNSIGNED: Mapping[str, tuple[bytes, dict[str, str]]] = {
    "no signature": (BODY, without(GOOD, "X-Hub-Signature-256")),
    "empty": (BODY, {**GOOD, "X-Hub-Signature-256": ""}),
    "empty digest": (BODY, {**GOOD, "X-Hub-Signature-256": "sha256="}),
    "cut": (BODY, {**GOOD, "X-Hub-Signature-256": SIGNATURE[:-1]}),
    "only sha1": (BODY, sha1(BODY)),
    "sha1 in the place of sha256": (BODY, {**GOOD, "X-Hub-Signature-256": sha1(BODY)["X-Hub-Signature"]}),
    "another secret": (BODY, signed(BODY, secret="another secret of some length")),
    "one byte more": (BODY + b" ", GOOD),
    "one byte else": (BODY.replace(b"main", b"mein"), GOOD),
    "no headers of any forge": (BODY, {"Content-Type": "application/json"}),
    "not even ASCII": (BODY, {**GOOD, "X-Hub-Signature-256": "sha256=\xe9"}),
    "an unknown repository": (push_body(repository={"id": 9, "full_name": "no/body"}), GOOD),
}


@pytest.mark.parametrize("case", UNSIGNED)
def test_a_body_without_a_right_signature_is_refused_and_leaves_nothing(case: str) -> None:
    stage = Stage()
    body, headers = UNSIGNED[case]
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = ask(app_of(stage), "POST", "/webhook", content=body, headers=raw)
    assert answer.status_code == 401
    assert answer.json()["detail"] == "the signature is missing or wrong"
    assert stage.taken == []


def test_every_refusal_reads_the_same() -> None:
    app = app_of(Stage())
    raw = [
        (body, {name: value.encode("latin-1") for name, value in headers.items()})
        for body, headers in UNSIGNED.values()
    ]
    answers = [ask(app, "POST", "/webhook", content=body, headers=headers) for body, headers in raw]
    assert len({(answer.status_code, answer.content) for answer in answers}) == 1


class Watching:
    """A reader that notes the order of what it is asked."""

    name, order = "github", 0

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.secrets: list[tuple[str, ...]] = []

    def recognises(self, headers: Mapping[str, str]) -> bool:
        return True

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
        self.calls.append("verify")
        self.secrets.append(tuple(secrets))
        return b"good" in body

    def read(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        self.calls.append("read")
        return Delivery("github", "d", "k", "push", "1", "a/b", "2", "x")


def test_nothing_is_read_before_the_signature_and_every_secret_is_tried_whatever_the_body_says() -> None:
    watching = Watching()
    both = (SECRET, "the secret before that one was changed")
    app = app_of(Stage(triggers=(watching,), secrets={"github": both}))
    for repository in ("acme/models", "nobody/knows"):
        body = json.dumps({"repository": {"full_name": repository}}).encode()
        assert ask(app, "POST", "/webhook", content=body).status_code == 401
    assert watching.calls == ["verify", "verify"]
    assert watching.secrets == [both, both]
    assert ask(app, "POST", "/webhook", content=b"good").status_code == 202
    assert watching.calls[2:] == ["verify", "read"]


@pytest.mark.parametrize("forge", ["gitea", "forgejo"])
def test_gitea_and_forgejo_are_told_from_github_whose_headers_they_send_too(forge: str) -> None:
    stage = Stage()
    body = push_body()
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    own = {"gitea": "Gitea", "forgejo": "Forgejo"}[forge]
    headers = {
        **signed(body),
        f"X-{own}-Event": "push",
        f"X-{own}-Delivery": "d7",
        f"X-{own}-Signature": digest,
        "X-Gitea-Event": "push",
        "X-Gitea-Delivery": "d7",
        "X-Gitea-Signature": digest,
    }
    answer = ask(app_of(stage), "POST", "/webhook", content=body, headers=headers)
    assert answer.status_code == 202
    assert [delivery.forge for delivery in stage.taken] == [forge]


def test_the_secret_of_one_repository_does_not_speak_for_another() -> None:
    other = "the secret of another repository"
    stage = Stage(secrets={"github": (SECRET, other)}, owners={"123456": (other,)})
    answer = ask(app_of(stage), "POST", "/webhook/github", content=BODY, headers=signed(BODY))
    assert (answer.status_code, stage.taken) == (401, [])
    answer = ask(app_of(stage), "POST", "/webhook/github", content=BODY, headers=signed(BODY, secret=other))
    assert (answer.status_code, len(stage.taken)) == (202, 1)


def test_gitlab_is_read_by_its_token() -> None:
    stage = Stage()
    said = {
        "object_kind": "push",
        "ref": "refs/heads/main",
        "before": "1" * 40,
        "after": COMMIT,
        "checkout_sha": COMMIT,
        "user_id": 4,
        "user_username": "ada",
        "project_id": 15,
        "project": {"id": 15, "path_with_namespace": "acme/models"},
    }
    headers = {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": SECRET, "X-Gitlab-Event-UUID": "u1"}
    answer = ask(app_of(stage), "POST", "/webhook/gitlab", json=said, headers=headers)
    assert answer.status_code == 202
    assert [delivery.forge for delivery in stage.taken] == ["gitlab"]


def test_an_unknown_forge_is_not_found() -> None:
    assert ask(app_of(Stage()), "POST", "/webhook/nosuch", content=b"{}").status_code == 404


def test_webhooks_are_posted() -> None:
    answer = ask(app_of(Stage()), "GET", "/webhook/github")
    assert answer.status_code == 405


def test_events_that_nobody_knows_get_a_2xx_and_are_counted_under_one_name() -> None:
    stage = Stage()
    app = app_of(stage)
    for event in ("star", "brand_new_event", "another_new_event"):
        body = b'{"action": "created"}'
        answer = ask(app, "POST", "/webhook/github", content=body, headers=signed(body, event))
        assert (answer.status_code, answer.json()["state"]) == (202, "ignored")
    assert stage.taken == []
    text = app.state.place.meter.page(stage.numbers(), stage.repositories).decode()
    assert 'fiat_webhooks_total{event="other",forge="github",outcome="ignored"} 2.0' in text
    assert 'fiat_webhooks_total{event="star",forge="github",outcome="ignored"} 1.0' in text
    assert "brand_new" not in text


@pytest.mark.parametrize("fault", [EnvironmentFault("the disk is full"), Full("the database is locked")])
def test_a_store_that_refuses_makes_a_failure_that_the_forge_records(fault: Exception) -> None:
    stage = Stage(fault=fault)
    app = app_of(stage)
    body = push_body()
    answer = ask(app, "POST", "/webhook/github", content=body, headers=signed(body))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "30"
    assert answer.json()["detail"] == "the delivery could not be stored"
    stage.fault = None
    again = ask(app, "POST", "/webhook/github", content=body, headers=signed(body))
    assert again.status_code == 202


def test_a_bug_behind_the_door_is_a_500_without_its_traceback() -> None:
    stage = Stage(fault=RuntimeError("secret detail"))
    body = push_body()
    answer = ask(app_of(stage), "POST", "/webhook/github", content=body, headers=signed(body))
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret detail" not in answer.text


ODD_BODIES: Mapping[str, bytes] = {
    "deep": b"[" * 10_000 + b"]" * 10_000,
    "deep object": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "not a number": b'{"ref": NaN}',
    "infinite": b'{"ref": 1e999}',
    "a key twice": b'{"ref": "refs/heads/main", "ref": "refs/heads/other"}',
    "not UTF-8": b'{"ref": "\xff\xfe"}',
    "not JSON": b"hello",
    "empty": b"",
    "a list": b"[]",
    "a text": b'"push"',
    "fields of other kinds": b'{"ref": {"a": 1}, "repository": [], "sender": 7, "pusher": null}',
    "a text where github-webhook formats": b'{"pusher": "x", "repository": "y", "ref": "refs/heads/main"}',
}


@pytest.mark.parametrize("case", ODD_BODIES)
@pytest.mark.parametrize("event", ["push", "pull_request", "issue_comment", "check_run"])
def test_odd_bodies_with_a_right_signature_are_refused_as_theirs(case: str, event: str) -> None:
    stage = Stage()
    body = ODD_BODIES[case]
    answer = ask(app_of(stage), "POST", "/webhook/github", content=body, headers=signed(body, event))
    # What is an object may be odd where we don't look; it is never our mistake, and nothing comes of it.
    odd_fields = body.startswith((b'{"ref": {', b'{"pusher"'))
    assert 400 <= answer.status_code < 500 or (odd_fields and answer.status_code == 202)
    assert all(delivery.happenings == () for delivery in stage.taken)


def test_hostile_text_does_not_reach_the_log_of_github_webhook(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    body = push_body(
        pusher={"name": "eve\n\x1b[31mINFO all is well"}, sender={"id": 1, "login": "{0.__class__}\neve"}
    )
    headers = {**signed(body), "X-GitHub-Delivery": "d1\x1b[31m"}
    assert ask(app_of(Stage()), "POST", "/webhook/github", content=body, headers=headers).status_code == 202
    assert "webhook" in {record.name for record in caplog.records}
    assert all("eve" not in text and "\x1b" not in text for text in caplog.messages)


def examples() -> list[tuple[str, bytes]]:
    found = []
    for event in json.loads(EXAMPLES.read_text("utf-8")):
        for example in event["examples"]:
            found.append((event["name"], json.dumps(example).encode()))
    return found


@pytest.mark.skipif(not EXAMPLES.is_file(), reason="needs GitHub's examples beside the repository")
def test_every_example_of_github_is_answered_and_none_that_says_something_is_lost() -> None:
    stage = Stage()
    app = app_of(stage)
    reader = next(trigger for trigger in stage.triggers if trigger.name == "github")
    told = 0

    async def send_all() -> None:
        nonlocal told
        async with client_of(app) as client:
            for event, body in examples():
                headers = signed(body, event)
                lower = {name.lower(): value for name, value in headers.items()}
                answer = await client.post("/webhook/github", content=body, headers=headers)
                assert answer.status_code == 202, (event, answer.text)
                told += bool(reader.read(lower, body).happenings)

    asyncio.run(send_all())
    assert told > 0
    assert sum(bool(delivery.happenings) for delivery in stage.taken) == told


def test_without_secrets_nothing_is_taken_unless_the_operator_says_so_on_loopback() -> None:
    body = push_body()
    headers = without(signed(body), "X-Hub-Signature-256")
    secrets = {"gitlab": (SECRET,)}
    shut = ask(app_of(Stage(secrets=secrets)), "POST", "/webhook/github", content=body, headers=headers)
    assert shut.status_code == 401
    app = app_of(Stage(secrets=secrets), insecure=True)
    assert ask(app, "POST", "/webhook/github", content=body, headers=headers).status_code == 202
    # A forge that has a secret is still asked for it.
    assert (
        ask(app, "POST", "/webhook/gitlab", content=body, headers={"X-Gitlab-Event": "Push Hook"}).status_code
        == 401
    )


def test_many_at_once_are_all_taken_once() -> None:
    stage = Stage()
    app = app_of(stage)
    body = push_body()

    async def storm() -> list[int]:
        async with client_of(app) as client:
            calls = [
                client.post("/webhook/github", content=body, headers=signed(body, delivery=f"d{index % 40}"))
                for index in range(200)
            ]
            return [answer.status_code for answer in await asyncio.gather(*calls)]

    assert asyncio.run(storm()) == [202] * 200
    assert sorted(delivery.id for delivery in stage.taken) == sorted({f"d{index}" for index in range(40)})


def test_refusing_takes_as_long_for_repositories_that_nobody_knows() -> None:
    app = app_of(Stage())
    known = push_body(repository={"id": 123456, "full_name": "acme/models"})
    other = push_body(repository={"id": 999999, "full_name": "acme/nobody"})
    headers = signed(b"something else")
    times: dict[bytes, list[float]] = {known: [], other: []}

    async def measure() -> None:
        async with client_of(app) as client:
            for body in [known, other] * 150:
                started = time.perf_counter()
                await client.post("/webhook/github", content=body, headers=headers)
                times[body].append(time.perf_counter() - started)

    asyncio.run(measure())
    one, two = (statistics.median(values) for values in times.values())
    # Nothing depends on the repository before the signature is right, so only noise is between them.
    assert abs(one - two) < max(one, two) * 0.5
