"""What a batch target scores: a dataset of the spec or files, and whether they are still what they were."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiat.builtin.batch_place import batch_place
from fiat.builtin.source_dvc_file import folder_md5
from fiat.data.confined import matching_files
from fiat.data.formats import data_files, format_of
from fiat.data.split import SPLITS
from fiat.data.stream import SourceFile
from fiat.errors import EnvironmentFault, SpecError
from fiat.ports.confinement import Confinement
from fiat.ports.deploy import DeployRequest

_DATA = "data."
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class BatchInput:
    """Rows to score.

    Attributes:
        files: in order; of a dataset its splits.
        format: of the files, see `fiat.data.formats`; `dataset` for a dataset.
        digest: of all content, names and order.
        stats: name to size in bytes and time of change in ns, to see quickly whether something changed.
    """

    files: tuple[SourceFile, ...]
    format: str
    digest: str
    stats: Mapping[str, Sequence[int]]


def read_input(request: DeployRequest) -> BatchInput:
    """Find the input and read all of it for its digest.

    Raises:
        SpecError: there is none, or it is not granted, or of a format that can't be scored.
        EnvironmentFault: it can't be read.
    """
    said = str(request.settings["input"])
    if said.startswith(_DATA):
        folder = _dataset(request)
        if folder is None:
            raise EnvironmentFault(f"dataset {said} was not laid out", hint="run the spec, which makes it")
        files = tuple(SourceFile(folder / f"{name}.arrow", name) for name in SPLITS)
        return BatchInput(files, "dataset", folder_md5(folder), {})
    files = _files(request)
    if not files:
        raise SpecError(f"deploy.{request.target}.input: no file matches {said}", hint="look at the path")
    kind = format_of(files)
    files = tuple(data_files(files, kind))
    if kind not in ("csv", "jsonl", "parquet", "arrow"):
        raise SpecError(
            f"deploy.{request.target}.input: {kind} files can't be scored",
            hint="give csv, jsonl, parquet or arrow files, or a dataset such as data.main",
        )
    before = stats_of(files)
    digest = content_digest(files)
    if stats_of(files) != before:
        raise EnvironmentFault(f"{said} changed while it was read", hint="deploy again when it is complete")
    return BatchInput(files, kind, digest, before)


def input_changed(request: DeployRequest, about: Mapping[str, Any]) -> str:
    """What of the input differs from what was scored; empty when nothing does, as far as can be seen from here.

    Files are read only when their size or time differs. A dataset that is not laid out can't be looked at.
    """
    said = str(request.settings["input"])
    if about.get("input") != said:
        return f"the input is {said} now, it was {about.get('input')}"
    if said.startswith(_DATA):
        folder = _dataset(request)
        known = folder is None or folder_md5(folder) == about.get("input_digest")
        return "" if known else f"{said} has other content now"
    try:
        files = _files(request)
        files = tuple(data_files(files, format_of(files))) if files else ()
        if stats_of(files) == about.get("input_stats"):
            return ""
        return "" if content_digest(files) == about.get("input_digest") else f"{said} has other content now"
    except (SpecError, EnvironmentFault, OSError) as error:
        return f"{said} can't be read now: {error}"


def stats_of(files: Sequence[SourceFile]) -> dict[str, list[int]]:
    """Size and time of change of each file, by name."""
    found = {}
    for file in files:
        about = file.path.stat()
        found[file.name] = [about.st_size, about.st_mtime_ns]
    return found


def content_digest(files: Sequence[SourceFile]) -> str:
    """SHA-256 over names and contents, in order.

    Raises:
        EnvironmentFault: a file can't be read.
    """
    listing = []
    for file in files:
        digest = hashlib.sha256()
        try:
            with file.path.open("rb") as source:
                while chunk := source.read(_CHUNK_BYTES):
                    digest.update(chunk)
        except OSError as error:
            raise EnvironmentFault(f"{file.name} can't be read: {error.strerror or error}") from error
        listing.append([file.name, digest.hexdigest()])
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def _dataset(request: DeployRequest) -> Path | None:
    name = str(request.settings["input"]).removeprefix(_DATA)
    return (request.inputs or {}).get(name)


def _files(request: DeployRequest) -> tuple[SourceFile, ...]:
    root = request.root.resolve()
    said = str(request.settings["input"])
    policy = Confinement(confined=request.confined)
    pattern = f"{said.rstrip('/')}/*" if (root / said).is_dir() else said
    found = matching_files(pattern, root, policy, f"deploy.{request.target}.input")
    ours = batch_place(request).links
    return tuple(SourceFile(path, os.path.relpath(path, root)) for path in found if path not in ours)
