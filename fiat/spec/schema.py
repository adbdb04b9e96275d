"""JSON Schema of the language, for editors that complete and check while one types."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from fiat.spec.model import Spec
from fiat.spec.section import CRON_PATTERN
from fiat.spec.transform_section import BARE_WORDS, DATE_PARTS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE: dict[str, Any] = {
    "type": "string",
    "pattern": r"\$\{",
    "description": "A reference `${key.path}`.",
}
_REFER: dict[str, Any] = {"$ref": "#/$defs/Reference"}
_EXAMPLES: dict[str, list[object]] = {
    "Spec": [{"fiat": 1, "name": "digits", "steps": {"hello": {"run": "echo hello"}}}],
    "Source": [{"path": "data/train.csv"}, {"url": "https://example.org/data.csv", "sha256": "0" * 64}],
    "Split": [{"train": 8, "eval": 1, "test": 1, "key": "id"}],
    "UserStep": [{"run": "python clean.py {data.raw} {out.clean}", "out": {"clean": "dataset"}}],
    "Train": [{"call": "fashion.model:train", "with": {"epochs": 3}}],
    "Gate": [{"metric": "accuracy", "min": 0.88}, {"parity": {"max_abs": 1e-4}}],
    "Baseline": [{"from": "main", "if_missing": "warn"}],
    "Target": [{"to": "directory", "path": "models/"}],
}
_SHORT_FORMS: dict[str, list[dict[str, Any]]] = {
    "MetricItem": [{"type": "string"}],
    "Baseline": [{"const": "none"}],
    "SpanUse": [{"type": "string"}],
    "Schedule": [{"type": "string", "pattern": CRON_PATTERN}],
    "Search": [{"type": "array", "minItems": 1}],
    "Apply": [{"enum": list(BARE_WORDS)}],
    "Impute": [{"enum": ["mean", "median", "most_frequent", "zero"]}],
    "Bucketize": [
        {"type": "integer", "minimum": 1},
        {"type": "array", "items": {"type": "number"}, "minItems": 1},
    ],
    "DateParts": [{"type": "array", "items": {"enum": list(DATE_PARTS)}, "minItems": 1}],
}
_TYPED = ("integer", "number", "boolean")


def spec_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a whole spec file, with descriptions, examples, short forms and references."""
    schema = Spec.model_json_schema(by_alias=True, schema_generator=GenerateJsonSchema)
    definitions = schema.pop("$defs", {})
    definitions["Spec"] = schema
    finished = {name: _finish(name, each) for name, each in sorted(definitions.items())}
    top = finished.pop("Spec")
    top["properties"]["defaults"] = {
        "type": "array",
        "description": "Files beside the spec that it is composed of, as Hydra's defaults list.",
        "items": {"type": ["string", "object"]},
    }
    return {
        "$schema": DIALECT,
        "title": "Fiat spec",
        **{key: value for key, value in top.items() if key != "title"},
        "$defs": {**finished, "Reference": _REFERENCE},
    }


def _finish(name: str, definition: dict[str, Any]) -> dict[str, Any]:
    done: dict[str, Any] = _loosen(definition)
    if name in _EXAMPLES:
        done["examples"] = _EXAMPLES[name]
    if name in _SHORT_FORMS:
        described = {"description": done.pop("description", "")}
        return {**described, "anyOf": [done, *_SHORT_FORMS[name]]}
    return done


def _loosen(part: Any) -> Any:
    """Let a reference stand for every single value, and drop the `null` that Python's defaults bring in."""
    if isinstance(part, list):
        return [_loosen(item) for item in part]
    if not isinstance(part, dict):
        return part
    if "properties" in part:
        properties = {key: _loosen_value(value) for key, value in part["properties"].items()}
        rest = {key: _loosen(value) for key, value in part.items() if key not in ("properties", "title")}
        return {**rest, "properties": properties}
    return _loosen_value(part)


def _loosen_value(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    kept = {key: value for key, value in part.items() if key != "title"}
    about = {key: kept.pop(key) for key in ("description", "default") if key in kept}
    if about.get("default", 0) is None:
        del about["default"]
    choices = [choice for choice in kept.pop("anyOf", []) if choice.get("type") != "null"]
    if len(choices) == 1:
        kept.update(choices[0])
    elif choices:
        kept["anyOf"] = [_loosen(choice) for choice in choices]
    for key in ("items", "additionalProperties", "prefixItems"):
        if isinstance(kept.get(key), dict | list):
            kept[key] = _loosen(kept[key])
    if "patternProperties" in kept:
        named = kept["patternProperties"].items()
        kept["patternProperties"] = {pattern: _loosen(value) for pattern, value in named}
        kept["additionalProperties"] = False
    single = kept.get("type") in _TYPED or "enum" in kept or "const" in kept or "pattern" in kept
    if single:
        return {**about, "anyOf": [kept, _REFER]}
    return {**kept, **about}
