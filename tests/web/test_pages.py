"""The pages without a browser: who sees them, what they say, what their forms do."""

import asyncio
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from html import unescape

import httpx
import pytest
from web_stage import ADMIN, BLIND, CI, COMMIT, NOW, READ, URL, Stage, app_of, ask, client_of, filled

from fiat.errors import SpecError

OWN = {"Origin": URL, "Sec-Fetch-Site": "same-origin"}


def form_token(page: str) -> str:
    found = re.search(r'name="form" value="([0-9a-f]{64})"', page)
    assert found is not None
    return found[1]


async def log_in(client: httpx.AsyncClient, token: str, target: str = "/runs") -> httpx.Response:
    page = await client.get(f"/login?next={target}")
    fields = {"form": form_token(page.text), "token": token, "next": target}
    return await client.post("/login", data=fields, headers=OWN)


def visit(stage: Stage, path: str, token: str = ADMIN, **changes: object) -> httpx.Response:
    """A page as somebody who is logged in sees it."""

    async def story() -> httpx.Response:
        async with client_of(app_of(stage, **changes)) as client:
            await log_in(client, token)
            return await client.get(path)

    return asyncio.run(story())


def press(
    stage: Stage, path: str, token: str = ADMIN, fields: Mapping[str, str] | None = None, **headers: str
) -> httpx.Response:
    """A button of a page, with its form's token unless others are given."""

    async def story() -> httpx.Response:
        async with client_of(app_of(stage)) as client:
            await log_in(client, token)
            own = {"form": form_token((await client.get("/runs/r1")).text)}
            return await client.post(path, data=own if fields is None else fields, headers={**OWN, **headers})

    return asyncio.run(story())


PLACE = "/places/production/fashion?repo=acme/models"
PAGES = ("/runs", "/runs/r1", "/runs/r1/report", "/changes/c1", "/places")


@pytest.mark.parametrize("path", PAGES)
def test_strangers_are_led_to_the_login_and_from_there_back(path: str) -> None:
    async def story() -> None:
        async with client_of(app_of(filled())) as client:
            shut = await client.get(path)
            assert (shut.status_code, shut.headers["location"]) == (303, f"/login?next={path}")
            let_in = await log_in(client, READ, path)
            assert (let_in.status_code, let_in.headers["location"]) == (303, path)
            assert (await client.get(path)).status_code == 200

    asyncio.run(story())


def test_the_start_leads_to_the_runs() -> None:
    assert ask(app_of(filled()), "GET", "/").headers["location"] == "/runs"


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_open_only_where_the_operator_said_so(path: str) -> None:
    assert ask(app_of(filled(), public_read=True), "GET", path).status_code == 200


def test_a_strict_cookie_is_asked_for_again_when_one_comes_from_the_forge() -> None:
    async def story() -> None:
        async with client_of(app_of(filled())) as client:
            answer = await client.get("/runs/r1", headers={"Sec-Fetch-Site": "cross-site"})
            assert answer.status_code == 200
            assert 'http-equiv="refresh" content="0"' in answer.text
            assert "fashion" not in answer.text

    asyncio.run(story())


def test_the_cookie_is_for_our_pages_alone_and_does_not_hold_the_token() -> None:
    async def story() -> None:
        async with client_of(app_of(filled())) as client:
            cookie = (await log_in(client, READ)).headers["set-cookie"]
            assert cookie.startswith("__Host-fiat=")
            assert {"Path=/", "HttpOnly", "SameSite=Strict", "Secure", "Max-Age=43200"} <= set(
                cookie.split("; ")
            )
            assert READ not in cookie

    asyncio.run(story())


def test_a_session_ends_with_its_time_its_token_and_its_key() -> None:
    times = [NOW]

    def clock() -> datetime:
        return times[0]

    async def story() -> None:
        stage = filled()
        async with client_of(app_of(stage, clock)) as client:
            await log_in(client, READ)
            times[0] = NOW + timedelta(hours=11)
            assert (await client.get("/runs")).status_code == 200
            stage.token = lambda text: None  # type: ignore[method-assign]
            assert (await client.get("/runs")).status_code == 303
            del stage.token
            times[0] = NOW + timedelta(hours=13)
            assert (await client.get("/runs")).status_code == 303
            times[0] = NOW
            cookies = dict(client.cookies)
        async with client_of(app_of(stage, clock, key=b"another key of at least 32 bytes")) as client:
            client.cookies.update(cookies)
            assert (await client.get("/runs")).status_code == 303

    asyncio.run(story())


def test_a_token_that_nobody_has_is_told_so_and_never_shown_again() -> None:
    async def story() -> None:
        async with client_of(app_of(filled())) as client:
            answer = await log_in(client, "wrong <token>")
            assert answer.status_code == 401
            assert "does not know that token" in answer.text
            assert "wrong" not in answer.text
            assert "set-cookie" not in answer.headers

    asyncio.run(story())


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "",
        "/a b",
        "/runs\r\nX: y",
        "/",
    ],
)
def test_the_login_leads_to_our_own_pages_only(target: str) -> None:
    async def story() -> None:
        async with client_of(app_of(filled())) as client:
            fields = {"form": form_token((await client.get("/login")).text), "token": READ, "next": target}
            assert (await client.post("/login", data=fields, headers=OWN)).headers["location"] == "/runs"

    asyncio.run(story())


