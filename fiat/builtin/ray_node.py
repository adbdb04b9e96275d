"""The folder of a Ray node that does not see the store: files by digest that were sent here, and a place for each job."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from fiat.builtin.ray_travel_parcel import Item, Piece, Torn, hash_file
from fiat.errors import EnvironmentFault

FOLDER_VARIABLE, BYTES_VARIABLE = "FIAT_NODE_FOLDER", "FIAT_NODE_BYTES"
CACHE_BYTES = 50 << 30
COPY_BYTES = 1 << 20
_USES, _ARRIVING = "uses", "arriving"
# What is written into an object moves its time away from this: 2001-01-01.
_MARK_NS = 978_307_200 * 10**9


class NodeFolder:
    """The files of one user on one node. Any number of workers use it at once.

    Args:
        folder: its own; it is made.
        cache_bytes: how much is kept for later jobs.

    Attributes:
        folder: a cache in DVC's layout, among other things.
        objects: the files that were sent here, by digest.
    """

    def __init__(self, folder: Path, cache_bytes: int = CACHE_BYTES) -> None:
        self.folder = folder
        self._cache_bytes = cache_bytes
        self.objects = folder / "files" / "md5"
        self._jobs = folder / "j"
        for path in (folder, self.objects, self._jobs):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            raise PermissionError(f"{folder} belongs to somebody else")

    @contextmanager
    def job_folder(self) -> Iterator[Path]:
        """A folder for one job, removed at the end; its lock falls with this process, however that ends."""
        with self._locked(
            "door.lock"
        ):  # a sweeper takes what it can lock, or has no lock, for a dead worker's
            folder = Path(tempfile.mkdtemp(prefix="", dir=self._jobs))
            lock = os.open(f"{folder}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / _ARRIVING).mkdir()
        try:
            yield folder
        finally:
            _remove(folder)
            Path(f"{folder}.lock").unlink(missing_ok=True)
            os.close(lock)

    @contextmanager
    def fetching(self) -> Iterator[None]:
        """Held while files come: workers of one gang on one node do not fetch the same ones side by side."""
        with self._locked("fetch.lock"):
            yield

    def claim(self, job: Path, items: Iterable[Item]) -> list[Item]:
        """Note what a job uses, and tell which of it is not here yet or was damaged."""
        wanted = {item.digest: item for item in items if item.digest}
        with self._locked("door.lock"):  # a sweeper sees it, or is done before we look what is here
            (job / _USES).write_text("\n".join(wanted), "ascii")
        return [item for item in wanted.values() if not self.has(item)]

    def write(self, job: Path, pieces: Iterable[Piece], contents: Iterable[bytes]) -> None:
        """Take parts of files that come, as drafts of this job."""
        for piece, content in zip(pieces, contents, strict=True):
            fd = os.open(job / _ARRIVING / piece.digest, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with open(fd, "r+b", buffering=0) as file:
                file.seek(piece.offset)
                file.write(content)

    def keep(self, job: Path, item: Item) -> None:
        """Make a draft an object.

        Raises:
            Torn: it is not whole.
            OSError: the disk refused.
        """
        draft = job / _ARRIVING / item.digest
        if not item.size_bytes:
            draft.touch()
        if hash_file(draft) != item.digest:
            raise Torn(f"{item.path} did not arrive whole")
        draft.chmod(0o444)
        os.utime(draft, ns=(time.time_ns(), _MARK_NS))
        place = self.path(item.digest)
        place.parent.mkdir(mode=0o700, exist_ok=True)
        draft.replace(place)

    def has(self, item: Item) -> bool:
        """Whether a file is here, and as it was when it came."""
        try:
            about = self.path(item.digest).stat()
        except OSError:
            return False
        return about.st_size == item.size_bytes and about.st_mtime_ns == _MARK_NS

    def adopt(self, item: Item) -> bool:
        """Take what DVC brought for an object; False when it brought nothing or something else."""
        place = self.path(item.digest)
        if not place.exists() or hash_file(place) != item.digest:
            place.unlink(missing_ok=True)
            return False
        place.chmod(0o444)
        os.utime(place, ns=(time.time_ns(), _MARK_NS))
        return True

    def path(self, digest: str) -> Path:
        """Where an object lies."""
        return self.objects / digest[:2] / digest[2:]

    def lay(self, item: Item, target: Path, *, own: bool) -> None:
        """Put a file at a path where nothing is.

        Args:
            item: with a digest that is here.
            target: where to.
            own: the job may change it; else a large one is a link to the object.
        """
        source = self.path(item.digest)
        os.utime(source, ns=(time.time_ns(), _MARK_NS))  # when it was last used
        if item.size_bytes > COPY_BYTES and not own:
            target.symlink_to(source)
            return
        shutil.copyfile(source, target)
        if item.executable:
            target.chmod(0o755)

    def sweep(self) -> None:
        """Remove what dead workers left, and what was not used for longest when there is too much."""
        with self._locked("door.lock"):
            self._sweep_jobs()
            self._sweep_objects()

    def _sweep_jobs(self) -> None:
        for lock in self._jobs.glob("*.lock"):
            with suppress(OSError), open(lock, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(lock.with_suffix(""))
                lock.unlink(missing_ok=True)
        for folder in self._jobs.iterdir():
            if folder.suffix != ".lock" and not Path(f"{folder}.lock").exists():
                _remove(folder)

    def _sweep_objects(self) -> None:
        used: set[str] = set()
        for uses in self._jobs.glob(f"*/{_USES}"):
            with suppress(OSError):
                used.update(uses.read_text("ascii").split())
        found = []
        for path in self.objects.glob("*/*"):
            with suppress(OSError):
                about = path.stat()
                found.append((about.st_atime_ns, about.st_size, path))
        total = sum(size_bytes for _, size_bytes, _ in found)
        for _, size_bytes, path in sorted(found):
            if total <= self._cache_bytes:
                return
            if f"{path.parent.name}{path.name}" not in used:
                path.unlink(missing_ok=True)
                total -= size_bytes

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        lock = os.open(self.folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def node_folder(env: Mapping[str, str]) -> NodeFolder:
    """The folder of this user on this node.

    Args:
        env: of the Ray worker: what the node was started with.

    Raises:
        EnvironmentFault: a variable has a value that it can't have.
        OSError: the disk refused, or somebody else has a folder of that name.
    """
    room = env.get(BYTES_VARIABLE) or str(CACHE_BYTES)
    if not room.isdigit():
        raise EnvironmentFault(f"{BYTES_VARIABLE} is {room!r}", hint="expected a whole number of bytes")
    named = env.get(FOLDER_VARIABLE)
    folder = Path(named) if named else Path(tempfile.gettempdir()) / f"fiat-node-{os.getuid()}"
    return NodeFolder(folder, int(room))


def _remove(folder: Path) -> None:
    """Remove a folder whose code may have taken rights away from what it left."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        for path, _, _ in os.walk(folder):
            with suppress(OSError):
                Path(path).chmod(0o700)
        shutil.rmtree(folder, ignore_errors=True)
