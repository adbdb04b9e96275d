"""What was looked at in a commit, and the local modules that a `call:` reaches there: `code.py` without a working tree."""

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from fiat.git.tree import Files, resolve

ENTRY, FILE, FOLDER, PYTHON, LINKS = "entry", "file", "folder", "python", "links"


class Imported(NamedTuple):
    """One import statement of a module, before it is known what it means.

    Attributes:
        level: dots in front of a relative import.
        stem: module that is imported, or from which.
        names: what is imported from it; empty for a plain import.
    """

    level: int
    stem: str
    names: tuple[str, ...] = ()


class Looks:
    """Answers questions about a commit's files and keeps each answer.

    Args:
        files: of the commit.

    Attributes:
        seen: question to answer, see `look`.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        self.seen: dict[str, str] = {}

    def see(self, kind: str, path: str) -> str:
        """Ask, and remember."""
        question = f"{kind} {path}"
        answer = self.seen.get(question)
        if answer is None:
            answer = self.seen[question] = look(self.files, question)
        return answer


def look(files: Files, question: str) -> str:
    """The answer that a commit's files give to a question; empty for no.

    Args:
        files: of the commit.
        question: `entry PATH` (its mode and object name, symlinks not followed), `file PATH` (the object name of a regular
            file, symlinks followed), `folder PATH` (whether it is one), `python PATH` (whether a folder has a `.py` in it),
            `links PATH` (the symlinks at, above and below a path, with their targets).
    """
    kind, _, path = question.partition(" ")
    if kind == ENTRY:
        entry = files.get(path)
        return f"{entry.mode} {entry.oid}" if entry is not None else ""
    if kind == LINKS:
        return "\n".join(
            f"{link} -> {target}"
            for link, target in sorted(files.links().items())
            if lie_on_one_way(link, path)
        )
    place, _ = resolve(files, path)
    if place is None:
        return ""
    if kind == FILE:
        blob = files.get(place)
        return blob.oid if blob is not None and blob.is_file else ""
    if kind == FOLDER:
        return "yes" if files.has_folder(place) else ""
    start = len(place) + 1 if place else 0
    names = (path[start:].partition("/")[0] for path in files.below(place))
    return "yes" if any(name.endswith(".py") and name != ".py" for name in names) else ""


def lie_on_one_way(one: str, other: str) -> bool:
    """Whether two paths are the same, or one lies below the other."""
    return not other or one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def reach_in(
    looks: Looks, call: str, search: Sequence[str], imports_of: Callable[[str], Sequence[Imported]]
) -> frozenset[str]:
    """Follow the imports of `pkg.mod:func` through a commit, so that `looks` has all that it depends on.

    The rules are those of `fiat.engine.code.reach`; a test compares the two.

    Args:
        looks: of the commit.
        call: `pkg.mod:func`.
        search: folders that modules are looked up in, in order; "" is the top.
        imports_of: the imports of a module by the object name of its file.

    Returns:
        The files of the modules; none when the function's own is not there.
    """
    waiting = [call.partition(":")[0]]
    seen: set[str] = set()
    files: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for path in _local_files(looks, name, search):
            if path not in files:
                files.add(path)
                for imported in imports_of(looks.see(FILE, path)):
                    waiting.extend(_names(looks, imported, _package_of(path, search), search))
    return frozenset(files)


def read_imports(source: bytes) -> tuple[Imported, ...]:
    """The imports of a module, wherever they stand; none when it does not parse."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    return tuple(dict.fromkeys(_imports(tree)))


def _imports(tree: ast.AST) -> Iterator[Imported]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Imported(0, alias.name)
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names if alias.name != "*")
            yield Imported(node.level, node.module or "", names)
        elif isinstance(node, ast.Call) and node.args:
            function, first = node.func, node.args[0]
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            known = name == "import_module" or (name == "__import__" and isinstance(function, ast.Name))
            if known and isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield Imported(0, first.value.lstrip(".") or ".")


def _names(looks: Looks, imported: Imported, package: Sequence[str], search: Sequence[str]) -> Iterator[str]:
    base = list(package[: len(package) - imported.level + 1]) if imported.level else []
    stem = ".".join([*base, *([imported.stem] if imported.stem else [])])
    if stem:
        yield stem
    for name in imported.names:
        inner = f"{stem}.{name}" if stem else name
        if _local_files(looks, inner, search):
            yield inner


def _local_files(looks: Looks, name: str, search: Sequence[str]) -> list[str]:
    """The module's file and the `__init__.py` of each package above it; empty when it is not local."""
    parts = name.split(".")
    for folder in search:
        found: list[str] = []
        place = folder
        for index, part in enumerate(parts):
            here = f"{place}/{part}" if place and part else place or part
            last = index == len(parts) - 1
            is_folder = bool(looks.see(FOLDER, here))
            if is_folder and looks.see(FILE, f"{here}/__init__.py" if here else "__init__.py"):
                found.append(f"{here}/__init__.py" if here else "__init__.py")
            elif last and looks.see(FILE, f"{here}.py"):
                found.append(f"{here}.py")
            elif not is_folder or (last and not found and not looks.see(PYTHON, here)):
                break
            place = here
        else:
            return found
    return []


def _package_of(path: str, search: Sequence[str]) -> list[str]:
    for folder in search:
        if not folder or path.startswith(f"{folder}/"):
            inside = path[len(folder) + 1 :] if folder else path
            return inside.split("/")[:-1]
    return []