def test_logging_out_ends_the_session() -> None:
    answer = press(filled(), "/logout")
    assert answer.headers["location"] == "/login"
    assert "Max-Age=0" in answer.headers["set-cookie"]


@pytest.mark.parametrize("fields", [{"other": "x"}, {"form": ""}, {"form": "0" * 64}])
@pytest.mark.parametrize(
    "path", ["/runs/r2/cancel", "/runs/r4/approve", "/runs/r1/again", "/logout", "/login"]
)
def test_forms_need_the_token_of_their_session(path: str, fields: dict[str, str]) -> None:
    stage = filled()
    answer = press(stage, path, fields=fields)
    assert answer.status_code == 403
    assert stage.asked == []


def test_a_form_of_another_session_counts_for_nothing() -> None:
    async def story() -> None:
        stage = filled()
        app = app_of(stage)
        async with client_of(app) as one, client_of(app) as other:
            await log_in(one, ADMIN)
            await log_in(other, READ)
            foreign = {"form": form_token((await other.get("/runs/r1")).text)}
            assert (await one.post("/runs/r2/cancel", data=foreign, headers=OWN)).status_code == 403
            assert stage.asked == []

    asyncio.run(story())


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/plain"])
def test_only_forms_are_taken_for_forms(kind: str) -> None:
    stage = filled()
    assert press(stage, "/runs/r2/cancel", **{"Content-Type": kind}).status_code == 415
    assert stage.asked == []


def test_buttons_do_what_they_say() -> None:
    stage = filled()
    assert press(stage, "/runs/r2/cancel").headers["location"] == "/runs/r2"
    assert press(stage, "/runs/r4/approve").headers["location"] == "/runs/r4"
    assert press(stage, "/runs/r1/again").headers["location"] == "/changes/c9"
    assert stage.asked == [
        ("cancel", "r2", "boss"),
        ("approve", "acme/models", 17, COMMIT, "boss"),
        ("submit", "acme/models", COMMIT, ("fashion",), (), "boss"),
    ]


def test_buttons_need_their_scope_and_a_run_that_may_be_seen() -> None:
    stage = filled()
    assert press(stage, "/runs/r2/cancel", READ).status_code == 403
    assert press(stage, "/runs/r4/approve", CI).status_code == 403
    assert press(stage, "/runs/r7/cancel", CI).status_code == 404
    assert press(stage, "/runs/none/cancel").status_code == 404
    assert press(stage, "/runs/r2/explode").status_code == 404
    assert stage.asked == []


def test_a_bearer_token_presses_no_buttons() -> None:
    stage = filled()
    answer = ask(app_of(stage), "POST", "/runs/r2/cancel", ADMIN, data={"form": "x"}, headers=OWN)
    assert answer.status_code in (401, 403)
    assert stage.asked == []


def buttons(page: str) -> list[str]:
    return re.findall(r'<button class="(cancel|approve|again)"', page)


@pytest.mark.parametrize(
    ("path", "token", "shown"),
    [
        ("/runs/r1", ADMIN, ["again"]),
        ("/runs/r2", ADMIN, ["cancel"]),
        ("/runs/r4", ADMIN, ["approve", "cancel"]),
        ("/runs/r2", READ, []),
        ("/runs/r1", CI, ["again"]),
        ("/runs/r4", CI, ["cancel"]),
    ],
)
def test_only_buttons_that_may_be_pressed_are_shown(path: str, token: str, shown: list[str]) -> None:
    assert buttons(visit(filled(), path, token).text) == shown


def test_the_list_shows_how_each_run_stands() -> None:
    page = unescape(visit(filled(), "/runs").text)
    for words in ("passed", "running", "queued", "needs approval", "refused by a gate", "cancelled"):
        assert f"</span> {words}</span>" in page
    assert page.count('href="/runs/r') == 7
    assert "4f2a4f2a" in page
    assert "#17" in page


def test_the_list_is_narrowed_and_paged() -> None:
    stage = filled()
    page = visit(stage, "/runs?repo=acme%2Fmodels&state=running").text
    assert re.findall(r'href="/runs/(r\d+)"', page) == ["r2"]
    assert "<option selected>acme/models</option>" in page
    for index in range(60):
        stage.add(f"s{index:03d}")
    first = visit(stage, "/runs").text
    assert 'href="/runs?before=s010" rel="next"' in first
    second = visit(stage, "/runs?before=s010").text
    assert re.findall(r'href="/runs/([rs]\d+)"', second)[0] == "s009"
    assert "data-refresh" in first
    assert "data-refresh" not in second


@pytest.mark.parametrize("query", ["state=odd", "repo=there/is-none", "spec=%3Cscript%3E", "before=%22%3E"])
def test_lists_that_there_are_not_say_so(query: str) -> None:
    answer = visit(filled(), f"/runs?{query}")
    assert answer.status_code == 404
    assert "<script>" not in answer.text.replace('<script src="/assets/', "")


