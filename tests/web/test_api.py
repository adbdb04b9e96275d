"""The API: who may ask, what is shown, what is done, and what is said when it can't be."""

import asyncio
from typing import Any

import httpx
import pytest
from web_stage import ADMIN, BLIND, CI, COMMIT, NOW, READ, URL, Stage, app_of, ask, bearer, client_of, filled

from fiat.errors import EnvironmentFault, Stalled, Waiting

READING = (
    "/api/v1/runs",
    "/api/v1/runs/r1",
    "/api/v1/runs/r1/steps",
    "/api/v1/runs/r1/logs/train",
    "/api/v1/runs/r1/events",
    "/api/v1/changes",
    "/api/v1/changes/c1",
    "/api/v1/places",
    "/api/v1/places/production/fashion?repo=acme/models",
    "/api/v1/letters",
    "/api/v1/openapi.json",
)
ACTING: dict[str, Any] = {
    "/api/v1/runs/r2/cancel": None,
    "/api/v1/trigger": {"repo": "acme/models", "ref": "main"},
    "/api/v1/approve": {"repo": "acme/models", "pull": 17, "commit": COMMIT},
    "/api/v1/rollback": {"repo": "acme/models", "spec": "fashion"},
}


def is_problem(answer: httpx.Response, status: int) -> bool:
    """Whether the answer is the document that says so."""
    document = answer.json()
    return (
        answer.status_code == status == document["status"]
        and answer.headers["content-type"] == "application/problem+json"
        and {"type", "title", "detail"} <= document.keys()
    )


@pytest.mark.parametrize("path", READING)
def test_reading_needs_a_token_with_that_scope(path: str) -> None:
    app = app_of(filled())
    assert is_problem(ask(app, "GET", path), 401)
    assert is_problem(ask(app, "GET", path, "a token that nobody has given out"), 401)
    assert is_problem(ask(app, "GET", path, BLIND), 403)
    assert ask(app, "GET", path, READ).status_code == 200
    assert ask(app, "GET", path, headers={"Authorization": f"Basic {READ}"}).status_code == 401


def test_a_refused_token_is_challenged() -> None:
    assert ask(app_of(filled()), "GET", "/api/v1/runs").headers["www-authenticate"] == 'Bearer realm="fiat"'


@pytest.mark.parametrize("path", READING)
def test_reading_is_open_only_where_the_operator_said_so(path: str) -> None:
    assert ask(app_of(filled(), public_read=True), "GET", path).status_code == 200


@pytest.mark.parametrize("path", ACTING)
def test_acting_needs_its_own_scope_even_where_reading_is_open(path: str) -> None:
    stage = filled()
    app = app_of(stage, public_read=True)
    assert is_problem(ask(app, "POST", path, json=ACTING[path]), 401)
    assert is_problem(ask(app, "POST", path, READ, json=ACTING[path]), 403)
    assert stage.asked == []
    assert ask(app, "POST", path, ADMIN, json=ACTING[path]).status_code in (200, 201)
    assert len(stage.asked) == 1


def test_a_run_is_shown_with_its_steps_metrics_and_gates() -> None:
    run = ask(app_of(filled()), "GET", "/api/v1/runs/r1", READ).json()
    assert (run["spec"], run["state"], run["verdict"], run["commit"]) == ("fashion", "done", "pass", COMMIT)
    assert run["url"] == f"{URL}/runs/r1"
    assert [step["state"] for step in run["steps"]] == ["reused", "ran", "ran"]
    assert [(metric["name"], metric["slice"]) for metric in run["metrics"]] == [
        ("accuracy", ""),
        ("loss", ""),
        ("accuracy", "label=7"),
    ]
    assert run["metrics"][1]["value"] is None  # JSON knows no NaN
    assert [gate["state"] for gate in run["gates"]] == ["pass", "warn"]


