"""What pydantic finds, said in the words of the language: place, key path, what was expected, nearest spelling."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from fiat.errors import SpecError
from fiat.spec.language import keys_of, nearest, section_at
from fiat.spec.model import Spec
from fiat.spec.section import EXPECTED
from fiat.spec.tree import KeyPath, Node, child_of, locate

_WANTED: Mapping[str, str] = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "finite_number": "a finite number",
}
_BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than_equal": ("ge", "{} or more"),
    "greater_than": ("gt", "more than {}"),
    "less_than_equal": ("le", "{} or less"),
    "less_than": ("lt", "less than {}"),
}


def explain(
    error: ValidationError, tree: Node, skip: Collection[KeyPath] = (), top: type[BaseModel] = Spec
) -> list[SpecError]:
    """One SpecError for each fault that pydantic found.

    Args:
        error: what pydantic raised for the spec.
        tree: the composed file, for places.
        skip: paths that have an error already; faults at or below them are consequences.
        top: the model that was validated, for the spelling of keys.
    """
    details = error.errors(include_url=False)
    places = [tuple(detail["loc"]) for detail in details]
    found = []
    for detail in details:
        loc = tuple(detail["loc"])
        if any(len(place) > len(loc) and place[: len(loc)] == loc for place in places):
            continue  # a list is "too short" when its items were refused
        path, spelled = _real_path(tree, loc)
        if not any(spelled[: len(bad)] == bad for bad in skip):
            found.append(_explain(dict(detail), path, spelled, tree, top))
    return found


def _real_path(tree: Node, loc: Sequence[str | int]) -> tuple[KeyPath, KeyPath]:
    """The part of a location that is in the tree, and that part with the key that is not.

    Short forms (`accuracy` for `{name: accuracy}`) give pydantic keys that the file does not have.
    """
    path: list[str | int] = []
    node: Node | None = tree
    for part in loc:
        if part == "[key]":
            continue
        node = child_of(node, part) if node is not None else None
        if node is None:
            inside = isinstance(_value_at(tree, path), dict | list)
            return tuple(path), (*path, part) if inside else tuple(path)
        path.append(part)
    return tuple(path), tuple(path)


def _value_at(tree: Node, path: Sequence[str | int]) -> object:
    node: Node | None = tree
    for part in path:
        node = child_of(node, part) if node is not None else None
    return node.value if node is not None else None


def _explain(
    detail: dict[str, Any], path: KeyPath, spelled: KeyPath, tree: Node, top: type[BaseModel]
) -> SpecError:
    kind, context, value = detail["type"], detail.get("ctx", {}), detail.get("input")
    if kind == "fiat":
        inner = (*path, context["key"]) if context["key"] else path
        return SpecError(context["message"], hint=context["hint"], where=locate(tree, inner))
    if kind == "extra_forbidden":
        return _unknown_key(path, tree, str(detail["loc"][-1]), top)
    if kind == "missing":
        place = locate(tree, spelled)
        return SpecError(f"`{detail['loc'][-1]}` is missing", where=place)
    where = locate(tree, spelled, key=detail["loc"][-1] == "[key]")
    if isinstance(value, str) and _holds_secret(path, top):
        # Where a secret's place is to be named people write the secret itself: it must not be seen.
        return SpecError(
            "expected a mapping, found text", hint="write {env: NAME} or {file: PATH}", where=where
        )
    message, hint = _expectation(kind, context, value, detail["msg"])
    return SpecError(message, hint=hint, where=where)


def _holds_secret(path: KeyPath, top: type[BaseModel]) -> bool:
    """Whether a section says where a secret is."""
    section = section_at(path, top)
    return section is not None and {"file", "token"} & set(keys_of(section)) != set() and top is not Spec


def _expectation(kind: str, context: Mapping[str, Any], value: object, otherwise: str) -> tuple[str, str]:
    """The message and the hint for a value that does not fit."""
    found = _shown(value)
    if kind == "literal_error":
        options = re.findall(r"'([^']*)'", context["expected"]) or [context["expected"]]
        close = nearest(value, options) if isinstance(value, str) else ""
        wanted = ", ".join(f"`{option}`" for option in options[:-1])
        wanted = f"{wanted} or `{options[-1]}`" if wanted else f"`{options[-1]}`"
        return (
            f"expected {wanted.replace('`True`', '`true`')}, found {found}",
            f"did you mean `{close}`?" if close else "",
        )
    if kind == "string_pattern_mismatch":
        return f"expected {EXPECTED.get(context['pattern'], context['pattern'])}, found {found}", ""
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"expected {words.format(f'{context[name]:g}')}, found {found}", ""
    if kind in ("too_short", "string_too_short"):
        return f"expected {context['min_length']} or more {_unit(kind)}, found {_length(value)}", ""
    if kind in ("too_long", "string_too_long"):
        return f"expected {context['max_length']} or fewer {_unit(kind)}, found {_length(value)}", ""
    if kind in _WANTED:
        hint = ""
        if kind == "string_type" and isinstance(value, bool | int | float):
            hint = f'quote it: "{found.strip("`")}"'
        return f"expected {_WANTED[kind]}, found {found}", hint
    return otherwise[:1].lower() + otherwise[1:], ""


def _unit(kind: str) -> str:
    return "characters" if kind.startswith("string") else "items"


def _length(value: object) -> int:
    return len(value) if isinstance(value, str | list | tuple | dict) else 0


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    text = str(value)
    return f"`{text if len(text) <= 60 else text[:57] + '...'}`"


def _unknown_key(path: KeyPath, tree: Node, key: str, top: type[BaseModel]) -> SpecError:
    inside = path[:-1] if path and path[-1] == key else path
    section = section_at(inside, top)
    known = keys_of(section) if section else []
    close = nearest(key, known)
    listed = f"expected one of: {', '.join(known)}" if known else ""
    hint = f"did you mean `{close}`?" if close else listed
    return SpecError(f"unknown key `{key}`", hint=hint, where=locate(tree, path, key=True))