def test_repositories_that_must_not_be_seen_are_nowhere() -> None:
    stage = filled()
    page = visit(stage, "/runs", CI).text
    assert "other/secret" not in page
    assert "acme/vision" not in page
    for path in ("/runs/r7", "/changes/c6", "/runs/r7/report"):
        assert visit(stage, path, CI).status_code == 404


def test_a_token_without_reading_gets_a_page_that_says_so() -> None:
    answer = visit(filled(), "/runs", BLIND)
    assert answer.status_code == 403
    assert "lacks the scope read" in answer.text


def test_a_run_shows_steps_gates_metrics_and_its_output() -> None:
    page = unescape(visit(filled(), "/runs/r1").text)
    for words in (
        "accuracy >= 0.9",
        "recall of label 6 is 0.68",
        "0.9312",
        "0.9210 to 0.9410",
        "undefined",
        "label=7",
    ):
        assert words in page
    assert "Output of train" in page
    assert "epoch 1\nepoch 2\nepoch 3\n" in page
    assert 'href="/runs/r1/report"' in page
    assert "data-run" not in page  # it is over: nothing to follow


def test_a_training_shows_how_its_numbers_go() -> None:
    stage = filled()
    stage.logs["r2", "train"] = b"".join(
        b"FIAT_METRIC loss=%f step=%d\nFIAT_METRIC samples_per_s=1234 step=%d\n" % (1 / at, at, at)
        for at in range(1, 9)
    )
    page = unescape(visit(stage, "/runs/r2").text)
    assert "Progress of train" in page
    assert "step 8 · 1,234 samples/s" in page
    assert "█▄▂▂▁▁▁▁" in page
    stage.logs["r2", "train"] = b"nothing to draw\n"
    assert "Progress of train" not in visit(stage, "/runs/r2").text


def test_any_steps_output_can_be_chosen() -> None:
    stage = filled()
    stage.logs["r1", "evaluate"] = b"accuracy\r0.91\x1b[31m\n"
    page = visit(stage, "/runs/r1?step=evaluate").text
    assert "Output of evaluate" in page
    assert ">0.91\n</pre>" in page
    assert "Output of train" in visit(stage, "/runs/r1?step=nosuch").text


def test_of_a_long_log_the_end_is_shown() -> None:
    stage = filled()
    stage.logs["r1", "train"] = b"x" * 200_000 + b"the last word\n"
    page = visit(stage, "/runs/r1").text
    assert "the last word" in page
    assert len(page) < 100_000
    assert "The first 132 KiB are not shown." in page


def test_a_running_run_is_followed_from_where_the_page_ends() -> None:
    page = visit(filled(), "/runs/r2").text
    assert 'data-run="r2"' in page
    assert 'data-step="train" data-offset="19"' in page


def test_a_run_that_waits_for_approval_says_what_that_means() -> None:
    page = visit(filled(), "/runs/r4").text
    assert "nothing of it runs until somebody" in page
    assert "javascript:" not in page  # the stage gives such a link to the pull request


def test_a_run_without_a_sandbox_says_so_loudly() -> None:
    stage = filled()
    run = stage.run
    stage.run = lambda run_id: __import__("dataclasses").replace(run(run_id), sandbox="none")  # type: ignore[method-assign]
    assert '<dd class="bad">none</dd>' in visit(stage, "/runs/r1").text


def test_the_report_is_shut_in_an_origin_of_its_own() -> None:
    answer = visit(filled(), "/runs/r1/report")
    policy = answer.headers["content-security-policy"]
    assert "sandbox" in policy
    assert "script" not in policy
    assert visit(filled(), "/runs/r2/report").status_code == 404


def test_a_change_shows_its_runs() -> None:
    page = visit(filled(), "/changes/c1").text
    assert re.findall(r'href="/runs/(r\d+)"', page) == ["r1", "r2"]
    assert visit(filled(), "/changes/none").status_code == 404
    assert visit(filled(), "/changes/-x").status_code == 404


def test_what_goes_wrong_is_a_page_for_people() -> None:
    answer = visit(filled(), "/runs/none")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no such run" in answer.text

    class Refusing(Stage):
        def runs(self, *_: object) -> object:  # type: ignore[override]
            raise SpecError("`before` is no cursor of this list", hint="take the `next` of the page before")

    refused = visit(Refusing(), "/runs")
    assert refused.status_code == 422
    assert "take the `next`" in refused.text


def test_assets_are_ours_only_and_may_be_kept() -> None:
    app = app_of(filled())
    answer = ask(app, "GET", "/assets/live.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    assert ask(app, "GET", "/assets/run.html").status_code == 404


def test_pages_work_without_scripts_and_bring_none_inline() -> None:
    for path in ("/runs", "/runs/r1", "/runs/r2", "/changes/c1", "/places", PLACE, "/login"):
        page = visit(filled(), path).text
        assert re.findall(r"<script(?! src=)", page) == []
        assert re.findall(r"\son\w+=|style=", page) == []
