import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from fiat.spec.schema import spec_schema

SCHEMA = spec_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

GOOD = """\
defaults: [train: big, _self_]
fiat: 1
name: x
params: {lr: 0.1, any: {thing: [1, null]}}
data:
  d: {source: {path: x}, span: {pattern: p, use: latest}, split: {train: 8, test: "${params.share}"}}
train:
  call: m:f
  with: {lr: "${params.lr}"}
  resources: {cpus: "${params.cpus}"}
  retries: "${params.retries}"
  timeout: 2h
transform: [{columns: [a], apply: [standardize, bucketize: 10]}]
tune: {search: {lr: {log: [0.1, 1]}, bs: [1, 2]}, objective: {maximize: accuracy}}
evaluate: {metrics: [accuracy, {call: "m:f"}], slices: [a, [b, c]]}
baseline: none
gates: [{metric: accuracy, min: "${params.min}", slice: a}, {parity: {max_abs: 0.1}}]
deploy: {shelf: {to: directory, path: models}}
"""


def parts(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        yield path, node
        for key, child in node.items():
            yield from parts(child, f"{path}/{key}")
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from parts(child, f"{path}/{index}")


def test_it_is_a_valid_schema_of_the_dialect_it_names() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def test_a_spec_with_references_and_short_forms_is_valid() -> None:
    assert [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(GOOD))] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("trian",), {}),
        (("train", "retires"), 1),
        (("train", "timeout"), "two hours"),
        (("train", "retries"), "many"),
        (("train", "resources", "cpus"), -1),
        (("deploy", "shelf", "to"), "nowhere"),
        (("evaluate", "confidence"), 2),
        (("baseline",), "some"),
        (("name",), "Bad Name"),
        (("data", "Bad Name"), {"source": {"path": "x"}}),
        (("params",), None),
    ],
)
def test_what_the_language_refuses_the_schema_refuses(path: tuple[str, ...], value: object) -> None:
    spec = yaml.safe_load(GOOD)
    holder = spec
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = value
    assert list(VALIDATOR.iter_errors(spec))


def test_every_key_is_described() -> None:
    lacking = [
        f"{path}/{key}"
        for path, node in parts(SCHEMA)
        if isinstance(node.get("properties"), dict)
        for key, value in node["properties"].items()
        if not value.get("description")
    ]
    assert lacking == []


def test_every_section_is_described_and_none_allows_other_keys() -> None:
    sections = {name: node for name, node in SCHEMA["$defs"].items() if "Section" not in name}
    assert all(node.get("description") for name, node in sections.items() if name != "JsonValue")
    objects = [node for _, node in parts(SCHEMA) if "properties" in node and node.get("type") == "object"]
    assert len(objects) > 35
    assert all(node["additionalProperties"] is False for node in objects)


def test_examples_are_valid_themselves() -> None:
    for example in SCHEMA["examples"]:
        assert list(VALIDATOR.iter_errors(example)) == []
    for name, node in SCHEMA["$defs"].items():
        for _, inner in parts(node):
            for example in inner.get("examples", []) if isinstance(inner.get("examples"), list) else []:
                validator = VALIDATOR.evolve(schema={"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})
                assert list(validator.iter_errors(example)) == []
