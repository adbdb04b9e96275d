"""What a job has made on a node, as a list of files to bring home."""

import os
from collections.abc import Iterator
from pathlib import Path

from fiat.builtin.ray_travel_parcel import WORK, Item, hash_file, object_digest

OUT = "out"


class _Odd(Exception):
    """An output holds something that can't be brought home."""


def output_items(base: Path, objects: Path) -> tuple[list[Item], str]:
    """List what lies in the folder for outputs.

    Links are brought home as the content that they lead to, which must lie within their output or be an input.

    Args:
        base: scratch folder of the job.
        objects: where inputs may lie.

    Returns:
        The items, and why they can't be brought home: empty when they can.
    """
    folder = base / OUT
    if not folder.is_dir() or folder.is_symlink():
        return [], ""
    items: list[Item] = []
    try:
        for top in sorted(folder.iterdir()):
            items += _items(base, top, top, os.path.realpath(objects))
    except _Odd as odd:
        return [], str(odd)
    return items, ""


def _items(base: Path, path: Path, top: Path, objects: str) -> Iterator[Item]:
    name = path.relative_to(base).as_posix()
    real = Path(os.path.realpath(path))
    if path.is_symlink():
        inside = top != path and real.is_relative_to(os.path.realpath(top))
        if not inside and not str(real).startswith(f"{objects}/"):
            raise _Odd(f"output {top.name} has a link that leads out of it")
        if real.is_dir() and path.is_relative_to(real):
            raise _Odd(f"output {top.name} has a link that leads in a circle")
    if real.is_dir():
        yield Item(WORK, name)
        for inner in sorted(path.iterdir()):
            yield from _items(base, inner, top, objects)
    elif real.is_file():
        about = real.stat()
        kept = object_digest(real) if str(real).startswith(f"{objects}/") else ""
        yield Item(WORK, name, kept or hash_file(real), about.st_size, bool(about.st_mode & 0o100))
    else:
        raise _Odd(f"output {top.name} holds something that is neither file nor folder: {path.name}")
