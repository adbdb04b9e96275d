"""`${key.path}` in values: references to other values of the spec and four built-ins, nothing else.

The syntax is OmegaConf's. Resolving is our own, because OmegaConf's resolvers read the environment and its
expansion has no limit.
"""

import difflib
import re
from collections.abc import Mapping
from typing import NamedTuple

from fiat.errors import SpecError
from fiat.spec.tree import KeyPath, Node, child_of, format_path, locate

BUILTINS = ("name", "dir", "commit", "ref")
MAX_EXPANDED_CHARS = 256 * 1024
MAX_LEVELS = 100

_START = re.compile(r"(\\*)\$\{")
_REFERENCE = re.compile(r"\s*([^\s.\[\]{}:$\"'\\]+(?:\.[^\s.\[\]{}:$\"'\\]+|\[[0-9]{1,6}\])*)\s*")


class _Value(NamedTuple):
    """A resolved value, how many characters it spells out to, and whether an error was reported below it."""

    value: object
    chars: int
    bad: bool = False


def resolve(
    tree: Node, builtins: Mapping[str, str]
) -> tuple[dict[str, object], list[SpecError], set[KeyPath]]:
    """Replace every reference in a tree.

    Args:
        tree: the composed file; its top is a mapping.
        builtins: values of `${dir}`, `${commit}`, `${ref}`, and of `${name}` when the file has none.

    Returns:
        The plain values; an error for every place that can't be resolved; the paths of those places, whose
        values are None.
    """
    resolver = _Resolver(tree, builtins)
    done = resolver.node((), tree, 0)
    value = done.value if isinstance(done.value, dict) else {}
    return value, resolver.errors, resolver.bad_paths


def has_references(text: str) -> bool:
    """Whether text must be resolved at all."""
    return "${" in text


class _Resolver:
    def __init__(self, tree: Node, builtins: Mapping[str, str]) -> None:
        self.tree = tree
        self.builtins = builtins
        self.done: dict[KeyPath, _Value] = {}
        self.open: dict[KeyPath, None] = {}
        self.errors: list[SpecError] = []
        self.bad_paths: set[KeyPath] = set()

    def node(self, path: KeyPath, node: Node, level: int) -> _Value:
        """Resolve one node once; every later reference shares the result."""
        if path in self.done:
            return self.done[path]
        if level > MAX_LEVELS:
            return self._fail(path, f"references follow each other more than {MAX_LEVELS} times")
        self.open[path] = None
        if isinstance(node.value, dict):
            found = {key: self.node((*path, key), child, level + 1) for key, child in node.value.items()}
            chars = sum(len(key) + each.chars for key, each in found.items()) + 2
            result = _Value({key: each.value for key, each in found.items()}, chars)
        elif isinstance(node.value, list):
            items = [self.node((*path, index), child, level + 1) for index, child in enumerate(node.value)]
            result = _Value([each.value for each in items], sum(each.chars for each in items) + 2)
        elif isinstance(node.value, str) and has_references(node.value):
            result = self._text(path, node.value, level)
        else:
            result = _Value(node.value, len(str(node.value)) + 1)
        del self.open[path]
        if result.chars > MAX_EXPANDED_CHARS and not result.bad:
            result = self._fail(path, f"references expand to more than {MAX_EXPANDED_CHARS:,} characters")
        self.done[path] = result
        return result

    def _text(self, path: KeyPath, text: str, level: int) -> _Value:
        parts: list[_Value] = []
        position = 0
        for start in _START.finditer(text):
            if start.start() < position:
                continue
            slashes = len(start[1])
            literal = text[position : start.start()] + "\\" * (slashes // 2)
            if slashes % 2:
                parts.append(_Value(literal + "${", len(literal) + 2))
                position = start.end()
                continue
            if literal:
                parts.append(_Value(literal, len(literal)))
            end = text.find("}", start.end())
            inside = text[start.end() : end if end >= 0 else len(text)]
            problem = _problem(inside, closed=end >= 0)
            if problem:
                return self._fail(path, *problem)
            parts.append(self._reference(path, inside.strip(), level))
            if parts[-1].bad:
                return self._spoil(path)
            position = end + 1
        if position < len(text):
            parts.append(_Value(text[position:], len(text) - position))
        return self._join(path, parts)

    def _join(self, path: KeyPath, parts: list[_Value]) -> _Value:
        if len(parts) == 1:
            return parts[0]
        if any(isinstance(part.value, dict | list) for part in parts):
            return self._fail(path, "a list or mapping can't be put into text")
        if sum(part.chars for part in parts) > MAX_EXPANDED_CHARS:
            return self._fail(path, f"references expand to more than {MAX_EXPANDED_CHARS:,} characters")
        text = "".join(str(part.value) for part in parts)
        return _Value(text, len(text))

    def _reference(self, path: KeyPath, name: str, level: int) -> _Value:
        target: list[str | int] = []
        node = self.tree
        for part in name.replace("[", ".").replace("]", "").split("."):
            child = child_of(node, part)
            if child is None:
                if len(target) == 0 and name in self.builtins and name in BUILTINS:
                    return _Value(self.builtins[name], len(self.builtins[name]))
                return self._fail(path, *_missing(name, tuple(target), part, node))
            target.append(int(part) if isinstance(node.value, list) else part)
            node = child
        if tuple(target) in self.open:
            return self._fail(path, f"${{{name}}} refers to itself")
        found = self.node(tuple(target), node, level + 1)
        return self._spoil(path) if tuple(target) in self.bad_paths else found

    def _fail(self, path: KeyPath, message: str, hint: str = "") -> _Value:
        if path not in self.bad_paths:
            place = locate(self.tree, path)
            self.errors.append(SpecError(message, hint=hint, where=place))
        return self._spoil(path)

    def _spoil(self, path: KeyPath) -> _Value:
        self.bad_paths.add(path)
        return _Value(None, 1, bad=True)


def _problem(inside: str, *, closed: bool) -> tuple[str, str] | None:
    """What is wrong with the text between `${` and `}`, with a hint; None when nothing is."""
    if "${" in inside:
        return "a reference inside a reference is not allowed", "name the key itself"
    if not closed:
        return "`${` without its `}`", "write `\\${` for the characters themselves"
    if ":" in inside:
        return (
            f"resolvers such as ${{{_short(inside.partition(':')[0])}:...}} are not allowed",
            "the environment comes in through `env.vars` and `env.secrets` only",
        )
    if not _REFERENCE.fullmatch(inside):
        return f"${{{_short(inside)}}} is no key path", "write `\\${` for the characters themselves"
    return None


def _missing(name: str, above: KeyPath, part: str, node: Node) -> tuple[str, str]:
    here = f"`{format_path(above)}` has" if above else "there is"
    message = f"${{{_short(name)}}}: {here} no `{_short(part)}`"
    known = list(node.value) if isinstance(node.value, dict) else []
    nearest = difflib.get_close_matches(part, [*known, *(BUILTINS if not above else ())], n=1)
    if nearest:
        return message, f"did you mean `{format_path((*above, nearest[0]))}`?"
    return message, "write `\\${` for the characters themselves" if not above else ""


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
