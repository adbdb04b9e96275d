"""The API's own description: complete, and kept, whatever a program makes of it."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from openapi_spec_validator import validate
from schemathesis.checks import CHECKS
from schemathesis.specs.openapi.checks import positive_data_acceptance
from web_stage import ADMIN, READ, app_of, ask, filled

from fiat.web.app import API, FiatApi

APP = app_of(filled(), stream_s=0.05, allowed_hosts=("testserver",))
SCHEMA = schemathesis.openapi.from_dict(APP.openapi())
SCHEMA.app = APP
EVERYWHERE = {"400", "401", "403", "421", "422", "429", "431", "503"}


def operations(app: FiatApi) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    ]


def test_the_description_is_valid_and_needs_a_token() -> None:
    app = app_of(filled())
    assert ask(app, "GET", f"{API}/openapi.json").status_code == 401
    document = ask(app, "GET", f"{API}/openapi.json", READ).json()
    validate(document)
    assert document["openapi"].startswith("3.1")


def test_every_operation_says_what_it_is_for_who_may_do_it_and_how_it_may_fail() -> None:
    found = operations(app_of(filled()))
    assert {method for _, method, _ in found} == {"get", "post"}
    for path, method, operation in found:
        assert path.startswith(API)
        assert operation["description"], path
        assert operation["security"] == [{"HTTPBearer": []}], path
        statuses = set(operation["responses"])
        assert statuses >= EVERYWHERE, path
        if method == "post":
            assert {"404", "408", "409", "413"} <= statuses, path
        for status in statuses - {"200", "201"}:
            assert list(operation["responses"][status]["content"]) == ["application/problem+json"], path


def test_pages_webhooks_and_metrics_are_not_part_of_it() -> None:
    assert not any(
        path.startswith(("/runs", "/webhook", "/metrics")) for path, _, _ in operations(app_of(filled()))
    )


@pytest.mark.slow
@SCHEMA.parametrize()
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_as_described_and_none_is_a_mistake_of_ours(case: schemathesis.Case) -> None:
    answer = case.call(headers={"Authorization": f"Bearer {ADMIN}"})
    # A cursor may look right and lead nowhere.
    excluded = [positive_data_acceptance] if "before" in case.query else []
    case.validate_response(answer, checks=CHECKS.get_all(), excluded_checks=excluded)
    assert answer.status_code < 500
