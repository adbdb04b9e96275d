"""Sources `path` and `glob`: files that are already here."""

import difflib
import glob
import os
from pathlib import Path

from fiat.builtin.source_digest import digest_files
from fiat.errors import SpecError
from fiat.ports.source import Fetched, SourceRequest


class PathSource:
    """`path`: a file, or a folder with everything in it but hidden files, sorted by path."""

    name = "path"
    version = "1"

    def fetch(self, request: SourceRequest) -> Fetched:
        """Find the files.

        Raises:
            SpecError: there is no such file or folder, or the folder holds no files.
            EnvironmentFault: a file can't be read.
        """
        named = str(request.settings["path"])
        path = request.root / named
        if path.is_file():
            return Fetched((path,), digest_files([path], path.parent))
        if not path.is_dir():
            raise SpecError(f"source.path: there is no {named}", hint=_near(path))
        files = list_folder(path)
        if not files:
            raise SpecError(f"source.path: the folder {named} holds no files")
        return Fetched(tuple(files), digest_files(files, path))


class GlobSource:
    """`glob`: files by pattern (`*`, `?`, `[...]`, `**` over folders), sorted by path; hidden ones only if asked for."""

    name = "glob"
    version = "1"

    def fetch(self, request: SourceRequest) -> Fetched:
        """Find the files.

        Raises:
            SpecError: no file matches.
            EnvironmentFault: a file can't be read.
        """
        pattern = str(request.settings["glob"])
        found = glob.glob(pattern, root_dir=request.root, recursive=True)  # noqa: PTH207 - Path.glob takes no `..`
        files = sorted({request.root / name for name in found if (request.root / name).is_file()})
        if not files:
            raise SpecError(f"source.glob: no file matches {pattern}")
        base = Path(os.path.commonpath([file.parent for file in files]))
        return Fetched(tuple(files), digest_files(files, base))


def list_folder(folder: Path) -> list[Path]:
    """All files below a folder but hidden ones and those in hidden folders, sorted; links to folders aren't followed."""
    files = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [Path(parent, name) for name in names if not name.startswith(".")]
    return sorted(file for file in files if file.is_file())


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return "the path is relative to the checkout"
    close = difflib.get_close_matches(path.name, [other.name for other in path.parent.iterdir()], 1)
    return f"did you mean {close[0]}?" if close else "the path is relative to the checkout"