def test_a_run_that_has_not_begun_has_nothing_to_show_yet() -> None:
    run = ask(app_of(filled()), "GET", "/api/v1/runs/r3", READ).json()
    assert (run["state"], run["steps"], run["metrics"]) == ("waiting", [], [])


def test_lists_are_narrowed_and_paged() -> None:
    app = app_of(filled())

    def ids(query: str) -> list[str]:
        return [run["id"] for run in ask(app, "GET", f"/api/v1/runs{query}", READ).json()["items"]]

    assert ids("") == ["r7", "r6", "r5", "r4", "r3", "r2", "r1"]
    assert ids("?repo=acme/vision") == ["r5"]
    assert ids("?state=running") == ["r2"]
    assert ids("?spec=digits") == ["r2"]
    first = ask(app, "GET", "/api/v1/runs?limit=3", READ).json()
    assert [run["id"] for run in first["items"]] == ["r7", "r6", "r5"]
    assert ids(f"?limit=3&before={first['next']}") == ["r4", "r3", "r2"]
    last = ask(app, "GET", "/api/v1/runs?limit=3&before=r2", READ).json()
    assert (len(last["items"]), last["next"]) == (1, "")


@pytest.mark.parametrize(
    "query",
    [
        "?limit=0",
        "?limit=201",
        "?limit=x",
        "?state=odd",
        "?repo=a",
        "?repo=../..",
        "?spec=%0a",
        "?before=%00",
        "?before=none",
        "?repository=a/b",
        "?=1",
    ],
)
def test_odd_filters_are_refused(query: str) -> None:
    assert ask(app_of(filled()), "GET", f"/api/v1/runs{query}", READ).status_code in (404, 422)


def test_a_token_for_some_repositories_sees_no_others() -> None:
    app = app_of(filled())
    listed = ask(app, "GET", "/api/v1/runs", CI).json()["items"]
    assert {run["repo"] for run in listed} == {"acme/models"}
    hidden, missing = ask(app, "GET", "/api/v1/runs/r7", CI), ask(app, "GET", "/api/v1/runs/none", CI)
    assert (hidden.status_code, hidden.content) == (404, missing.content)
    for path in ("/steps", "/logs/train", "/events"):
        assert ask(app, "GET", f"/api/v1/runs/r7{path}", CI).status_code == 404
    assert ask(app, "GET", "/api/v1/changes/c6", CI).status_code == 404
    assert {item["repo"] for item in ask(app, "GET", "/api/v1/changes", CI).json()["items"]} == {
        "acme/models"
    }
    hidden, missing = (
        ask(app, "GET", f"/api/v1/runs?repo={name}", CI) for name in ("other/secret", "there/is-none")
    )
    assert (hidden.status_code, hidden.content) == (404, missing.content)


def test_a_token_for_some_repositories_does_nothing_to_others() -> None:
    stage = filled()
    app = app_of(stage)
    assert ask(app, "POST", "/api/v1/runs/r7/cancel", CI).status_code == 404
    for repo in ("other/secret", "there/is-none"):
        assert ask(app, "POST", "/api/v1/trigger", CI, json={"repo": repo, "ref": "main"}).status_code == 404
    assert stage.asked == []


def test_logs_are_given_as_they_were_printed_piece_by_piece() -> None:
    stage = filled()
    stage.logs["r1", "train"] = b"caf\xc3\xa9 \xff\x00<script>\n"
    app = app_of(stage)
    whole = ask(app, "GET", "/api/v1/runs/r1/logs/train", READ)
    assert whole.content == stage.logs["r1", "train"]
    assert whole.headers["content-type"] == "text/plain; charset=utf-8"
    assert (whole.headers["fiat-next-offset"], whole.headers["fiat-ended"]) == ("17", "true")
    piece = ask(app, "GET", "/api/v1/runs/r1/logs/train?offset=5&limit=2", READ)
    assert (piece.content, piece.headers["fiat-next-offset"], piece.headers["fiat-ended"]) == (
        b" \xff",
        "7",
        "false",
    )
    tail = ask(app, "GET", "/api/v1/runs/r1/logs/train?offset=-3", READ)
    assert (tail.content, tail.headers["fiat-offset"]) == (b"t>\n", "14")
    assert ask(app, "GET", "/api/v1/runs/r1/logs/nosuch", READ).status_code == 404
    assert ask(app, "GET", "/api/v1/runs/r1/logs/train?limit=99999999", READ).status_code == 422


