"""YAML text to a tree of nodes, from the parser's events alone: no loader makes an object.

Source: libyaml's event interface keeps its state on the heap and hands out one event at a time, so that the
limits below end a hostile file before it costs anything. Its *loader*, which is not used, recurses in C.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from fiat.errors import SpecError, Where
from fiat.spec.tree import Node
from fiat.spec.yaml_scalars import resolve_plain

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_NODES = 20_000
MAX_KEY_CHARS = 256

FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Mapping:
    """A mapping while it is read: the key that waits for its value."""

    __slots__ = ("children", "key", "key_mark", "mark")

    def __init__(self, mark: Any) -> None:
        self.mark = mark
        self.children: dict[str, Node] = {}
        self.key: str | None = None
        self.key_mark: Any = None


class _List:
    """A list while it is read."""

    __slots__ = ("children", "mark")

    def __init__(self, mark: Any) -> None:
        self.mark = mark
        self.children: list[Node] = []


def parse(content: bytes, file: str) -> Node:
    """Read one YAML document whose top is a mapping.

    Args:
        content: the file's bytes, UTF-8.
        file: how the file is called in errors.

    Raises:
        SpecError: anything that is not plain YAML within the limits, with its line and column.
    """
    text = _decode(content, file)
    try:
        return _read(yaml.parse(text, Loader=_LOADER), file)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Where(file, mark.line + 1, mark.column + 1) if mark else Where(file)
        hint = _hint(text, mark.line if mark else 0)
        raise SpecError(f"not valid YAML: {error.problem or error.context}", hint=hint, where=where) from None
    except yaml.YAMLError as error:
        raise SpecError(f"not valid YAML: {type(error).__name__}", where=Where(file)) from None


def _hint(text: str, line: int) -> str:
    """What often is wrong with a line that does not parse."""
    lines = text.splitlines()
    content = lines[line] if line < len(lines) else ""
    if "{" in content and "${" in content:
        return 'within { } and [ ] a reference needs quotes: "${params.lr}"'
    return "tabs can't indent: use spaces" if "\t" in content else ""


def leading_comments(content: bytes) -> list[str]:
    """Comment lines at the top of a file, without `#`."""
    lines: list[str] = []
    for line in content[:4096].decode("utf-8", errors="replace").splitlines():
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            break
        if stripped:
            lines.append(stripped.lstrip("#").strip())
    return lines


def _decode(content: bytes, file: str) -> str:
    if len(content) > MAX_BYTES:
        raise SpecError(
            f"the file has {len(content):,} bytes, at most {MAX_BYTES:,} are read", where=Where(file)
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise SpecError("not valid UTF-8", where=Where(file, line, column)) from None
    if bad := FORBIDDEN.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        column = bad.start() - text.rfind("\n", 0, bad.start())
        raise SpecError(
            f"the character U+{ord(bad[0]):04X} is not allowed",
            hint="control characters and those that turn the direction of text are refused",
            where=Where(file, line, column),
        )
    return text


def _read(events: Iterator[Any], file: str) -> Node:
    """Fold the events into nodes with a stack of our own, so that depth costs no recursion."""
    stack: list[_Mapping | _List] = []
    top: Node | None = None
    n_nodes = 0
    for event in events:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            done: Node | None = _scalar(event, stack, file)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            _check_start(event, stack, file)
            mark = event.start_mark
            stack.append(_Mapping(mark) if kind is yaml.MappingStartEvent else _List(mark))
            done = None
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            ended = stack.pop()
            done = Node(ended.children, file, ended.mark.line + 1, ended.mark.column + 1)
        elif kind is yaml.AliasEvent:
            raise _error("aliases (`*name`) are not allowed", event.start_mark, file, "use ${key.path}")
        else:
            _check_document(event, top, file)
            continue
        if kind not in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
            n_nodes += 1
            if n_nodes > MAX_NODES:
                raise _error(f"more than {MAX_NODES:,} values and keys", event.start_mark, file)
        if done is not None:
            top = _put(done, stack, top)
    if top is None or not isinstance(top.value, dict):
        where = Where(file, 1, 1) if top is None else Where(file, top.line, top.column)
        raise SpecError("expected a mapping such as `fiat: 1`", where=where)
    return top


def _put(node: Node, stack: list[_Mapping | _List], top: Node | None) -> Node | None:
    """Give a finished node to what holds it; at the top it is the document."""
    if not stack:
        return node
    holder = stack[-1]
    if isinstance(holder, _List):
        holder.children.append(node)
    elif holder.key is not None:
        mark = holder.key_mark
        holder.children[holder.key] = node._replace(key_line=mark.line + 1, key_column=mark.column + 1)
        holder.key = None
    return top


def _scalar(event: Any, stack: list[_Mapping | _List], file: str) -> Node | None:
    """The node of a scalar, or None when it is the key of the value to come."""
    mark, text = event.start_mark, event.value
    _check_plain(event, file)
    if event.style == '"' and (bad := FORBIDDEN.search(text)):
        raise _error(f"the character U+{ord(bad[0]):04X} is not allowed", mark, file)
    holder = stack[-1] if stack else None
    if isinstance(holder, _Mapping) and holder.key is None:
        _take_key(text, holder, mark, file)
        return None
    if event.style:
        return Node(text, file, mark.line + 1, mark.column + 1)
    try:
        value = resolve_plain(text) if text else None
    except ValueError as error:
        raise _error(f"{error}", mark, file, "quote it if it is text") from None
    return Node(value, file, mark.line + 1, mark.column + 1, empty=not text)


def _take_key(text: str, holder: _Mapping, mark: Any, file: str) -> None:
    if not text:
        raise _error("a key is empty", mark, file)
    if len(text) > MAX_KEY_CHARS:
        raise _error(f"a key has more than {MAX_KEY_CHARS} characters", mark, file)
    if text == "<<":
        raise _error("merge keys (`<<`) are not allowed", mark, file, "use `defaults` or ${key.path}")
    if text in holder.children:
        line = holder.children[text].key_line
        raise _error(f"the key `{text}` is here twice", mark, file, f"the first is in line {line}")
    holder.key, holder.key_mark = text, mark


def _check_start(event: Any, stack: list[_Mapping | _List], file: str) -> None:
    _check_plain(event, file)
    holder = stack[-1] if stack else None
    if isinstance(holder, _Mapping) and holder.key is None:
        raise _error("a key must be text, not a list or mapping", event.start_mark, file)
    if len(stack) >= MAX_DEPTH:
        raise _error(f"nested deeper than {MAX_DEPTH} levels", event.start_mark, file)


def _check_plain(event: Any, file: str) -> None:
    if event.anchor is not None:
        raise _error("anchors (`&name`) are not allowed", event.start_mark, file, "use ${key.path}")
    if event.tag is not None:
        raise _error("tags (`!name`) are not allowed", event.start_mark, file)


def _check_document(event: Any, top: Node | None, file: str) -> None:
    if not isinstance(event, yaml.DocumentStartEvent):
        return
    if event.version or event.tags:
        raise _error("directives (`%NAME`) are not allowed", event.start_mark, file)
    if top is not None:
        raise _error("only one document is allowed in a file", event.start_mark, file)


def _error(message: str, mark: Any, file: str, hint: str = "") -> SpecError:
    return SpecError(message, hint=hint, where=Where(file, mark.line + 1, mark.column + 1))
