"""A package's files as they are loaded: read once, and what was read is what its digest proves."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fiat.errors import EnvironmentFault

GRAPH = "model.onnx"
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class PackageFiles:
    """What a package holds.

    Attributes:
        digest: MD5 in DVC's way, with `.dir` behind it.
        graph: bytes of the ONNX file: whoever loads these loads what the digest was made from.
        graph_md5: of them.
    """

    digest: str
    graph: bytes
    graph_md5: str


def read_package(folder: Path) -> PackageFiles:
    """Read the graph of a package and digest all of it.

    Raises:
        EnvironmentFault: it can't be read, or is no package.
    """
    try:
        graph = (folder / GRAPH).read_bytes()
        graph_md5 = hashlib.md5(graph, usedforsecurity=False).hexdigest()
        return PackageFiles(_digest(folder, {GRAPH: graph_md5}), graph, graph_md5)
    except OSError as error:
        raise EnvironmentFault(
            f"the package {folder} can't be read: {error.strerror or error}", hint="deploy it again"
        ) from error


def check_unchanged(folder: Path, files: PackageFiles) -> None:
    """Look again after the small files of a package were read by others: they are still those that were digested.

    Raises:
        EnvironmentFault: something changed.
    """
    try:
        same = _digest(folder, {GRAPH: files.graph_md5}) == files.digest
    except OSError:
        same = False
    if not same:
        raise EnvironmentFault(f"the package {folder} changed while it was read", hint="deploy it again")


def _digest(folder: Path, known: Mapping[str, str]) -> str:
    """DVC's digest of a folder: the MD5 of the JSON list of its files.

    Source: DVC's documentation, "Structure of the cache directory".
    """
    files = []
    for path in _all_files(folder):
        name = path.relative_to(folder).as_posix()
        files.append({"md5": known.get(name) or _md5(path), "relpath": name})
    files.sort(key=lambda entry: entry["relpath"])
    return hashlib.md5(json.dumps(files, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def _all_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