def test_cancelling_says_what_became_of_it() -> None:
    stage = filled()
    app = app_of(stage)
    assert ask(app, "POST", "/api/v1/runs/r3/cancel", CI).json() == {"state": "cancelled"}
    assert ask(app, "POST", "/api/v1/runs/r2/cancel", CI).json() == {"state": "cancelling"}
    assert is_problem(ask(app, "POST", "/api/v1/runs/r1/cancel", CI), 409)
    assert [asked[-1] for asked in stage.asked] == ["ci"] * 3


def test_triggering_gives_the_change_to_follow() -> None:
    stage = filled()
    asked = {"repo": "acme/models", "ref": "main", "specs": ["fashion"], "overrides": ["train.with.lr=0.1"]}
    answer = ask(app_of(stage), "POST", "/api/v1/trigger", CI, json=asked)
    assert answer.status_code == 201
    assert (answer.json()["id"], answer.json()["url"]) == ("c9", f"{URL}/changes/c9")
    assert stage.asked == [("submit", "acme/models", "main", ("fashion",), ("train.with.lr=0.1",), "ci")]


def test_a_wish_that_is_told_twice_under_one_key_is_done_once() -> None:
    stage = filled()
    app = app_of(stage)
    asked = {"repo": "acme/models", "ref": "main"}

    async def storm() -> list[str]:
        async with client_of(app, CI, **{"Idempotency-Key": "k1"}) as client:
            answers = await asyncio.gather(*(client.post("/api/v1/trigger", json=asked) for _ in range(8)))
            return [answer.json()["id"] for answer in answers]

    assert asyncio.run(storm()) == ["c9"] * 8
    assert len(stage.asked) == 1
    for key, token in (("k2", CI), ("k1", ADMIN), ("", CI), ("", CI)):
        headers = {**bearer(token), **({"Idempotency-Key": key} if key else {})}
        assert ask(app, "POST", "/api/v1/trigger", json=asked, headers=headers).status_code == 201
    assert len(stage.asked) == 5


def test_a_wish_that_failed_is_tried_again_under_its_key() -> None:
    stage = filled()
    app = app_of(stage)
    headers = {**bearer(CI), "Idempotency-Key": "k1"}
    wish = {"repo": "acme/models", "ref": "nowhere"}
    for _ in range(2):
        assert is_problem(ask(app, "POST", "/api/v1/trigger", json=wish, headers=headers), 422)
    wish["ref"] = "main"
    assert ask(app, "POST", "/api/v1/trigger", json=wish, headers=headers).status_code == 201


def test_approving_counts_for_that_very_commit() -> None:
    app = app_of(filled())
    asked = {"repo": "acme/models", "pull": 17, "commit": COMMIT}
    assert ask(app, "POST", "/api/v1/approve", ADMIN, json=asked).json() == {"released": 1}
    other = {**asked, "commit": "0" * 40}
    assert is_problem(ask(app, "POST", "/api/v1/approve", ADMIN, json=other), 409)
    short = {**asked, "commit": COMMIT[:12]}
    assert is_problem(ask(app, "POST", "/api/v1/approve", ADMIN, json=short), 422)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"repo": "acme/models"},
        {"repo": "acme/models", "ref": "--upload-pack=x"},
        {"repo": "acme/models", "ref": "a b"},
        {"repo": "acme/models", "ref": "main\n"},
        {"repo": "acme/models", "ref": 7},
        {"repo": "acme/models", "ref": "main", "more": 1},
        {"repo": "acme/models", "ref": "main", "specs": "fashion"},
        {"repo": "acme/models", "ref": "main", "specs": ["-x"]},
        {"repo": "models", "ref": "main"},
        [],
        "text",
    ],
)
def test_odd_wishes_are_refused_with_every_fault(body: Any) -> None:
    stage = filled()
    answer = ask(app_of(stage), "POST", "/api/v1/trigger", ADMIN, json=body)
    assert is_problem(answer, 422)
    assert answer.json()["errors"]
    assert stage.asked == []


