"""Values of a schema's nodes, each of the kind that is expected; what does not fit becomes an error with its place."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from fiat.errors import SpecError, Where
from fiat.validate.schema_tree import Node
from fiat.validate.schema_words import NUMBER, WHOLE, choices, nearest, shown, taken_for

Path = tuple[str, ...]
MOST_NUMBER_CHARS = 40


@dataclass(frozen=True)
class At:
    """A node and the keys that lead to it."""

    node: Node
    path: Path


class Reading:
    """Reads nodes of one file and collects every error.

    Attributes:
        name: how the file is called in errors.
        errors: found so far.
    """

    def __init__(self, name: str, errors: list[SpecError]) -> None:
        self.name = name
        self.errors = errors

    def refuse(self, at: At, message: str, hint: str = "", *, key: bool = False) -> None:
        """Note an error at a node, or at its key."""
        line, column = (at.node.key_line, at.node.key_column) if key and at.node.key_line else at.node.place
        path = ""
        for part in at.path:
            path += f"[{part}]" if part.isdigit() and path else (f".{part[:60]}" if path else part[:60])
        self.errors.append(SpecError(message, hint=hint, where=Where(self.name, line, column, path)))

    def expect(self, at: At, wanted: str, hint: str = "") -> None:
        """Note that something else was expected."""
        self.refuse(at, f"expected {wanted}, found {_found(at.node)}", hint)

    def keys(self, at: At, known: Sequence[str]) -> dict[str, At]:
        """What stands under the known keys of a mapping; others are errors with the nearest right spelling."""
        if not isinstance(at.node.value, dict):
            self.expect(at, f"a mapping with {choices(known)}")
            return {}
        found = {}
        for key, node in at.node.value.items():
            child = At(node, (*at.path, key))
            if key not in known:
                close = nearest(key, known)
                hint = f"did you mean `{close}`?" if close else f"expected one of: {', '.join(known)}"
                self.refuse(child, f"unknown key {shown(key)}", hint, key=True)
            elif node.is_nothing:
                self.refuse(child, f"`{key}` has no value", "write its value, or take the key out", key=True)
            else:
                found[key] = child
        return found

    def items(self, at: At | None, wanted: str) -> Iterator[At]:
        """The items of a list."""
        if at is None:
            return
        if not isinstance(at.node.value, list):
            self.expect(at, f"a list of {wanted}", f"write [{_bare(at.node)}]" if _bare(at.node) else "")
            return
        for index, node in enumerate(at.node.value):
            yield At(node, (*at.path, str(index)))

    def text(self, at: At | None) -> str | None:
        """Text; what another reader of YAML takes for something else must be quoted."""
        if at is None or not isinstance(at.node.value, str):
            if at is not None:
                self.expect(at, "text")
            return None
        other = "" if at.node.quoted else taken_for(at.node.value)
        if other:
            hint = f'YAML takes it for {other}: quote it: "{at.node.value}"'
            self.expect(at, "text", hint)
            return None
        return at.node.value

    def number(self, at: At | None, *, low: float = -math.inf, high: float = math.inf) -> float | None:
        """A finite number from `low` to `high`; whole numbers stay exact."""
        if at is None:
            return None
        text = _plain(at.node)
        if len(text) > MOST_NUMBER_CHARS or not NUMBER.fullmatch(text) or math.isinf(float(text)):
            self.expect(at, "a number", _number_hint(at.node))
            return None
        value: float = int(text) if WHOLE.fullmatch(text) else float(text)
        if not low <= value <= high:
            self.expect(at, f"{low:g} or more" if math.isinf(high) else f"a number from {low:g} to {high:g}")
            return None
        return value

    def whole(self, at: At | None) -> int | None:
        """A whole number from 0 that 64 bits hold."""
        if at is None:
            return None
        text = _plain(at.node)
        if len(text) > MOST_NUMBER_CHARS or not WHOLE.fullmatch(text):
            self.expect(at, "a whole number", _number_hint(at.node))
            return None
        if not 0 <= int(text) < 2**63:
            self.expect(at, "0 or more" if int(text) < 0 else "a whole number that 64 bits hold")
            return None
        return int(text)

    def moment(self, at: At | None) -> float | None:
        """A date or time as seconds since 1970, or that number itself; without a zone it is UTC."""
        if at is None or NUMBER.fullmatch(_plain(at.node)):
            return self.number(at)
        try:
            when = datetime.fromisoformat(at.node.value if isinstance(at.node.value, str) else "")
        except ValueError:
            self.expect(at, "a date such as 2020-01-31, or seconds since 1970")
            return None
        seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
        return int(seconds) if seconds.is_integer() else seconds

    def flag(self, at: At | None, *, otherwise: bool) -> bool:
        """`true` or `false`."""
        if at is None:
            return otherwise
        text = _plain(at.node)
        if text in ("true", "false"):
            return text == "true"
        hint = {"yes": "write true", "on": "write true", "no": "write false", "off": "write false"}
        self.expect(at, "`true` or `false`", hint.get(text.lower(), ""))
        return otherwise

    def choice(self, at: At | None, words: Sequence[str]) -> str | None:
        """One of some words."""
        if at is None:
            return None
        if isinstance(at.node.value, str) and at.node.value in words:
            return at.node.value
        close = nearest(at.node.value, words) if isinstance(at.node.value, str) else ""
        self.expect(at, choices(words), f"did you mean `{close}`?" if close else "")
        return None

    def bounds(self, at: At | None) -> tuple[int | None, int | None]:
        """`{min: , max: }` of whole numbers."""
        if at is None:
            return None, None
        found = self.keys(at, ("min", "max"))
        return self.whole(found.get("min")), self.whole(found.get("max"))


def _plain(node: Node) -> str:
    """The text of a scalar that was written without quotes."""
    return node.value if isinstance(node.value, str) and not node.quoted else ""


def _bare(node: Node) -> str:
    return (
        node.value
        if isinstance(node.value, str) and 0 < len(node.value) <= 40 and "\n" not in node.value
        else ""
    )


def _found(node: Node) -> str:
    if isinstance(node.value, dict):
        return "a mapping"
    if isinstance(node.value, list):
        return "a list"
    if node.is_nothing:
        return "nothing"
    return f"the text {shown(node.value)}" if node.quoted else shown(node.value)


def _number_hint(node: Node) -> str:
    text = node.value if isinstance(node.value, str) else ""
    if node.quoted and NUMBER.fullmatch(text):
        return "take the quotes away"
    bare = text.replace("_", "").replace(",", "")
    return f"write {bare}" if bare != text and NUMBER.fullmatch(bare) else ""
