"""Read `.dvc` and `dvc.lock` files: what they track, and whether a file or folder here is just that."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from fiat.errors import SpecError, Where

LONGEST_BYTES = 1024 * 1024


@dataclass(frozen=True)
class TrackedOut:
    """One output of a `.dvc` file.

    Attributes:
        path: relative to the folder of the `.dvc` file.
        md5: digest in DVC's way, `.dir` behind it for a folder; empty when it is of DVC's older, text-changing kind.
        size_bytes: as DVC noted it; 0 when it did not.
    """

    path: str
    md5: str
    size_bytes: int


def read_dvc_file(path: Path, name: str) -> list[TrackedOut]:
    """The outputs that a `.dvc` file tracks.

    Raises:
        SpecError: no such file, not a `.dvc` file, one with a command, or an output outside its folder.
    """
    try:
        if path.exists() and not path.is_file():
            raise _unreadable(name)
        with path.open("rb") as stream:
            content = stream.read(LONGEST_BYTES + 1)
    except FileNotFoundError as error:
        raise SpecError("source.dvc: there is no such file", where=Where(name)) from error
    except OSError as error:
        raise _unreadable(name) from error
    return parse_dvc_file(content, name)


def parse_dvc_file(content: bytes, name: str) -> list[TrackedOut]:
    """The outputs that the text of a `.dvc` file tracks.

    Raises:
        SpecError: as `read_dvc_file`.
    """
    where = Where(name)
    document = _load(content, name)
    outs = document.get("outs") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(outs, list) or not outs:
        raise SpecError(
            "source.dvc: not a .dvc file: it has no `outs`", where=where, hint="`dvc add` makes one"
        )
    if "cmd" in document or document.get("wdir", ".") != ".":
        raise SpecError("source.dvc: a .dvc file with a command or another folder is not used", where=where)
    return [_tracked(out, where) for out in outs]


def parse_dvc_lock(content: bytes, name: str) -> list[TrackedOut]:
    """The outputs that the stages of a `dvc.lock` file made; a stage that works in another folder has none for us.

    Raises:
        SpecError: it can't be read, or an output lies outside its folder.
    """
    document = _load(content, name)
    stages = document.get("stages") if isinstance(document, dict) else None
    found: list[TrackedOut] = []
    for stage in stages.values() if isinstance(stages, dict) else ():
        outs = stage.get("outs") if isinstance(stage, dict) else None
        found += [_tracked(out, Where(name)) for out in outs if isinstance(outs, list)] if outs else []
    return found


def is_tracked_content(path: Path, out: TrackedOut) -> bool:
    """Whether what lies here is exactly what DVC tracks, so that nothing needs to be pulled."""
    if not out.md5:
        return False
    try:
        if out.md5.endswith(".dir"):
            return path.is_dir() and folder_md5(path) == out.md5
        return path.is_file() and file_md5(path) == out.md5
    except OSError:
        return False


def file_md5(path: Path) -> str:
    """MD5 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def folder_md5(path: Path) -> str:
    """DVC's digest of a folder: the MD5 of the JSON list of its files, with `.dir`.

    Source: DVC's documentation, "Structure of the cache directory".
    """
    files = [
        {"md5": file_md5(file), "relpath": file.relative_to(path).as_posix()} for file in _all_files(path)
    ]
    files.sort(key=lambda entry: entry["relpath"])
    return hashlib.md5(json.dumps(files, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def _all_files(path: Path) -> list[Path]:
    return [file for file in path.rglob("*") if file.is_file()]


def _load(content: bytes, name: str) -> object:
    if len(content) > LONGEST_BYTES:
        raise _unreadable(name)
    try:
        document: object = yaml.safe_load(content.decode("utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
        raise _unreadable(name) from error
    return document


def _unreadable(name: str) -> SpecError:
    return SpecError("source.dvc: the file can't be read as YAML", where=Where(name))


def _tracked(out: object, where: Where) -> TrackedOut:
    if not isinstance(out, dict):
        raise SpecError("source.dvc: an output is no mapping", where=where)
    path = str(out.get("path", ""))
    parts = PurePosixPath(path)
    if not path or parts.is_absolute() or ".." in parts.parts or "://" in path or "\\" in path:
        raise SpecError(f"source.dvc: output {path!r} lies outside the file's own folder", where=where)
    size = out.get("size")
    md5 = str(out.get("md5", "")) if out.get("hash") == "md5" else ""
    return TrackedOut(path, md5, size if isinstance(size, int) else 0)
