"""Sources `path` and `glob`: files that are already here."""

import difflib
import os
from collections.abc import Sequence
from pathlib import Path

from fiat.builtin.source_digest import digest_files, digest_stats
from fiat.data.confined import checked_files, folder_files, matching_files, named_path
from fiat.errors import SpecError
from fiat.ports.source import Fetched, SourceRequest


class PathSource:
    """`path`: a file, or a folder with everything in it but hidden files, sorted by path."""

    name = "path"
    version = "1"

    def fetch(self, request: SourceRequest) -> Fetched:
        """Find the files.

        Raises:
            SpecError: there is no such file or folder, the folder holds no files, or it is not granted.
            EnvironmentFault: a file can't be read.
        """
        files, base = _path_files(request)
        return Fetched(tuple(files), digest_files(files, base))

    def probe(self, request: SourceRequest) -> str:
        """Names, sizes and times of the files in a folder that is no part of a checkout; empty for all others."""
        if not os.path.isabs(str(request.settings["path"])):  # noqa: PTH117 - a text, no path yet
            return ""
        files, base = _path_files(request)
        return digest_stats(files, base)


class GlobSource:
    """`glob`: files by pattern (`*`, `?`, `[...]`, `**` over folders), sorted by path; hidden ones only if asked for."""

    name = "glob"
    version = "1"

    def fetch(self, request: SourceRequest) -> Fetched:
        """Find the files.

        Raises:
            SpecError: no file matches, or one is not granted.
            EnvironmentFault: a file can't be read.
        """
        files, base = _glob_files(request)
        return Fetched(tuple(files), digest_files(files, base))

    def probe(self, request: SourceRequest) -> str:
        """As that of `path`."""
        if not os.path.isabs(str(request.settings["glob"])):  # noqa: PTH117 - a text, no path yet
            return ""
        files, base = _glob_files(request)
        return digest_stats(files, base)


def _path_files(request: SourceRequest) -> tuple[list[Path], Path]:
    """The files, and the folder that their names are relative to."""
    named = str(request.settings["path"])
    path = named_path(named, request.root, request.confinement, "source.path")
    if checked_files([path], request.root, request.confinement, "source.path"):
        return _capped([path], request, "source.path"), path.parent
    if not path.is_dir():
        raise SpecError(f"source.path: there is no {named}", hint=_near(path))
    files = folder_files(path, request.root, request.confinement, "source.path")
    if not files:
        raise SpecError(f"source.path: the folder {named} holds no files")
    return _capped(files, request, "source.path"), path


def _glob_files(request: SourceRequest) -> tuple[list[Path], Path]:
    pattern = str(request.settings["glob"])
    files = matching_files(pattern, request.root, request.confinement, "source.glob")
    if not files:
        raise SpecError(f"source.glob: no file matches {pattern}")
    return _capped(files, request, "source.glob"), Path(os.path.commonpath([file.parent for file in files]))


def _capped(files: Sequence[Path], request: SourceRequest, key: str) -> list[Path]:
    """The files, when a stranger's spec may have so much of what the operator grants."""
    if request.confinement.confined:
        size = sum(file.stat().st_size for file in files)
        if size > request.max_bytes:
            raise SpecError(f"{key}: it has {size:,} bytes, more than the {request.max_bytes:,} allowed")
    return list(files)


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return "the path is relative to the checkout"
    close = difflib.get_close_matches(path.name, [other.name for other in path.parent.iterdir()], 1)
    return f"did you mean {close[0]}?" if close else "the path is relative to the checkout"
