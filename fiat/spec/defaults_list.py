"""Every file that a spec's `defaults` may bring in, read by our parser; none outside the spec's folder."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fiat.errors import SpecError, Where
from fiat.spec.files import SpecFiles
from fiat.spec.tree import Node
from fiat.spec.yaml_events import leading_comments, parse

MAX_FILES = 64
MAX_NAME_CHARS = 128
MAX_EXPANSIONS = 256
MISSING = "???"

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_PACKAGE = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_NAME = re.compile(rf"(?P<path>/?{_PART}(?:/{_PART})*)(?:@(?P<package>{_PACKAGE}))?")
_KEYWORDS = re.compile(r"(?P<words>(?:(?:optional|override) )*)(?P<rest>.*)", re.DOTALL)
_HEADER = re.compile(rf"@package ({_PACKAGE})")


@dataclass(frozen=True)
class Part:
    """One file of a composed spec.

    Attributes:
        group: folder below the spec's, with `/`; empty beside the spec.
        name: file name without `.yaml`.
        package: where its content goes, as its `# @package` line says; None for the group's own place.
        node: its content without `defaults`.
        defaults: its `defaults` list as Hydra takes it; None when it has none.
        path: the file.
        targets: files that its `defaults` may choose, by path without `.yaml`.
    """

    group: str
    name: str
    package: str | None
    node: Node
    defaults: list[object] | None
    path: Path
    targets: tuple[str, ...] = ()


@dataclass
class Collector:
    """Walks from a spec's `defaults` to every file that they may choose.

    Attributes:
        folder: the spec's folder.
        files: where they are read from.
        parts: found so far, by path without `.yaml`.
        asked: where each path was asked for, also those that have no file.
    """

    folder: Path
    files: SpecFiles
    parts: dict[str, Part] = field(default_factory=dict)
    asked: dict[str, Where] = field(default_factory=dict)

    def add_main(self, tree: Node, path: Path) -> None:
        """Start from the spec's own file, which is parsed already."""
        self._add("", path.stem, tree, None, path)

    def ask(self, target: str, where: Where) -> None:
        """Read a file beside the spec and what its own `defaults` ask for, if there is such a file.

        Raises:
            SpecError: it can't be read, or there are too many.
        """
        self.asked.setdefault(target, where)
        path = self.folder / f"{target}.yaml"
        if target in self.parts or not self.files.is_there(path):
            return
        if len(self.parts) >= MAX_FILES:
            raise SpecError(f"`defaults` bring in more than {MAX_FILES} files", where=where)
        content, shown = self.files.read(path)
        header = [match[1] for line in leading_comments(content) if (match := _HEADER.fullmatch(line))]
        if header and header[0].split(".")[0] == "hydra":
            raise SpecError("settings of Hydra can't be changed", where=Where(shown, 1, 1))
        group, _, name = target.rpartition("/")
        self._add(group, name, parse(content, shown), header[0] if header else None, path)

    def check_expansion(self) -> None:
        """Refuse `defaults` that go in a circle or that name each other so often that they multiply.

        Raises:
            SpecError: one of the two, at the place that asked for the file.
        """
        counts: dict[str, int] = {}
        for target in self.parts:
            self._count(target, counts, ())

    def _count(self, target: str, counts: dict[str, int], above: tuple[str, ...]) -> int:
        if target in above:
            raise SpecError("`defaults` go in a circle", where=self.asked.get(target))
        if target not in counts:
            part = self.parts.get(target)
            below = (*above, target)
            counts[target] = 1 + sum(self._count(each, counts, below) for each in part.targets) if part else 0
        if counts[target] > MAX_EXPANSIONS:
            message = f"`defaults` name files more than {MAX_EXPANSIONS} times in all"
            raise SpecError(message, where=self.asked.get(target))
        return counts[target]

    def _add(self, group: str, name: str, tree: Node, package: str | None, path: Path) -> None:
        children = dict(tree.value) if isinstance(tree.value, dict) else {}
        listed = children.pop("defaults", None)
        if "hydra" in children:
            place = children["hydra"]
            where = Where(place.file, place.key_line, place.key_column, "hydra")
            raise SpecError("settings of Hydra can't be changed", where=where)
        target = f"{group}/{name}".lstrip("/")
        entries: list[_Entry] | None = None
        if listed is not None:
            entries = list(_read_list(listed, group))
        plain = None if entries is None else _with_self([entry.plain for entry in entries])
        targets = tuple(each for entry in entries or () for each in entry.targets)
        node = tree._replace(value=children)
        self.parts[target] = Part(group, name, package, node, plain, path, targets)
        for entry in entries or ():
            for asked in entry.targets:
                self.ask(asked, entry.where)


