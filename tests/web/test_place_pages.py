"""Places on pages and in the API: what is told of them, to whom, and that nothing of it does anything."""

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from web_stage import ADMIN, BLIND, CI, NOW, READ, URL, Stage, app_of, ask, filled, put_of

from fiat.run.deployment import Hold, Seen
from fiat.run.view import PlaceView
from fiat.web.place_rows import place_row, place_standing, put_row

LIST = "/places"
ONE = "/places/production/fashion?repo=acme/models"
GONE = "/places/shelf/fashion?repo=acme/models"
EVIL = "<img src=x onerror=alert(1)>\u202e\x1b[31m"


def get(path: str, stage: Stage | None = None, token: str = READ) -> str:
    """A page's text."""
    answer = ask(app_of(stage or filled()), "GET", path, token)
    assert answer.status_code == 200, answer.text
    return unescape(answer.text)


def api(path: str, stage: Stage | None = None, token: str = READ) -> Any:
    return ask(app_of(stage or filled()), "GET", f"/api/v1{path}", token).json()


def rows(page: str) -> list[str]:
    """Text of each row of the page's tables, spaces made one."""
    found = re.findall(r"<tr role=\"row\"[^>]*>(.*?)</tr>", page, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]*>", " ", row).split()) for row in found if "<td" in row]


def test_each_place_is_one_row_with_its_model_its_version_and_what_was_seen() -> None:
    page = get(LIST)
    production, edge, shelf = rows(page)
    assert production == (
        "✓ deployed fashion acme/models production service 2 2b2c2b2c serves version 2 "
        "3b2c3b2c is held by rollout: p95 is 80 ms, above 20 ms 6 h ago approved by grace"
    )
    assert edge.startswith(
        "● moving traffic digits acme/vision edge edge 5 5b2c5b2c 10 % of traffic for 2 min"
    )
    assert "everything is held by ada: an incident" in edge
    assert shelf == "✗ differs hidden other/secret shelf directory 4 model.onnx was changed 4 h ago"
    assert f'href="https://github.com/acme/models/commit/{"2b2c" * 10}"' in page
    assert f'<a href="{ONE}">fashion</a>' in page


def test_the_navigation_of_every_page_leads_there() -> None:
    for path in ("/runs", "/runs/r1", LIST, "/runs/none"):
        assert '<a href="/places">Places</a>' in ask(app_of(filled()), "GET", path, READ).text


def test_the_list_is_narrowed_to_a_repository() -> None:
    page = get(f"{LIST}?repo=acme/vision")
    assert len(rows(page)) == 1
    assert "<option selected>acme/vision</option>" in page
    assert ask(app_of(filled()), "GET", f"{LIST}?repo=there/is-none", READ).status_code == 404


def test_a_runner_without_places_says_how_there_come_to_be_some() -> None:
    assert "No model stands anywhere yet" in get(LIST, Stage())


def test_a_place_shows_who_holds_what_and_what_was_put_there() -> None:
    page = get(ONE)
    held, *history = rows(page)
    assert held == "3b2c3b2c rollout p95 is 80 ms, above 20 ms 5 h ago"
    assert history == [
        "✗ went back 3 3b2c3b2c run pushed by ada p95 is 80 ms, above 20 ms 5 h ago",
        "✓ deployed 2 wanted now 2b2c2b2c run pushed by ada has all traffic 6 h ago approved by grace",
        "– replaced 1 1b2c1b2c deployed by hand 8 h ago",
    ]
    for words in (
        "Approved by",
        "grace",
        "http://127.0.0.1:8100",
        "It looks so since 2026-11-21 01:15:00 UTC",
    ):
        assert words in page
    assert 'href="/runs/r2"' in page


def test_a_place_that_was_given_up_says_so_and_keeps_its_history() -> None:
    page = get(GONE)
    assert "Nothing is wanted here until the next deployment." in page
    assert len(rows(page)) == 1
    assert [place["target"] for place in api("/places")["items"]] == ["production", "edge", "shelf"]


