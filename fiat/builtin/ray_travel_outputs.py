"""What a job has made on a node, as a list of files to bring home."""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from fiat.builtin.job_death import size_text
from fiat.builtin.ray_travel_parcel import WORK, Item, hash_file, object_digest

OUT = "out"


class _Odd(Exception):
    """An output holds something that can't be brought home."""


@dataclass(frozen=True)
class Inputs:
    """What an output may lead to beside itself.

    Attributes:
        objects: where files that were sent here lie, also those of other jobs.
        digests: which of them this job was given.
    """

    objects: Path
    digests: Collection[str]

    def digest(self, real: str) -> str:
        """The digest of a file that is an input; empty for any other one."""
        found = object_digest(Path(real)) if real.startswith(f"{os.path.realpath(self.objects)}/") else ""
        return found if found in self.digests else ""


def output_items(base: Path, inputs: Inputs, most_bytes: int | None = None) -> tuple[list[Item], str]:
    """List what lies in the folder for outputs.

    Links are brought home as the content that they lead to, which must lie within their output or be an input.

    Args:
        base: scratch folder of the job.
        inputs: of the job.
        most_bytes: most that it may have made: a file with holes takes no room here, but much at home. None is no limit.

    Returns:
        The items, and why they can't be brought home: empty when they can.
    """
    folder = base / OUT
    if not folder.is_dir() or folder.is_symlink():
        return [], ""
    items: list[Item] = []
    try:
        for top in sorted(folder.iterdir()):
            items += _items(base, top, top, inputs)
    except _Odd as odd:
        return [], str(odd)
    size_bytes = sum(item.size_bytes for item in items if item.digest not in inputs.digests)
    if most_bytes is not None and size_bytes > most_bytes:
        return [], f"made outputs of {size_text(size_bytes)}, more than its limit of {size_text(most_bytes)}"
    return items, ""


def _items(base: Path, path: Path, top: Path, inputs: Inputs) -> Iterator[Item]:
    name = path.relative_to(base).as_posix()
    real = Path(os.path.realpath(path))
    if path.is_symlink():
        inside = top != path and real.is_relative_to(os.path.realpath(top))
        if not inside and not inputs.digest(str(real)):
            raise _Odd(f"output {top.name} has a link that leads out of it")
        if real.is_dir() and path.is_relative_to(real):
            raise _Odd(f"output {top.name} has a link that leads in a circle")
    if real.is_dir():
        yield Item(WORK, name)
        for inner in sorted(path.iterdir()):
            yield from _items(base, inner, top, inputs)
    elif real.is_file():
        about = real.stat()
        yield Item(
            WORK,
            name,
            inputs.digest(str(real)) or hash_file(real),
            about.st_size,
            bool(about.st_mode & 0o100),
        )
    else:
        raise _Odd(f"output {top.name} holds something that is neither file nor folder: {path.name}")
