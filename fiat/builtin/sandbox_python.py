"""What a sandboxed job must see of the Python that runs us: its folders, and packages that are installed from elsewhere."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import all_suffixes
from importlib.metadata import Distribution, distributions
from importlib.util import find_spec
from pathlib import Path

import fiat

_SYSTEM = ("/usr",)
_ASKING_S = 60.0
_MODULES = tuple(all_suffixes())
# Beside packages: what installed them says about them, and the libraries that wheels bring.
# Source: PyPA specifications, Binary distribution format; auditwheel puts libraries in `<name>.libs`.
_BESIDE = (".dist-info", ".libs")


def python_paths() -> tuple[Path, ...]:
    """Files and folders of this interpreter and its packages beyond the system's, existing and absolute.

    Of packages that are installed from a working tree only the packages themselves: never the folder around them,
    which may be somebody's home.

    Raises:
        OSError: the interpreter can't be run.
        subprocess.SubprocessError: it fails.
    """
    prefixes = (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)
    folders = {path for prefix in prefixes for path in (Path(prefix), Path(prefix).resolve())}
    folders = {
        path for path in folders if path != Path(path.anchor) and not _covered(path, map(Path, _SYSTEM))
    }
    found = dict.fromkeys(sorted(folders))
    for path in (*_links(Path(sys.executable)), *_elsewhere()):
        if path.exists() and not _covered(path, (*map(Path, _SYSTEM), *found)):
            found[path] = None
    return tuple(found)


def _covered(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _links(program: Path) -> Iterator[Path]:
    """The program, and each file that the link before leads to: the kernel follows them by name."""
    for _ in range(40):
        yield program
        if not program.is_symlink():
            return
        program = Path(os.path.normpath(program.parent / program.readlink()))


def _elsewhere() -> Iterator[Path]:
    """Packages and modules outside the interpreter's own folders."""
    yield Path(fiat.__file__).parent
    path = _own_path()
    for distribution in distributions(path=path):
        if _is_editable(distribution):
            for name in (distribution.read_text("top_level.txt") or "").split():
                yield from _places(name)
    for folder in path:
        if Path(folder).is_dir():
            yield from _modules_in(Path(folder))


def _own_path() -> list[str]:
    """Where a fresh interpreter looks for modules.

    Ours may have more: the folder of a script or the one that somebody stood in, and what a variable named. These are
    no business of a job's, which has neither.
    """
    ask = [sys.executable, "-I", "-c", "import json, sys; print(json.dumps(sys.path))"]
    done = subprocess.run(ask, capture_output=True, text=True, check=True, timeout=_ASKING_S, env={})
    said = json.loads(done.stdout.splitlines()[-1])
    return [str(folder) for folder in said if os.path.isabs(str(folder))]  # noqa: PTH117 (finders' names are among them)


def _is_editable(distribution: Distribution) -> bool:
    """Source: PyPA specifications, Direct URL Data Structure (`dir_info.editable`)."""
    text = distribution.read_text("direct_url.json")
    try:
        said = json.loads(text) if text else {}
    except ValueError:
        return False
    about = said.get("dir_info") if isinstance(said, dict) else None
    return isinstance(about, dict) and about.get("editable") is True


def _places(name: str) -> Iterator[Path]:
    """Where a top-level module is, without importing it."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return
    if spec is None:
        return
    if spec.submodule_search_locations:
        yield from map(Path, spec.submodule_search_locations)
    elif spec.origin and spec.has_location:
        yield Path(spec.origin)


def _modules_in(folder: Path) -> Iterator[Path]:
    """The packages and modules in a folder that a `.pth` file put on the path, and nothing else in it."""
    prefixes = {Path(sys.prefix), Path(sys.base_prefix), *map(Path, _SYSTEM)}
    if _covered(folder, prefixes) or _covered(folder.resolve(), {path.resolve() for path in prefixes}):
        return
    for entry in folder.iterdir():
        if entry.name.endswith((*_MODULES, *_BESIDE)) or (entry / "__init__.py").is_file():
            yield entry
