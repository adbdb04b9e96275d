"""Tables of the language's fields, made from the JSON Schema that `fiat schema spec` prints."""

from typing import Any

Schema = dict[str, Any]

# Only these patterns need words; where the schema has another one, its own text is shown.
PATTERN_WORDS = {
    "^[a-z0-9][a-z0-9_-]": "name",
    "^[A-Za-z_][A-Za-z0-9_]*(\\.": "`package.module:function`",
    "^[0-9]{1,9}(\\.[0-9]{1,3})?(ms": "duration such as `90s`, `10m`, `2h`",
    "^[0-9]{1,9}(\\.[0-9]{1,3})?(B": "size such as `400MiB`, `8GiB`",
    "^[A-Za-z_][A-Za-z0-9_]{0,127}": "variable name",
    "^[A-Za-z_][A-Za-z0-9_./@-]": "metric name",
    "^[0-9a-f]{64}": "SHA-256, 64 hex digits",
    "^[0-9a-f]{7,64}": "commit, 7 to 64 hex digits",
    "^[0-9A-Za-z*/,-]+( ": "five cron fields",
}


def sections(schema: Schema) -> dict[str, Schema]:
    """Every mapping of the language by its name in the schema; the whole is `Spec`."""
    found = {"Spec": schema}
    for name, part in schema["$defs"].items():
        if mapping := _mapping_of(part):
            found[name] = mapping
    return found


def table(schema: Schema, name: str) -> str:
    """One section's fields as a Markdown table: key, type, default, meaning.

    Raises:
        KeyError: the schema has no such section.
    """
    section = sections(schema)[name]
    required = section.get("required", [])
    lines = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    for key, field in section["properties"].items():
        default = "**required**" if key in required else _default(field)
        lines.append(
            f"| `{key}` | {_cell(_type(field))} | {default} | {_cell(field.get('description', ''))} |"
        )
    return "\n".join(lines)


def _mapping_of(part: Schema) -> Schema | None:
    for choice in [part, *part.get("anyOf", [])]:
        if "properties" in choice:
            return choice
    return None


def _default(field: Schema) -> str:
    value = field.get("default")
    if value is None or value in ([], {}):
        return ""
    return f"`{value}`" if isinstance(value, str) else f"`{str(value).lower()}`"


def _type(field: Schema) -> str:
    passed_over = ({"$ref": "#/$defs/Reference"}, {"type": "null"})
    choices = [choice for choice in field.get("anyOf", []) if choice not in passed_over]
    if choices:
        return " or ".join(dict.fromkeys(_type(choice) for choice in choices))
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return "any value" if name == "JsonValue" else f"[{name}](#{name.lower()})"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return (
            f"`{str(field['const']).lower()}`" if isinstance(field["const"], bool) else f"`{field['const']}`"
        )
    if "patternProperties" in field:
        pattern, value = next(iter(field["patternProperties"].items()))
        return f"{'file' if '.' in pattern else 'name'} to {_type(value)}"
    if isinstance(field.get("type"), list):
        return " or ".join(_type({"type": each}) for each in field["type"])
    return _plain(field)


def _plain(field: Schema) -> str:
    kind = field.get("type")
    if kind == "array":
        items = field.get("prefixItems")
        return f"[low, high] of {_type(items[0])}" if items else f"list of {_type(field.get('items', {}))}"
    if kind == "object":
        inner = field.get("additionalProperties")
        return f"key to {_type(inner)}" if isinstance(inner, dict) else "mapping"
    if kind == "string" and "pattern" in field:
        return next(
            (word for start, word in PATTERN_WORDS.items() if field["pattern"].startswith(start)), "text"
        )
    words = {"string": "text", "boolean": "`true` or `false`", "integer": "whole number", "number": "number"}
    return words.get(str(kind), "any value") + _range(field)


def _range(field: Schema) -> str:
    low, above = field.get("minimum"), field.get("exclusiveMinimum")
    high, below = field.get("maximum"), field.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" {low:g} to {high:g}"
    if above is not None and (high is not None or below is not None):
        return f" above {above:g}, " + (f"up to {high:g}" if high is not None else f"below {below:g}")
    if low is not None:
        return f", {low:g} or more"
    return ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