def test_a_place_in_the_api_has_everything_that_its_page_has() -> None:
    place = api(ONE)
    assert (place["repo"], place["target"], place["model"]) == ("acme/models", "production", "fashion")
    assert place["url"] == f"{URL}{ONE}"
    assert (place["deployment"]["version"], place["deployment"]["approver"]) == (2, "grace")
    assert (place["seen"]["phase"], place["seen"]["drift"]) == ("serving", [])
    assert [hold["who"] for hold in place["holds"]] == ["rollout"]
    assert [one["state"] for one in place["history"]] == ["refused", "deployed", "deploying"]
    assert len(api(f"{ONE}&limit=2")["history"]) == 2
    assert "history" not in api("/places")["items"][0]
    gone = api(GONE)
    assert (gone["deployment"], gone["seen"]) == (None, None)


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
def test_places_of_repositories_that_must_not_be_seen_are_nowhere(prefix: str) -> None:
    app = app_of(filled())
    told = ask(app, "GET", f"{prefix}/places", CI).text
    assert "acme/models" in told
    assert "acme/vision" not in told
    assert "other/secret" not in told
    hidden = ask(app, "GET", f"{prefix}/places/shelf/hidden?repo=other/secret", CI)
    none = ask(app, "GET", f"{prefix}/places/shelf/nothing?repo=acme/models", CI)
    assert (hidden.status_code, hidden.text) == (none.status_code, none.text) == (404, none.text)
    assert ask(app, "GET", f"{prefix}/places?repo=other/secret", CI).status_code == 404
    assert ask(app, "GET", f"{prefix}/places", BLIND).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/places/production/fashion",
        "/places/production/fashion?repo=acme",
        "/places/production/%3Cscript%3E?repo=acme/models",
        "/places/-x/fashion?repo=acme/models",
        "/places/production:fashion/x?repo=acme/models",
        "/places/production",
    ],
)
def test_addresses_of_no_place_say_so_and_reach_no_store(path: str) -> None:
    class Untouched(Stage):
        def place(self, repo: str, target: str, model: str, limit: int) -> PlaceView | None:
            raise AssertionError(f"{repo} {target} {model} was looked for")

    answer = ask(app_of(Untouched()), "GET", path, ADMIN)
    assert answer.status_code == 404
    assert "<script>" not in answer.text
    assert ask(app_of(Untouched()), "GET", f"/api/v1{path}", ADMIN).status_code in (404, 422)


def test_whatever_people_and_targets_say_is_harmless_text() -> None:
    put = put_of(
        1,
        spec=EVIL,
        kind=EVIL,
        commit=EVIL,
        run="../" + EVIL,
        cause=EVIL,
        approver=EVIL,
        reason=EVIL,
        digest=EVIL,
    )
    put = replace(put, commit_url="javascript:alert(1)")
    hold = Hold("", EVIL, EVIL, EVIL, EVIL, NOW)
    seen = Seen(1, EVIL, EVIL, "javascript:alert(2)", (f"{EVIL}!",), NOW)
    stage = Stage(spots=[PlaceView("acme/models", "production", "fashion", put, (hold,), seen, (put,))])
    strange = PlaceView("acme/models", EVIL, f'"{EVIL}/../', put, (), None, ())
    stage.spots.append(strange)
    for path in (LIST, ONE):
        text = ask(app_of(stage), "GET", path, READ).text
        assert "&lt;img src=x" in text
        assert "<img" not in text
        assert "\u202e" not in text
        assert "\x1b" not in text
        assert 'href="javascript:' not in text
        assert 'href="/runs/..' not in text
        assert re.findall(r'href="[^"]*[<>]', text) == []


def test_asking_changes_nothing() -> None:
    stage = filled()
    app = app_of(stage)
    for prefix in ("", "/api/v1"):
        for path in (LIST, ONE, GONE):
            assert ask(app, "GET", f"{prefix}{path}", ADMIN).status_code == 200
            assert ask(app, "POST", f"{prefix}{path}", ADMIN).status_code == 405
    assert stage.asked == []


def seen(phase: str, *drift: str, sequence: int = 2) -> Seen:
    return Seen(sequence, phase, "a sentence", "", drift, NOW - timedelta(minutes=3))


@pytest.mark.parametrize(
    ("state", "sight", "word"),
    [
        ("deployed", None, "deployed"),
        ("deployed", seen("serving"), "deployed"),
        ("deployed", seen("rolling"), "deployed"),
        ("deployed", seen("failed"), "deployed"),
        ("deployed", seen("serving", "a file was changed"), "differs"),
        ("deployed", seen("broken", "the process is gone"), "broken"),
        ("deployed", seen("absent", "nothing is there"), "differs"),
        ("deploying", None, "deploying"),
        ("deploying", seen("rolling", "it has x, not y"), "moving traffic"),
        ("deploying", seen("paused"), "paused"),
        ("deploying", seen("baking"), "on trial"),
        ("deploying", seen("failed"), "went back"),
        ("deploying", seen("broken", "no answer", sequence=1), "deploying"),
    ],
)
def test_a_place_stands_as_recorded_unless_something_else_was_seen_of_that_deployment(
    state: Any, sight: Seen | None, word: str
) -> None:
    view = PlaceView("acme/models", "production", "fashion", put_of(2, state), seen=sight)
    assert place_standing(view).word == word


def test_what_was_seen_of_an_earlier_deployment_is_not_told_of_the_next() -> None:
    view = PlaceView("acme/models", "production", "fashion", put_of(2), seen=seen("serving", sequence=1))
    row = place_row(view, NOW)
    assert (row.sentence, row.seen_at) == ("", None)
    stage = Stage(spots=[view])
    assert "nobody has looked yet" in get(LIST, stage)
    assert api(ONE, stage)["seen"] is None


def test_a_deployment_whose_end_nobody_saw_was_replaced() -> None:
    assert put_row(put_of(1, "deploying"), put_of(2), NOW).standing.word == "replaced"
    assert put_row(put_of(2, "deploying"), put_of(2), NOW).standing.word == "deploying"
