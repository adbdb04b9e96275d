"""What is refused before anybody looks closer, and the headers that every answer carries."""

import pytest
from web_stage import ADMIN, URL, Stage, app_of, ask, bearer, filled, push_body, signed

from fiat.web.gate import API_POLICY


def test_every_answer_carries_the_headers_that_shut_browsers_off() -> None:
    app = app_of(filled())
    for path in ("/healthz", "/api/v1/runs", "/runs", "/nowhere", "/login", "/assets/live.js", "/%2e%2e/x"):
        headers = ask(app, "GET", path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["x-frame-options"] == "DENY", path
        assert "frame-ancestors 'none'" in headers["content-security-policy"], path
        assert headers["referrer-policy"] in ("no-referrer", "same-origin"), path
        assert headers["strict-transport-security"].startswith("max-age="), path


def test_pages_allow_our_own_script_only_and_the_api_nothing() -> None:
    app = app_of(filled())
    policy = ask(app, "GET", "/login").headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert ask(app, "GET", "/api/v1/runs", ADMIN).headers["content-security-policy"] == API_POLICY


@pytest.mark.parametrize(
    "host", ["fiat.example", "FIAT.example:8443", "localhost:8321", "127.0.0.1", "[::1]:8321"]
)
def test_our_own_names_are_answered(host: str) -> None:
    assert ask(app_of(filled()), "GET", "/api/v1/runs", ADMIN, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "fiat.example.evil.example", "10.0.0.7", "", "[::", "fiat.example@evil"]
)
@pytest.mark.parametrize("path", ["/api/v1/runs", "/runs", "/login", "/assets/live.js"])
def test_another_name_is_misdirected(host: str, path: str) -> None:
    answer = ask(app_of(filled(), public_read=True), "GET", path, headers={"Host": host})
    assert answer.status_code == 421


def test_probes_scrapers_and_forges_may_use_an_address() -> None:
    app = app_of(Stage())
    wrong = {"Host": "10.1.2.3:8321"}
    body = push_body()
    assert ask(app, "GET", "/healthz", headers=wrong).status_code == 200
    assert ask(app, "GET", "/metrics", ADMIN, headers=wrong).status_code == 200
    assert ask(app, "POST", "/webhook", content=body, headers={**signed(body), **wrong}).status_code == 202


@pytest.mark.parametrize(
    "path",
    [
        "/runs/..%2fsecret",
        "/runs/%2e%2e/%2e%2e/etc/passwd",
        "/runs/..%252fsecret",
        "/runs/%252e%252e",
        "/runs/a%5cb",
        "/runs/a%00b",
        "/runs/a%0ab",
        "/runs/r1//",
        "/runs//r1",
        "/api/v1/runs/..%2f..%2fstore.db/logs/train",
        "/api/v1/runs/r1/logs/..%2f..%2fstore.db",
        "/assets/..%2fapp.py",
        "/assets/%2e%2e%2fapp.py",
        "/runs/" + "a" * 3000,
    ],
)
def test_addresses_with_tricks_are_refused(path: str) -> None:
    answer = ask(app_of(filled()), "GET", path, ADMIN)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "path", ["/runs/r1%20", "/runs/é", "/runs/r1;x", "/assets/app.py", "/assets/layout.html"]
)
def test_names_that_nothing_has_are_not_found(path: str) -> None:
    assert ask(app_of(filled()), "GET", path, ADMIN).status_code == 404


def test_headers_are_limited_in_number_and_size() -> None:
    app = app_of(Stage())
    many = {f"X-H{index}": "1" for index in range(150)}
    assert ask(app, "GET", "/healthz", headers=many).status_code == 431
    assert ask(app, "GET", "/healthz", headers={"X-Large": "a" * 40_000}).status_code == 431
    twice = [("Host", "fiat.example"), ("Host", "evil.example")]
    assert ask(app, "GET", "/healthz", headers=twice).status_code in (400, 421)


def test_many_ranges_at_once_are_refused() -> None:
    ranges = "bytes=" + ",".join(f"{index}-{index + 1}" for index in range(500))
    answer = ask(app_of(filled()), "GET", "/assets/live.js", headers={"Range": ranges})
    assert answer.status_code == 416


FOREIGN = (
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "https://fiat.example.evil.example"},
    {"Origin": "http://localhost:9999"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": URL},
)


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("path", ["/api/v1/runs/r2/cancel", "/runs/r2/cancel", "/login", "/logout"])
def test_posts_from_other_sites_change_nothing(origin: dict[str, str], path: str) -> None:
    stage = filled()
    answer = ask(app_of(stage), "POST", path, headers={**bearer(ADMIN), **origin})
    assert answer.status_code == 403
    assert stage.asked == []


def test_programs_and_our_own_pages_may_post() -> None:
    stage = filled()
    app = app_of(stage)
    for origin in ({}, {"Origin": URL}, {"Sec-Fetch-Site": "same-origin"}):
        answer = ask(app, "POST", "/api/v1/runs/r2/cancel", headers={**bearer(ADMIN), **origin})
        assert answer.status_code == 200
    assert len(stage.asked) == 3


@pytest.mark.parametrize("path", ["/api/v1/runs/r2/cancel", "/api/v1/trigger", "/runs/r2/cancel", "/logout"])
def test_getting_has_no_effect(path: str) -> None:
    stage = filled()
    for method in ("GET", "HEAD", "OPTIONS"):
        assert ask(app_of(stage), method, path, ADMIN).status_code in (404, 405)
    assert stage.asked == []
