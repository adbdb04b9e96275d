"""Where scores lie: links that people read, and a shelf with a folder for each finished scoring.

`<output>`, `<output>.fiat.json` and `<output>.failed.parquet` are links through one hidden link, `.<output>.current`; moving
that one changes all three in one step, so that scores never stand beside another model's account of them.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiat.builtin.deploy_shelf import flush
from fiat.builtin.deploy_versions import Place, folder_of
from fiat.errors import SpecError
from fiat.ports.deploy import DeployRequest

SCORES, ABOUT, FAILED = "scores", "about.json", "failed.parquet"
WORK = "work"
"""Folder on the shelf with what an unfinished scoring has done so far."""
_FORMATS = {".parquet": "parquet", ".csv": "csv", "": "folder"}


@dataclass(frozen=True)
class BatchPlace:
    """Paths of one batch target.

    Attributes:
        output: what the spec names: a link to the scores.
        format: `parquet`, `csv`, or `folder` (of Parquet files).
    """

    output: Path
    format: str

    @property
    def versions(self) -> Place:
        """The hidden link, and the shelf that it leads to."""
        name = self.output.name
        return Place(self.output.with_name(f".{name}.current"), self.output.with_name(f".{name}.batch"))

    @property
    def work(self) -> Path:
        """What an unfinished scoring has done so far, a folder a key."""
        return self.versions.shelf / WORK

    @property
    def scores(self) -> str:
        """Name of the scores in a scoring's folder."""
        return SCORES if self.format == "folder" else f"{SCORES}.{self.format}"

    @property
    def links(self) -> Mapping[Path, str]:
        """Links that people read, to what each leads to."""
        current = self.versions.link.name
        return {
            self.output: f"{current}/{self.scores}",
            self.output.with_name(f"{self.output.name}.fiat.json"): f"{current}/{ABOUT}",
            self.output.with_name(f"{self.output.name}.failed.parquet"): f"{current}/{FAILED}",
        }


def batch_place(request: DeployRequest) -> BatchPlace:
    """Where the scores of a request go.

    Raises:
        SpecError: the path leaves the root, or its name says a format that is not written.
    """
    said = str(request.settings["output"])
    path = Path(said)
    if path.name in ("", ".", "..") or path.name.startswith("."):
        raise SpecError(
            f"deploy.{request.target}.output is {said!r}", hint="say a path such as scores/new.parquet"
        )
    if path.suffix.lower() not in _FORMATS:
        raise SpecError(
            f"deploy.{request.target}.output is {said}: {path.suffix} files are not written",
            hint="end it with .parquet or .csv, or name a folder, which gets Parquet files",
        )
    folder = folder_of(request, str(path.parent), "output")
    return BatchPlace(folder / path.name, _FORMATS[path.suffix.lower()])


def read_about(folder: Path) -> Mapping[str, Any] | None:
    """What is written down of a finished scoring; None when it can't be read."""
    try:
        found = json.loads((folder / ABOUT).read_bytes())
        return found if isinstance(found, dict) else None
    except (OSError, ValueError):
        return None


def damaged_scores(folder: Path) -> list[str]:
    """Files of a finished scoring that are gone or of another size than when they were written."""
    try:
        files = dict((read_about(folder) or {})["files"])
    except (KeyError, TypeError, ValueError):
        return [ABOUT]
    return [name for name, size_bytes in files.items() if not _has_size(folder / name, size_bytes)]


def lost_links(place: BatchPlace) -> list[Path]:
    """Links that people read and that don't lead where they should."""
    return [link for link, target in place.links.items() if not _leads(link, target)]


def make_links(place: BatchPlace) -> None:
    """Make the links that people read.

    Raises:
        SpecError: something else stands in their place.
    """
    for link, target in place.links.items():
        if _leads(link, target):
            continue
        if link.exists() or link.is_symlink():
            raise SpecError(
                f"{link} is there and was not put there by a deploy of this target",
                hint="move it away, or choose another output",
            )
        with suppress(FileExistsError):
            link.symlink_to(target)
    flush(place.output.parent)


def _has_size(path: Path, size_bytes: object) -> bool:
    try:
        return path.is_file() and path.stat().st_size == size_bytes
    except OSError:
        return False


def _leads(link: Path, target: str) -> bool:
    try:
        return str(link.readlink()) == target
    except OSError:
        return False
