"""What travels with a job: the files of its checkout, of its scratch folder and of its checkpoints, as a list."""

import hashlib
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path, PurePosixPath

from fiat.builtin.child_checkpoint_entry import is_checkpoint
from fiat.builtin.ray_travel_beneath import plain_files
from fiat.data.dvc_carry import Carrier
from fiat.ports.compute import Job

ROOT, WORK, CHECKPOINTS = "root", "work", "checkpoints"
CODE_BYTES = 32 << 20
CHUNK_BYTES = 8 << 20
_UPWARDS = 3
_GIT_TIMEOUT_S = 60.0
_NOT_SENT = frozenset({"out", "tmp"})
_SKIPPED = frozenset(
    {".git", ".fiat", ".venv", "__pycache__", "node_modules", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
)
# Repository settings can name programs to run; none of these is needed to list files.
_HARDENED = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
_OBJECT = re.compile(r"/files/md5/([0-9a-f]{2})/([0-9a-f]{30})$")


class Torn(Exception):
    """A file did not come as it was when it was listed: worth another try."""


@dataclass(frozen=True)
class Item:
    """One file or folder.

    Attributes:
        place: which of the folders it lies in.
        path: within that, with slashes.
        digest: MD5 of its content; empty for a folder.
        size_bytes: of its content.
        executable: it is a program.
        link: it is a symbolic link to there, within the same place; empty when it is none.
    """

    place: str
    path: str
    digest: str = ""
    size_bytes: int = 0
    executable: bool = False
    link: str = ""


@dataclass(frozen=True)
class Parcel:
    """What a node must have before a job can run there.

    Attributes:
        items: folders come before what is in them.
        folders: place to where it lies at home.
        python: interpreter of the job's owner.
        carrier: how large files come from the store's remote; None when it has none.
        notes: sentences for the job's log.
    """

    items: tuple[Item, ...]
    folders: dict[str, str]
    python: str
    carrier: Carrier | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Piece:
    """A part of one file."""

    digest: str
    offset: int
    size_bytes: int


def in_chunks(items: Sequence[Item], chunk_bytes: int = CHUNK_BYTES) -> list[list[Piece]]:
    """Files cut and gathered into messages of a bounded size, each content once."""
    chunks: list[list[Piece]] = [[]]
    room = chunk_bytes
    sizes = {item.digest: item.size_bytes for item in items if item.digest}
    for digest, size_bytes in sizes.items():
        offset = 0
        while True:
            if not room:
                chunks.append([])
                room = chunk_bytes
            part = min(room, size_bytes - offset)
            chunks[-1].append(Piece(digest, offset, part))
            offset += part
            room -= part
            if offset >= size_bytes:
                break
    return [chunk for chunk in chunks if chunk]


def root_of(job: Job) -> Path:
    """The checkout that a job runs in."""
    if job.command is not None:
        return job.command.cwd
    assert job.task is not None  # noqa: S101 - a job is one or the other
    return job.task.root


def scratch_of(job: Job) -> Path:
    """The scratch folder with the inputs: that of the job, or of the job that this one is a worker or a trial of."""
    folder = job.work_dir
    for _ in range(_UPWARDS):
        if (folder / "in").is_dir():
            return folder
        folder = folder.parent
    return job.work_dir


def code_items(
    root: Path, digest: Callable[[Path], str], notes: list[str], most_bytes: int = CODE_BYTES
) -> Iterator[Item]:
    """The files of a checkout that git tracks or would track, but for those that are too large for code."""
    folders: set[str] = set()
    for name in _code_names(root):
        path = root / name
        if path.is_symlink():
            target = os.path.normpath(path.parent / path.readlink())
            if not target.startswith(f"{root}/"):
                continue
            yield from _parents(ROOT, name, folders)
            yield Item(ROOT, name, link=os.path.relpath(target, path.parent))
        elif path.is_file():
            about = path.stat()
            if about.st_size > most_bytes:
                notes.append(
                    f"{name} is too large to travel as code; name it as data, or as an input of the step"
                )
                continue
            yield from _parents(ROOT, name, folders)
            yield Item(ROOT, name, digest(path), about.st_size, bool(about.st_mode & 0o100))


def is_code_name(name: str) -> bool:
    """Whether it is a path within a checkout, and not of what git, Fiat or tools keep there."""
    parts = name.split("/")
    return not (name.startswith("/") or ".." in parts or "\0" in name or _SKIPPED.intersection(parts))


def scratch_items(base: Path, own: Path, digest: Callable[[Path], str]) -> Iterator[Item]:
    """What lies ready for a job in its scratch folder, but for places where it writes itself."""
    for name in sorted(os.listdir(base)):
        path = base / name
        if name.startswith("."):
            continue
        if name == "in":
            yield from _tree(base, path, digest)
        elif path.is_dir() and not path.is_symlink() and name not in _NOT_SENT:
            yield from _folders(base, path)  # of other workers: they write into theirs
        elif path.is_file() and not path.is_symlink():
            yield _file(base, path, digest)
    for folder in dict.fromkeys((base, own)):
        yield from (
            Item(WORK, _within(base, folder / name)) for name in ("out", "tmp") if (folder / name).is_dir()
        )
    if own != base:
        yield from _parents(WORK, f"{_within(base, own)}/x", set())
        for path in sorted(own.iterdir()):
            if path.name not in _NOT_SENT and not path.name.startswith("."):
                yield from _tree(base, path, digest)


def checkpoint_items(folder: Path, digest: Callable[[Path, str], str], trial: str = "") -> Iterator[Item]:
    """All checkpoints that are there; drafts and locks have hidden names, and links are not followed.

    Args:
        folder: user code may write into it.
        digest: MD5 of a file, by the folder and its path within.
        trial: the folder in it whose checkpoints are wanted; empty is all.
    """
    known: set[str] = set()
    for path, about in plain_files(folder, trial):
        with suppress(FileNotFoundError):  # a worker of the same job may write new ones, and remove old ones
            found = digest(folder, path)
            yield from _parents(CHECKPOINTS, path, known)
            yield Item(CHECKPOINTS, path, found, about.st_size, bool(about.st_mode & 0o100))


def hash_file(path: Path) -> str:
    """MD5 of a file's content, as the store and DVC name it."""
    with path.open("rb") as file:
        return hash_open(file)


def hash_bytes(content: bytes) -> str:
    """MD5 of a content."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def hash_open(file: BufferedReader) -> str:
    """MD5 of the content of a file that was opened to read."""
    return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def object_digest(path: Path) -> str:
    """The digest that a file of a content-addressed cache has for its name; empty for any other file.

    Source: DVC, layout of the cache since version 3.
    """
    found = _OBJECT.search(str(path))
    return found[1] + found[2] if found else ""


def is_named_by_content(path: str) -> bool:
    """Whether a file is a checkpoint of ours, whose name holds its SHA-256: what stands there stays the same."""
    return is_checkpoint(path.rpartition("/")[2])


def _tree(base: Path, path: Path, digest: Callable[[Path], str]) -> Iterator[Item]:
    """Inputs: a link among them leads to an object of the store."""
    if path.is_dir() and not path.is_symlink():
        yield Item(WORK, _within(base, path))
        for inner in sorted(path.iterdir()):
            yield from _tree(base, inner, digest)
    elif path.is_file():
        yield _file(base, path, digest)


def _folders(base: Path, folder: Path) -> Iterator[Item]:
    yield Item(WORK, _within(base, folder))
    for inner in sorted(folder.iterdir()):
        if inner.is_dir() and not inner.is_symlink() and not inner.name.startswith("."):
            yield from _folders(base, inner)


def _file(base: Path, path: Path, digest: Callable[[Path], str]) -> Item:
    about = path.stat()
    return Item(WORK, _within(base, path), digest(path), about.st_size, bool(about.st_mode & 0o100))


def _within(base: Path, path: Path) -> str:
    return path.relative_to(base).as_posix()


def _parents(place: str, name: str, known: set[str]) -> Iterator[Item]:
    for folder in reversed(PurePosixPath(name).parents[:-1]):
        text = str(folder)
        if text not in known:
            known.add(text)
            yield Item(place, text)


def _code_names(root: Path) -> list[str]:
    if (root / ".git").exists():
        listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        done = subprocess.run(
            ["git", *_HARDENED, "-C", str(root), *listing],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_GIT_TIMEOUT_S,
            check=False,
        )
        if not done.returncode:
            names = {name for name in done.stdout.decode("utf-8", "surrogateescape").split("\0") if name}
            return sorted(inner for name in names for inner in _entry_names(root, name))
    found = []
    for folder, folders, files in os.walk(root):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        folders[:] = [name for name in folders if name not in _SKIPPED]
        found += [os.path.relpath(f"{folder}/{name}", root) for name in (*files, *links)]
    return sorted(found)


def _entry_names(root: Path, name: str) -> list[str]:
    """The name itself, or those of all in it: git lists a submodule as one entry, and a repository of its own too."""
    if not is_code_name(name):
        return []
    path = root / name
    if path.is_symlink() or not path.is_dir():
        return [name]
    inside = _code_names(path) if (path / ".git").exists() else []
    return [f"{name.rstrip('/')}/{inner}" for inner in inside]
