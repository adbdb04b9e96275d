"""Changes from the command line, such as `params.lr=0.01`: read with Hydra's grammar, applied to the tree."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, QuotedString
from hydra.errors import HydraException

from fiat.errors import SpecError, Where
from fiat.spec.data_section import SOURCE_KINDS
from fiat.spec.language import keys_of, nearest, section_at
from fiat.spec.tree import KeyPath, Node, child_of, format_path, parse_path
from fiat.spec.yaml_events import FORBIDDEN, MAX_DEPTH

MAX_OVERRIDES = 100
MAX_OVERRIDE_CHARS = 4096
MAX_BRACKETS = 200

_RIVALS: tuple[frozenset[str], ...] = (
    frozenset(SOURCE_KINDS),
    frozenset(("from", "alias", "commit", "none")),
)
_KINDS: dict[OverrideType, Literal["set", "add", "force", "delete"]] = {
    OverrideType.CHANGE: "set",
    OverrideType.ADD: "add",
    OverrideType.FORCE_ADD: "force",
    OverrideType.DEL: "delete",
}


@dataclass(frozen=True)
class Change:
    """One override.

    Attributes:
        text: as typed.
        kind: `set` (`a=b`), `add` (`+a=b`), `force` (`++a=b`) or `delete` (`~a`).
        key: what stands before `=` and before `@`: a key path, or a group of files such as `train`.
        package: what stands behind `@`, empty for nothing.
        value: JSON value.
        file: how errors call the place.
    """

    text: str
    kind: Literal["set", "add", "force", "delete"]
    key: str
    package: str
    value: object
    file: str


def parse_overrides(texts: Sequence[str]) -> tuple[list[Change], list[SpecError]]:
    """Read overrides.

    Returns:
        The changes, and an error for each text that is none, is too long, or asks for a sweep.
    """
    if len(texts) > MAX_OVERRIDES:
        return [], [SpecError(f"{len(texts)} overrides, at most {MAX_OVERRIDES} are taken")]
    parser = OverridesParser.create()
    changes: list[Change] = []
    errors: list[SpecError] = []
    for text in texts:
        try:
            changes.append(_parse(parser, text))
        except SpecError as error:
            errors.append(error)
    return changes, errors


def apply_overrides(tree: Node, changes: Sequence[Change]) -> tuple[Node, list[SpecError]]:
    """Make changes in their order.

    Returns:
        The new tree, and an error for each change of a key that is not there.
    """
    errors: list[SpecError] = []
    for change in changes:
        try:
            tree = _apply(tree, parse_path(change.key), change)
        except SpecError as error:
            errors.append(error)
    return tree, errors


def _parse(parser: OverridesParser, text: str) -> Change:
    file = f"<override> {text[:200]!r}" if not text.isprintable() else f"<override> {text[:200]}"
    where = Where(file)
    if len(text) > MAX_OVERRIDE_CHARS or sum(text.count(bracket) for bracket in "[{(") > MAX_BRACKETS:
        raise SpecError(f"an override has at most {MAX_OVERRIDE_CHARS} characters", where=where)
    if FORBIDDEN.search(text):
        raise SpecError("control and direction characters are not allowed", where=where)
    key, equals, value = text.partition("=")
    try:
        override = parser.parse_override(re.sub(r"\[([0-9]+)\]", r".\1", key) + equals + value)
        found = None if override.value_type is None else _read_value(override, where)
    except (HydraException, RecursionError) as error:
        reason = str(error).splitlines()[0][:200] if isinstance(error, HydraException) else "nested too deep"
        hint = "quote values with special characters: 'key=\"a=b\"'"
        raise SpecError(f"not an override: {reason}", hint=hint, where=where) from None
    name = override.key_or_group
    if not name or name.split(".")[0].split("/")[0] == "hydra":
        message = "settings of Hydra can't be changed" if name else "expected `key=value`"
        raise SpecError(message, where=where)
    if len(parse_path(name)) > MAX_DEPTH:
        raise SpecError(f"nested deeper than {MAX_DEPTH} levels", where=where)
    return Change(text, _KINDS[override.type], name, override.package or "", found, file)


def _read_value(override: Override, where: Where) -> object:
    if override.is_sweep_override():
        raise SpecError("expected one value, found several to sweep over", hint="use `tune`", where=where)
    return _to_json(override.value(), where, 0)


def _to_json(value: object, where: Where, depth: int) -> object:
    if depth > MAX_DEPTH:
        raise SpecError(f"nested deeper than {MAX_DEPTH} levels", where=where)
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, dict):
        return {str(key): _to_json(item, where, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_to_json(item, where, depth + 1) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        raise SpecError("the number does not fit in 64 bits", where=where)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise SpecError(f"can't take a value of the kind {type(value).__name__}", where=where)


def _to_node(value: object, file: str) -> Node:
    if isinstance(value, dict):
        return Node({key: _to_node(item, file) for key, item in value.items()}, file)
    if isinstance(value, list):
        return Node([_to_node(item, file) for item in value], file)
    if value is None or isinstance(value, bool | int | float | str):
        return Node(value, file)
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _apply(tree: Node, path: KeyPath, change: Change, above: KeyPath = ()) -> Node:
    """Rebuild the nodes along the path; nothing of the tree given is changed."""
    part, rest = path[0], path[1:]
    if isinstance(tree.value, list) and str(part).isdigit():
        part = int(part)
    child = child_of(tree, part)
    here = (*above, part)
    if isinstance(tree.value, list):
        if child is None:
            raise _absent(tree, above, part, change)
        items = list(tree.value)
        if rest or change.kind != "delete":
            items[int(part)] = _apply(child, rest, change, here) if rest else _replace(child, here, change)
        else:
            del items[int(part)]
        return tree._replace(value=items)
    if not isinstance(tree.value, dict):
        raise _fault(f"`{format_path(above)}` is a single value and has no keys", change, here)
    children = dict(tree.value)
    key = str(part)
    section = section_at(above)
    if child is None and section is not None and key not in keys_of(section):
        close = nearest(key, keys_of(section))
        hint = f"did you mean `{close}`?" if close else f"expected one of: {', '.join(keys_of(section))}"
        raise _fault(f"unknown key `{key}`", change, here, hint)
    if child is None and (change.kind == "delete" or (change.kind == "set" and section is None)):
        raise _absent(tree, above, part, change)
    if change.kind == "delete" and not rest:
        del children[key]
    elif rest:
        children[key] = _apply(child or Node({}, change.file), rest, change, here)
    else:
        _drop_rivals(children, key, above)
        children[key] = _replace(child, here, change)
    return tree._replace(value=children)


def _replace(child: Node | None, path: KeyPath, change: Change) -> Node:
    if change.kind == "add" and child is not None:
        hint = f"without `+` it is changed: {change.text.lstrip('+')}"
        raise _fault(f"`{format_path(path)}` is there already", change, path, hint)
    return _to_node(change.value, change.file)


def _drop_rivals(children: dict[str, Node], key: str, above: KeyPath) -> None:
    """Choosing one kind of source or baseline ends the choice that the file made, with what belongs to it."""
    is_source = len(above) == 3 and above[0] == "data" and above[2] == "source"
    rivals = _RIVALS[0] if is_source else _RIVALS[1] if above == ("baseline",) else frozenset[str]()
    if key in rivals and key not in children:
        kept = {"if_missing"} if not is_source else set()
        for other in [other for other in children if other not in kept]:
            del children[other]


def _absent(tree: Node, above: KeyPath, part: str | int, change: Change) -> SpecError:
    if isinstance(tree.value, list):
        message = f"`{format_path(above)}` has {len(tree.value)} items, counted from 0"
        return _fault(message, change, (*above, part))
    known = list(tree.value) if isinstance(tree.value, dict) else []
    close = nearest(str(part), known)
    place = f"`{format_path(above)}`" if above else "the spec"
    hint = f"did you mean `{close}`?" if close else f"to add it: +{change.text}"
    if change.kind == "delete" and not close:
        hint = ""
    return _fault(f"{place} has no `{part}`", change, (*above, part), hint)


def _fault(message: str, change: Change, path: KeyPath, hint: str = "") -> SpecError:
    return SpecError(message, hint=hint, where=Where(change.file, key=format_path(path)))
