"""Download objects in blocks, several at a time, each tried again where it breaks."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from fiat.builtin.source_bucket_client import BucketClient
from fiat.builtin.source_bucket_place import Found, version_of
from fiat.errors import EnvironmentFault

_BLOCK_BYTES = 8 * 1024 * 1024
_AT_ONCE_BYTES = 64 * 1024 * 1024
_AT_ONCE = 32


@dataclass(frozen=True)
class _Block:
    """A piece of an object; the last one of it closes its file."""

    item: Found
    start: int
    end: int

    @property
    def is_last(self) -> bool:
        return self.end == self.item.size_bytes


def download_objects(
    client: BucketClient, found: Sequence[Found], folder: Path, sleep: Callable[[float], object]
) -> list[Path]:
    """Download objects to files below a folder, under their names.

    Args:
        client: reads them.
        found: sorted; their sizes are what is downloaded, to the byte.
        folder: exists; nothing of this is left in it when the download fails.
        sleep: waits between tries.

    Returns:
        The files, in the order of `found`.

    Raises:
        SpecError: an object is gone, or may not be read.
        EnvironmentFault: the network fails again and again, an object changes meanwhile, or the disk is full.
    """
    made = {(folder / item.name).relative_to(folder).parts[0] for item in found}
    try:
        out: IO[bytes] | None = None
        for group in _groups(found):
            contents = client.ask(partial(_read, blocks=group), group[0].item.path, sleep)
            for block, content in zip(group, contents, strict=True):
                if out is None:
                    path = folder / block.item.name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    out = path.open("xb")
                out.write(content)
                if block.is_last:
                    out.close()
                    out = None
        for item in found:
            if item.size_bytes > _BLOCK_BYTES:
                _check_unchanged(client, item, sleep)
        return [folder / item.name for item in found]
    except BaseException as error:
        if out is not None:
            out.close()
        for name in made:
            _remove(folder / name)
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise EnvironmentFault(
                f"a download can't be written: {reason}", hint="is the disk full?"
            ) from error
        raise


def _groups(found: Sequence[Found]) -> Iterator[list[_Block]]:
    """Blocks that are read at once: so many, and so many bytes."""
    group: list[_Block] = []
    for item in found:
        for start in range(0, max(item.size_bytes, 1), _BLOCK_BYTES):
            group.append(_Block(item, start, min(start + _BLOCK_BYTES, item.size_bytes)))
            if len(group) == _AT_ONCE or sum(block.end - block.start for block in group) >= _AT_ONCE_BYTES:
                yield group
                group = []
    if group:
        yield group


def _read(system: Any, blocks: Sequence[_Block]) -> list[bytes]:
    """The contents of blocks; an empty object is not asked for."""
    wanted = [block for block in blocks if block.end > block.start]
    starts, ends = [block.start for block in wanted], [block.end for block in wanted]
    paths = [block.item.path for block in wanted]
    contents = system.cat_ranges(paths, starts, ends, on_error="raise") if wanted else []
    for block, content in zip(wanted, contents, strict=True):
        if len(content) != block.end - block.start:
            found, expected = len(content), block.end - block.start
            raise ConnectionError(f"{block.item.key}: {found:,} bytes came where {expected:,} were asked for")
    came = iter(contents)
    return [next(came) if block.end > block.start else b"" for block in blocks]


def _check_unchanged(client: BucketClient, item: Found, sleep: Callable[[float], object]) -> None:
    """Blocks of two versions would make a file that never was."""
    if client.ask(lambda system: version_of(system.info(item.path)), item.path, sleep) != item.version:
        raise EnvironmentFault(f"{item.path} changed while it was read", hint="try again")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
