"""The code that a `call:` can reach: its module and every local module that is imported on the way."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fiat.errors import SpecError


@dataclass(frozen=True)
class Reach:
    """What a `call:` reaches, found by reading, never by running.

    Attributes:
        files: local source files, absolute, sorted.
        foreign: top-level names of imported modules that are not local.
    """

    files: tuple[Path, ...]
    foreign: frozenset[str]


def reach(call: str, search: Sequence[Path]) -> Reach:
    """Follow the imports of `pkg.mod:func` through the checkout.

    Imports inside functions, relative imports, packages without `__init__.py`, and `import_module("literal")`
    count. What is imported by a computed name is caught while the step runs (see `Result.observed`).

    Args:
        call: `pkg.mod:func`.
        search: folders that modules are looked up in, in order.

    Raises:
        SpecError: the module is in none of the folders.
    """
    module = call.partition(":")[0]
    files: dict[Path, None] = {}
    foreign: set[str] = set()
    waiting = [module]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        found = _local_files(name, search)
        if not found:
            foreign.add(name.partition(".")[0])
            continue
        for path in found:
            if path not in files:
                files[path] = None
                waiting.extend(_imports(path, _package_of(path, search), search))
    if not _local_files(module, search):
        places = " or ".join(str(folder) for folder in search)
        raise SpecError(
            f"module {module} of call {call} is not in the checkout",
            hint=f"looked for {module.replace('.', '/')}.py in {places}",
        )
    return Reach(tuple(sorted(files)), frozenset(foreign))


def _local_files(name: str, search: Sequence[Path]) -> list[Path]:
    """The module's file and the `__init__.py` of each package above it; empty when it is not local."""
    parts = name.split(".")
    for folder in search:
        found: list[Path] = []
        place = folder
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            package, module = place / part / "__init__.py", place / f"{part}.py"
            if package.is_file():
                found.append(package)
            elif module.is_file() and last:
                found.append(module)
            elif not (place / part).is_dir() or (last and not found and not _has_python(place / part)):
                break
            place = place / part
        else:
            return found
    return []


def _has_python(folder: Path) -> bool:
    return any(entry.suffix == ".py" for entry in folder.iterdir())


def _package_of(path: Path, search: Sequence[Path]) -> list[str]:
    for folder in search:
        if path.is_relative_to(folder):
            parts = list(path.relative_to(folder).with_suffix("").parts)
            return parts[:-1]
    return []


def _imports(path: Path, package: list[str], search: Sequence[Path]) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return  # the step itself will say so when it runs
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = [*base, *(node.module.split(".") if node.module else [])]
            if stem:
                yield ".".join(stem)
            for alias in node.names:
                inner = ".".join([*stem, alias.name])
                if alias.name != "*" and _local_files(inner, search):
                    yield inner
        elif isinstance(node, ast.Call) and _names_import(node.func) and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value.lstrip(".") or "."


def _names_import(func: ast.expr) -> bool:
    if isinstance(func, ast.Attribute):
        return func.attr == "import_module"
    return isinstance(func, ast.Name) and func.id in {"import_module", "__import__"}
