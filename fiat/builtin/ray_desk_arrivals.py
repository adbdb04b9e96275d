"""What comes to the desk of a Ray: drafts of files that were offered, and how they get their names."""

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from fiat.builtin.ray_travel_beneath import folder_beneath, open_beneath, put_beneath, remove_beneath
from fiat.builtin.ray_travel_parcel import Item, Piece, Torn, hash_file, is_named_by_content

_ARRIVING = ".arriving-"


def make_draft(base: Path) -> Path:
    """A folder for what comes for a job.

    Args:
        base: its scratch folder.

    Raises:
        OSError: the disk refused, or the job is over.
    """
    draft = base / f"{_ARRIVING}{os.urandom(8).hex()}"
    draft.mkdir(mode=0o700)
    return draft


def write_pieces(draft: Path, pieces: Sequence[Piece], contents: Sequence[bytes]) -> None:
    """Take parts of files.

    Raises:
        OSError: the disk refused.
    """
    for piece, content in zip(pieces, contents, strict=True):
        fd = os.open(
            draft / digest_name(piece.digest),
            os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC,
            0o644,
        )
        with open(fd, "r+b", buffering=0) as file:
            file.seek(piece.offset)
            file.write(content)


def settle_items(
    draft: Path, target: Path, items: Sequence[Item], gone: Sequence[str] = (), *, kept: bool = False
) -> None:
    """Give files their names in their order, each whole or not at all; no link on the way is followed.

    Args:
        draft: where their contents are.
        target: the folder that they come into.
        items: the files and folders.
        gone: paths of files in the target that are removed afterwards.
        kept: they are checkpoints: what is named by its content is there or comes once, and all is flushed.

    Raises:
        Torn: something did not arrive as it was offered.
        OSError: the disk refused.
    """
    left = Counter(item.digest for item in items)
    for item in items:
        left[item.digest] -= 1
        if not item.digest:
            with folder_beneath(target, item.path, make=True):
                continue
        if not (kept and is_there(target, item)):
            source = _whole(draft, item, again=left[item.digest] > 0)
            if kept:
                _flush(source)
            put_beneath(source, target, item.path, flush=kept)
    remove_beneath(target, gone)


def is_there(folder: Path, item: Item) -> bool:
    """Whether a file that is named by its content has come already."""
    with suppress(OSError):
        if is_named_by_content(item.path):
            with open_beneath(folder, item.path) as file:
                return os.fstat(file.fileno()).st_size == item.size_bytes
    return False


def digest_name(digest: str) -> str:
    """Name of a draft.

    Raises:
        ValueError: it is no digest.
    """
    if not digest.isalnum():
        raise ValueError(f"{digest!r} is no digest")
    return digest


def _whole(draft: Path, item: Item, *, again: bool) -> Path:
    """The draft of a file, as it was offered; a link to an object of the store is ours, and needs no look."""
    source = draft / digest_name(item.digest)
    if not item.size_bytes and not source.exists():
        source.touch()
    same = source.exists() and source.stat().st_size == item.size_bytes
    if not (same and (source.is_symlink() or hash_file(source) == item.digest)):
        raise Torn(f"{item.path} did not arrive whole")
    if again:  # the same content stands at several paths
        copy = draft / f"{item.digest}.copy"
        shutil.copyfile(source, copy, follow_symlinks=False)
        source = copy
    if not source.is_symlink():
        source.chmod(0o755 if item.executable else 0o644)
    return source


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
