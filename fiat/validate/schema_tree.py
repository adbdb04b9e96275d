"""YAML text of a schema to nodes with their places, from the parser's events alone: nothing is ever built from a tag.

Source: libyaml's event interface hands out one event at a time, so that the limits below end a hostile file early.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from fiat.errors import SpecError, Where

MOST_BYTES = 8 * 1024 * 1024
MOST_DEPTH = 12
MOST_NODES = 500_000

# Control characters and those that turn or hide text: written as escapes in double quotes they can be seen.
HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffe\uffff\ud800-\udfff]"
)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class Node:
    """One value of the file.

    Attributes:
        value: text of a scalar, a list of nodes, or keys to nodes.
        line: 1-based.
        column: 1-based.
        quoted: whether a scalar was written with quotes (or as a block): then it is text whatever it looks like.
        key_line: line of its key, 0 when it has none.
        key_column: column of its key.
    """

    value: "str | list[Node] | dict[str, Node]"
    line: int
    column: int
    quoted: bool = False
    key_line: int = 0
    key_column: int = 0

    @property
    def is_nothing(self) -> bool:
        """Whether no value was written."""
        return (
            isinstance(self.value, str)
            and not self.quoted
            and self.value in ("", "null", "Null", "NULL", "~")
        )

    @property
    def place(self) -> tuple[int, int]:
        """Where to look for it: a list, a mapping and nothing are found by their key."""
        if self.key_line and (self.is_nothing or not isinstance(self.value, str)):
            return self.key_line, self.key_column
        return self.line, self.column


@dataclass
class _Open:
    """A mapping or list while it is read: for a mapping, the key that waits for its value."""

    node: Node
    key: str | None = None
    key_mark: Any = None
    keys: dict[str, int] = field(default_factory=dict)


def parse_tree(text: str, name: str, errors: list[SpecError]) -> Node:
    """Read one YAML document whose top is a mapping.

    Args:
        text: the file.
        name: how it is called in errors.
        errors: keys that are there twice are added to them; the first one counts.

    Raises:
        SpecError: anything else that is not plain YAML within the limits.
    """
    size_bytes = len(text.encode("utf-8", errors="surrogatepass"))
    if size_bytes > MOST_BYTES:
        raise SpecError(
            f"the file has {size_bytes:,} bytes, at most {MOST_BYTES:,} are read", where=Where(name)
        )
    text = text.removeprefix("\ufeff")
    if bad := HIDDEN.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        raise SpecError(
            f"the character U+{ord(bad[0]):04X} is not allowed as such",
            hint=f'write it as an escape within double quotes: "\\u{ord(bad[0]):04X}"',
            where=Where(name, line, bad.start() - text.rfind("\n", 0, bad.start())),
        )
    try:
        return _read(yaml.parse(text, Loader=_LOADER), name, errors)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Where(name, mark.line + 1, mark.column + 1) if mark else Where(name)
        lines = text.splitlines()
        content = lines[mark.line] if mark and mark.line < len(lines) else ""
        hint = (
            "tabs can't indent: use spaces"
            if "\t" in content
            else 'text with `: `, ` #`, `[`, `{` needs "quotes"'
        )
        raise SpecError(f"not valid YAML: {error.problem or error.context}", hint=hint, where=where) from None
    except yaml.YAMLError as error:
        raise SpecError(f"not valid YAML: {type(error).__name__}", where=Where(name)) from None


def _read(events: Iterator[Any], name: str, errors: list[SpecError]) -> Node:
    """Fold the events into nodes with a stack of our own, so that depth costs no recursion."""
    stack: list[_Open] = []
    top: Node | None = None
    n_nodes = 0
    for event in events:
        mark = event.start_mark
        if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            top = _put(stack.pop().node, stack, top)
            continue
        if isinstance(event, yaml.AliasEvent):
            _refuse("aliases (`*name`) are not allowed: write the value again", mark, name)
        if isinstance(event, yaml.DocumentStartEvent):
            if top is not None:
                _refuse("only one document is allowed in a file", mark, name)
            if event.version or event.tags:
                _refuse("directives (`%NAME`) are not allowed", mark, name)
        if not isinstance(event, yaml.NodeEvent):
            continue
        n_nodes += 1
        _check(event, stack, n_nodes, name)
        if isinstance(event, yaml.ScalarEvent):
            holder = stack[-1] if stack else None
            if holder and isinstance(holder.node.value, dict) and holder.key is None:
                _take_key(event, holder, name, errors)
            else:
                quoted = event.style in ("'", '"', "|", ">")
                top = _put(Node(event.value, mark.line + 1, mark.column + 1, quoted), stack, top)
        else:
            value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
            stack.append(_Open(Node(value, mark.line + 1, mark.column + 1)))
    if top is None or not isinstance(top.value, dict):
        place = (top.line, top.column) if top else (1, 1)
        raise SpecError("expected a mapping such as `fiat_schema: 1`", where=Where(name, *place))
    return top


def _put(node: Node, stack: list[_Open], top: Node | None) -> Node | None:
    """Give a finished node to what holds it; at the top it is the document."""
    if not stack:
        return node
    holder = stack[-1]
    if isinstance(holder.node.value, list):
        holder.node.value.append(node)
    elif isinstance(holder.node.value, dict) and holder.key is not None:
        node.key_line, node.key_column = holder.key_mark.line + 1, holder.key_mark.column + 1
        holder.node.value.setdefault(holder.key, node)
        holder.key = None
    return top


def _take_key(event: Any, holder: _Open, name: str, errors: list[SpecError]) -> None:
    mark, key = event.start_mark, event.value
    if not key and not event.style:
        _refuse("a key is empty", mark, name)
    if key == "<<" and not event.style:
        _refuse("merge keys (`<<`) are not allowed: write the keys again", mark, name)
    if key in holder.keys:
        errors.append(
            SpecError(
                f"the key `{key[:60]}` is here twice",
                hint=f"the first is in line {holder.keys[key]}",
                where=Where(name, mark.line + 1, mark.column + 1, key[:60]),
            )
        )
    holder.keys.setdefault(key, mark.line + 1)
    holder.key, holder.key_mark = key, mark


def _check(event: Any, stack: list[_Open], n_nodes: int, name: str) -> None:
    mark = event.start_mark
    if event.anchor is not None:
        _refuse("anchors (`&name`) are not allowed: write the value again", mark, name)
    if event.tag is not None:
        _refuse("tags (`!name`) are not allowed", mark, name)
    if n_nodes > MOST_NODES:
        _refuse(f"more than {MOST_NODES:,} values and keys", mark, name)
    if isinstance(event, yaml.ScalarEvent):
        return
    holder = stack[-1] if stack else None
    if holder and isinstance(holder.node.value, dict) and holder.key is None:
        _refuse("a key must be text, not a list or mapping", mark, name)
    if len(stack) >= MOST_DEPTH:
        _refuse(f"nested deeper than {MOST_DEPTH} levels", mark, name)


def _refuse(message: str, mark: Any, name: str) -> NoReturn:
    raise SpecError(message, where=Where(name, mark.line + 1, mark.column + 1))
