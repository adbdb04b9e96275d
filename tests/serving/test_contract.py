"""The protocol's own OpenAPI description against a server process: no answer that it does not document."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from fiat.testing.sample_packages import make_package
from tests.serving.server_stage import RunningServer, started

CONTRACT = Path(__file__).parents[3] / "shared" / "contracts" / "open-inference-rest.yaml"
CHECKED = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
NAMES = {"MODEL_NAME": "tiny", "MODEL_VERSION": "1"}


def read_contract() -> dict[str, Any]:
    """The description, for a model that exists: it documents no answer for others."""
    document: dict[str, Any] = yaml.safe_load(CONTRACT.read_text("utf-8"))
    for path in document["paths"].values():
        for parameter in path.get("parameters", ()):
            parameter["schema"]["enum"] = [NAMES[parameter["name"]]]
    return document


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    if not CONTRACT.is_file():
        pytest.skip("the protocol's description is not beside this checkout (../shared/contracts)")
    package = make_package(tmp_path_factory.mktemp("packages"), 2)
    with started("--model", "tiny", "1", package.digest, str(package.folder)) as found:
        yield found


def held(case: schemathesis.Case) -> int:
    """Ask, and hold the answer against the description; its status."""
    answer = case.call()
    case.validate_response(answer, checks=list(CHECKED))
    return answer.status_code


def tried(operation: Any) -> set[int]:
    """Statuses of what an operation answered to good and bad requests; each answer is held against the description."""
    statuses: set[int] = set()
    modes = (
        list(schemathesis.GenerationMode)
        if operation.method == "post"
        else [schemathesis.GenerationMode.POSITIVE]
    )

    @given(st.data())
    @settings(
        max_examples=50 if operation.method == "post" else 2,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def hold(data: st.DataObject) -> None:
        for mode in modes:
            case = data.draw(operation.as_strategy(generation_mode=mode))
            # Other models are no part of it, whatever the generator makes of the path.
            case.path_parameters = {name: NAMES[name] for name in case.path_parameters}
            statuses.add(held(case))

    hold()
    return statuses


@pytest.mark.slow
def test_no_answer_is_undocumented(server: RunningServer) -> None:
    schema = schemathesis.openapi.from_dict(read_contract())
    schema.config.update(base_url=server.url)
    operations = {item.ok().label: item.ok() for item in schema.get_all_operations()}
    found = {label: tried(operation) for label, operation in operations.items()}
    assert len(found) == 6
    infer = "POST /v2/models/{MODEL_NAME}/versions/{MODEL_VERSION}/infer"
    assert found.pop(infer) == {400}
    assert set.union(*found.values()) == {200}
    good = {"id": "7", "inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]}
    assert (
        held(operations[infer].Case(path_parameters=NAMES, body=good, media_type="application/json")) == 200
    )