def test_what_is_no_json_is_a_bad_request() -> None:
    headers = {**bearer(ADMIN), "Content-Type": "application/json"}
    for content in (b"{", b"\xff", b"[" * 30_000, b'{"repo": NaN}'):
        answer = ask(app_of(filled()), "POST", "/api/v1/trigger", content=content, headers=headers)
        assert answer.status_code in (400, 422), content[:10]


def test_values_of_a_wish_are_not_repeated_in_the_answer() -> None:
    answer = ask(
        app_of(filled()), "POST", "/api/v1/trigger", ADMIN, json={"repo": "s3cret value", "ref": "main"}
    )
    assert "s3cret" not in answer.text


@pytest.mark.parametrize(
    ("error", "status", "wait"),
    [
        (Waiting("git does not answer", retry_after_s=7.2), 503, "7"),
        (Waiting("git does not answer"), 503, "30"),
        (EnvironmentFault("the disk is full"), 503, "30"),
        (Stalled("the credential is refused"), 409, None),
    ],
)
def test_errors_of_the_engine_are_told_as_what_they_are(
    error: Exception, status: int, wait: str | None
) -> None:
    class Failing(Stage):
        def runs(self, *_: Any) -> Any:
            raise error

    answer = ask(app_of(Failing()), "GET", "/api/v1/runs", READ)
    assert is_problem(answer, status)
    assert answer.headers.get("retry-after") == wait


def test_a_bug_is_a_document_too_and_tells_nothing() -> None:
    class Broken(Stage):
        def runs(self, *_: Any) -> Any:
            raise RuntimeError("a secret")

    answer = ask(app_of(Broken()), "GET", "/api/v1/runs", READ)
    assert is_problem(answer, 500)
    assert "secret" not in answer.text


def test_undelivered_reports_are_listed() -> None:
    app = app_of(filled())
    (letter,) = ask(app, "GET", "/api/v1/letters?state=dead", READ).json()["items"]
    assert (letter["kind"], letter["about"], letter["reason"]) == ("check", COMMIT, "403 from the forge")
    assert ask(app, "GET", "/api/v1/letters?state=waiting", READ).json()["items"] == []


def test_a_change_is_shown_with_its_runs() -> None:
    change = ask(app_of(filled()), "GET", "/api/v1/changes/c1", READ).json()
    assert [run["id"] for run in change["runs"]] == ["r1", "r2"]
    assert change["made_at"].startswith(NOW.strftime("%Y-%m-%d"))


def test_health_is_public_and_its_details_are_not() -> None:
    stage = filled()
    app = app_of(stage)
    assert ask(app, "GET", "/healthz").json() == {"ok": True}
    assert ask(app, "HEAD", "/healthz").status_code == 200
    assert ask(app, "GET", "/readyz", READ).json()["parts"] == {"store": "ok"}
    stage.healthy = False
    answer = ask(app, "GET", "/readyz")
    assert (answer.status_code, answer.json()) == (503, {"ok": False})
    assert ask(app, "GET", "/readyz", "no token of ours").json() == {"ok": False}


def test_paths_that_are_not_there_and_methods_that_are_not_allowed_are_documents() -> None:
    app = app_of(filled())
    assert is_problem(ask(app, "GET", "/api/v1/nowhere", READ), 404)
    answer = ask(app, "DELETE", "/api/v1/runs", ADMIN)
    assert is_problem(answer, 405)
    assert answer.headers["allow"] == "GET"