@dataclass(frozen=True)
class _Entry:
    plain: object
    targets: tuple[str, ...]
    where: Where


def _read_list(listed: Node, group: str) -> Iterator[_Entry]:
    if not isinstance(listed.value, list):
        where = Where(listed.file, *listed.place, "defaults")
        raise SpecError("expected a list such as `[_self_, train: big]`", where=where)
    for index, item in enumerate(listed.value):
        where = Where(item.file, item.line, item.column, f"defaults[{index}]")
        if isinstance(item.value, str):
            if item.value == "_self_":
                yield _Entry("_self_", (), where)
            else:
                path, _ = _read_name(item.value, where)
                yield _Entry(item.value, (_below(group, path),), where)
        elif isinstance(item.value, dict) and len(item.value) == 1:
            ((key, choice),) = item.value.items()
            yield _read_choice(key, choice, group, where)
        else:
            raise SpecError("expected `_self_`, a file, or `group: option`", where=where)


def _with_self(plain: list[object]) -> list[object]:
    """Say outright that a file has the last word over its own `defaults`, as Hydra assumes with a warning.

    Source: Hydra 1.3, "Composition order"; entries that override must stay at the end of the list.
    """
    if not plain or "_self_" in plain:
        return plain
    at = next((index for index, entry in enumerate(plain) if _is_override(entry)), len(plain))
    return [*plain[:at], "_self_", *plain[at:]]


def _is_override(entry: object) -> bool:
    return isinstance(entry, dict) and any("override " in str(key) for key in entry)


def _read_choice(key: str, choice: Node, group: str, where: Where) -> _Entry:
    found = _KEYWORDS.fullmatch(key)
    path, _ = _read_name(found["rest"] if found else key, where)
    if choice.value is None and not choice.empty:
        return _Entry({key: None}, (), where)
    nodes: Sequence[Node] = choice.value if isinstance(choice.value, list) else [choice]
    options: list[str] = []
    for node in nodes:
        if not isinstance(node.value, str):
            raise SpecError("expected the name of an option; quote it if it is a number", where=where)
        if node.value != MISSING:
            _read_option(node.value, where)
        options.append(node.value)
    plain: object = options if isinstance(choice.value, list) else options[0]
    targets = tuple(_below(group, f"{path}/{option}") for option in options if option != MISSING)
    return _Entry({key: plain}, targets, where)


def check_choice(group: str, package: str, option: object, where: Where) -> list[str]:
    """The options that an override chooses of a group.

    Raises:
        SpecError: a name that could leave the spec's folder or reach Hydra's own settings.
    """
    _read_name(f"{group}@{package}" if package else group, where)
    options: list[str] = []
    for one in option if isinstance(option, list) else [option]:
        if not isinstance(one, str):
            raise SpecError(f"expected the name of an option of `{group}`", where=where)
        _read_option(one, where)
        options.append(one)
    return options


def _read_option(option: str, where: Where) -> None:
    path, package = _read_name(option, where)
    if package or path.startswith("/"):
        raise SpecError("expected the name of a file in the group's folder", where=where)


def _read_name(text: str, where: Where) -> tuple[str, str]:
    if "${" in text:
        raise SpecError("references are not allowed in `defaults`", where=where)
    match = _NAME.fullmatch(text)
    if not match or ".." in text or len(text) > MAX_NAME_CHARS:
        hint = "letters, digits and _ - . only, nothing outside the spec's folder"
        raise SpecError("not the name of a file or group", hint=hint, where=where)
    path, package = match["path"], match["package"] or ""
    if path.lstrip("/").split("/")[0] == "hydra" or package.split(".")[0] == "hydra":
        raise SpecError("settings of Hydra can't be changed", where=where)
    return path, package


def _below(group: str, path: str) -> str:
    return path[1:] if path.startswith("/") else f"{group}/{path}".lstrip("/")
