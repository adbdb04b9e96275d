"""Tell the format of files by their names, and which files of a folder are data."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from fiat.data.idx import IDX_NAME
from fiat.data.stream import SourceFile
from fiat.errors import SpecError

FORMATS = ("csv", "jsonl", "parquet", "arrow", "npy", "idx", "images", "text")
_NAMES = {
    "csv": re.compile(r".+\.(csv|tsv|tab)(\.gz)?", re.IGNORECASE),
    "jsonl": re.compile(r".+\.(jsonl|ndjson)(\.gz)?", re.IGNORECASE),
    "parquet": re.compile(r".+\.(parquet|pq)", re.IGNORECASE),
    "arrow": re.compile(r".+\.(arrow|arrows|feather|ipc)", re.IGNORECASE),
    "npy": re.compile(r".+\.(npy|npy\.gz|npz)", re.IGNORECASE),
    "idx": IDX_NAME,
    "images": re.compile(r".+\.(png|jpe?g|pgm|ppm|pnm)", re.IGNORECASE),
    "text": re.compile(r".+\.(txt|text)(\.gz)?", re.IGNORECASE),
}


def format_of(files: Sequence[SourceFile]) -> str:
    """The one format that the files' names tell; text counts only when there is nothing else.

    Raises:
        SpecError: none, or more than one.
    """
    found = [name for name in FORMATS if any(_is_of(file, name) for file in files)]
    if len(found) > 1 and "text" in found:
        found.remove("text")
    if len(found) == 1:
        return found[0]
    shown = ", ".join(file.name for file in files[:3])
    if not found:
        raise SpecError(
            f"the format of {shown} can't be told by name", hint=f"set format: {', '.join(FORMATS)}"
        )
    raise SpecError(
        f"files of several formats: {', '.join(found)}", hint="set format, or name the files by glob"
    )


def data_files(files: Sequence[SourceFile], format_name: str) -> list[SourceFile]:
    """The files of a folder that have the format's names; all of them when none has."""
    return [file for file in files if _is_of(file, format_name)] or list(files)


def _is_of(file: SourceFile, format_name: str) -> bool:
    return _NAMES[format_name].fullmatch(PurePosixPath(file.name).name) is not None
