"""Everything that the GitHub plugin sends is valid by GitHub's own OpenAPI description."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from openapi_core import Config, OpenAPI
from openapi_core.testing import MockRequest
from openapi_core.validation.request.exceptions import RequestBodyValidationError

from fiat.builtin.forge_github import GithubForge
from fiat.builtin.forge_pull import read_pull
from fiat.ports.forge import Forge
from fiat.run.report import Annotation, Check, Deployed, PullComment

sys.path.insert(0, str(Path(__file__).parent.parent / "builtin"))
from forge_places import AppPlace, StagePlace
from forge_stage import LOST, ForgeStage, forge_stage
from forge_world import Asked

DESCRIPTION = Path(__file__).parents[3] / "shared" / "contracts" / "github-runner-subset.json"
COMMIT = "ab" * 20
PERMISSION = re.compile(r"/repos/[^/]+/[^/]+/collaborators/[^/]+/permission")
TEXT = "words\n" * 30_000

pytestmark = pytest.mark.skipif(
    not DESCRIPTION.is_file(), reason="needs GitHub's description beside the repository"
)


@pytest.fixture(scope="module")
def contract() -> Mapping[str, Any]:
    data: Mapping[str, Any] = json.loads(DESCRIPTION.read_bytes())
    return data


@pytest.fixture(scope="module")
def openapi(contract: Mapping[str, Any]) -> OpenAPI:
    # GitHub's own description has an empty text as default of an address; what is checked here is what we send.
    return OpenAPI.from_dict(contract, config=Config(spec_validator_cls=None))


@pytest.fixture
def stage() -> Iterator[ForgeStage]:
    with forge_stage("github") as found:
        found.world.hooks = [{"id": 1, "active": True, "config": {"url": "https://fiat.example/hooks"}}]
        yield found


def tell_everything(forge: Forge, stage: ForgeStage) -> None:
    """Every kind of report, in every state, made, changed, lost and found again."""
    notes = tuple(Annotation("a/b.yaml", n, "warning", "m" * n * 100, "t" * n * 3) for n in range(1, 121))
    for number, state in enumerate(("pending", "success", "failure", "error")):
        context = f"fiat/pr/<x> & {state}"
        memory = ""
        for report in (
            Check(COMMIT, context, "pending", "queued"),
            Check(
                COMMIT,
                context,
                state,
                "🐛" + TEXT,
                "https://fiat.example/r",
                "b",
                "",
                TEXT,
                notes[: number * 40],
            ),
            Check(COMMIT, context, "pending", "again", "https://fiat.example/r2"),
            Check(COMMIT, context, "error", "", cancelled=True),
        ):
            stage.fail(LOST, method="P", path="^/repos/")
            with pytest.raises(Exception, match="did not answer"):
                forge.send(report, memory)
            memory = forge.send(report, memory)
    for state in ("in_progress", "success", "failure", "error", "inactive"):
        deployed = Deployed(COMMIT, "fashion/shelf & more", state, TEXT, "https://fiat.example/r", "key")
        memory = forge.send(deployed, "")
        forge.send(deployed, memory)
    memory = forge.send(PullComment(3, "<!-- m -->", TEXT), "")
    forge.send(PullComment(3, "<!-- m -->", "short"), memory)
    stage.world.delete_comments(3)
    forge.send(PullComment(3, "<!-- m -->", "short"), memory)
    forge.pulls()
    forge.may_write("7", "ann/../bob")
    forge.check()


def operation(contract: Mapping[str, Any], asked: Asked) -> Mapping[str, Any]:
    for path, methods in contract["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), asked.path) and asked.method.lower() in methods:
            found: Mapping[str, Any] = methods[asked.method.lower()]
            return found
    raise AssertionError(f"{asked.method} {asked.path} is not in the description")


def resolved(contract: Mapping[str, Any], part: Any) -> Any:
    while isinstance(part, Mapping) and "$ref" in part:
        found: Any = contract
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def known_names(contract: Mapping[str, Any], schema: Any) -> set[str]:
    schema = resolved(contract, schema)
    names = set(schema.get("properties", {}))
    for part in (*schema.get("oneOf", ()), *schema.get("anyOf", ()), *schema.get("allOf", ())):
        names |= known_names(contract, part)
    return names


def assert_valid(openapi: OpenAPI, contract: Mapping[str, Any], asked: Asked) -> None:
    data = None if asked.body is None else json.dumps(asked.body).encode()
    openapi.validate_request(
        MockRequest("https://api.github.com", asked.method, asked.path, args=dict(asked.query), data=data)
    )
    # The validator lets names pass that it does not know.
    declared = operation(contract, asked)
    parameters = [resolved(contract, part) for part in declared.get("parameters", ())]
    assert set(asked.query) <= {part["name"] for part in parameters if part["in"] == "query"}
    if asked.body:
        content = resolved(contract, declared["requestBody"])["content"]["application/json"]
        assert set(asked.body) <= known_names(contract, content["schema"])


def shapes(stage: ForgeStage) -> set[str]:
    return {f"{asked.method} {re.sub('[0-9a-f]{40}|[0-9]+', '*', asked.path)}" for asked, _ in stage.requests}


def test_what_a_personal_token_sends_is_valid(
    openapi: OpenAPI, contract: Mapping[str, Any], stage: ForgeStage
) -> None:
    tell_everything(StagePlace(stage).forge(), stage)
    outside = [asked for asked, _ in stage.requests if PERMISSION.fullmatch(asked.path)]
    assert [asked.path for asked in outside] == ["/repos/acme/models/collaborators/ann%2F..%2Fbob/permission"]
    for asked, _ in stage.requests:
        if asked not in outside:
            assert_valid(openapi, contract, asked)
    assert len(shapes(stage)) >= 11


def test_what_an_app_sends_is_valid(openapi: OpenAPI, contract: Mapping[str, Any], stage: ForgeStage) -> None:
    tell_everything(
        AppPlace(stage, rsa.generate_private_key(public_exponent=65537, key_size=2048)).forge(), stage
    )
    for asked, _ in stage.requests:
        if not PERMISSION.fullmatch(asked.path):
            assert_valid(openapi, contract, asked)
    assert {
        "POST /repos/acme/models/check-runs",
        "PATCH /repos/acme/models/check-runs/*",
        "GET /repos/acme/models/commits/*/check-runs",
        "POST /app/installations/*/access_tokens",
    } <= shapes(stage)


def test_a_request_that_is_wrong_would_be_seen(openapi: OpenAPI, contract: Mapping[str, Any]) -> None:
    path = f"/repos/acme/models/statuses/{COMMIT}"
    for body in ({"state": "cancelled"}, {"context": "x"}, {"state": "success", "description": 7}):
        with pytest.raises(RequestBodyValidationError):
            assert_valid(openapi, contract, Asked("POST", path, {}, {}, body, 0.0))
    with pytest.raises(AssertionError):
        assert_valid(
            openapi, contract, Asked("POST", path, {}, {}, {"state": "success", "descripton": "x"}, 0.0)
        )
    with pytest.raises(AssertionError):
        assert_valid(
            openapi, contract, Asked("GET", "/repos/acme/models/pulls", {"page_size": "9"}, {}, None, 0.0)
        )


def test_pull_requests_as_github_shows_them_are_read(contract: Mapping[str, Any], stage: ForgeStage) -> None:
    shown = contract["components"]["examples"]["pull-request-simple-items"]["value"]
    stage.world.pulls = shown
    (pull,) = GithubForge(stage.repo()).pulls()
    assert pull == read_pull(shown[0])
    assert (pull.number, pull.commit, pull.base_ref) == (1347, shown[0]["head"]["sha"], "refs/heads/master")
