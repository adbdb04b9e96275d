"""`/metrics`: who may read it, what it says, and that no stranger can make it grow."""

from prometheus_client.parser import text_string_to_metric_families
from web_stage import ADMIN, BLIND, CI, READ, app_of, ask, filled

from fiat.run.queue import Depth
from fiat.run.view import Numbers


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_need_a_token_even_where_pages_are_open() -> None:
    app = app_of(filled(), public_read=True)
    assert ask(app, "GET", "/metrics").status_code == 401
    assert ask(app, "GET", "/metrics", BLIND).status_code == 403
    assert ask(app, "GET", "/metrics", READ).status_code == 200


def test_metrics_are_open_on_loopback_only() -> None:
    assert ask(app_of(filled(), public_metrics=True), "GET", "/metrics").status_code == 200
    assert ask(app_of(filled(), public_metrics=True, host="0.0.0.0"), "GET", "/metrics").status_code == 401


def test_the_engines_numbers_are_told_of_known_repositories() -> None:
    found = samples(ask(app_of(filled()), "GET", "/metrics", ADMIN).text)
    repo = ("repo", "acme/models")
    assert found["fiat_queue_runs", (repo, ("state", "waiting"))] == 2
    assert found["fiat_outbox_reports", (repo, ("state", "dead"))] == 1
    assert found["fiat_done_runs", (repo, ("verdict", "pass"))] == 4
    assert found["fiat_rate_limit_remaining", (repo,)] == 4987
    assert found["fiat_leases", ()] == 1
    assert found["fiat_workers", ()] == 2
    assert not any("unknown/repo" in str(key) for key in found)
    events = {dict(labels)["event"] for name, labels in found if name == "fiat_deliveries"}
    assert events == {"push", "other"}


def test_a_token_for_some_repositories_reads_no_numbers_of_others() -> None:
    stage = filled()
    text = ask(app_of(stage), "GET", "/metrics", CI).text
    assert 'repo="acme/models"' in text
    stage.numbers = lambda: Numbers(depths=(Depth("acme/vision", {"waiting": 2}),))  # type: ignore[method-assign]
    assert 'repo="acme/vision"' in ask(app_of(stage), "GET", "/metrics", READ).text
    assert 'repo="acme/vision"' not in ask(app_of(stage), "GET", "/metrics", CI).text


def test_requests_are_measured_by_route_never_by_path() -> None:
    app = app_of(filled())
    for path in (
        "/api/v1/runs/r1",
        "/api/v1/runs/none",
        "/api/v1/runs/r1/logs/train",
        "/runs/r1",
        "/x/y",
        "/%2e%2e/z",
    ):
        ask(app, "GET", path, READ)
    ask(app, "BREW", "/runs/r1")
    ask(app, "POST", "/webhook/whatever")
    found = samples(ask(app, "GET", "/metrics", ADMIN).text)
    counts = {
        labels: value for (name, labels), value in found.items() if name == "fiat_http_request_seconds_count"
    }
    labels = [dict(key) for key in counts]
    assert {label["route"] for label in labels} == {
        "/api/v1/runs/{run_id}",
        "/api/v1/runs/{run_id}/logs/{step}",
        "/runs/{run_id}",
        "/webhook/{forge}",
        "other",
    }
    assert {label["method"] for label in labels} == {"GET", "POST", "other"}
    assert {label["status"] for label in labels} == {"2xx", "4xx"}


def test_each_app_counts_for_itself() -> None:
    one, other = app_of(filled()), app_of(filled())
    ask(one, "GET", "/runs")
    assert "fiat_http_request_seconds_count{" not in ask(other, "GET", "/metrics", CI).text


def test_the_build_is_named() -> None:
    assert 'fiat_build_info{version="' in ask(app_of(filled()), "GET", "/metrics", ADMIN).text
