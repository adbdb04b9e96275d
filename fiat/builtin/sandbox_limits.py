"""What a running job uses, measured from outside, and the sentence for the limit that it exceeds."""

import errno
import os
import resource
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from fiat.builtin import job_tree
from fiat.builtin.job_death import size_text

THREADS_EACH = 8
_SLICE_S = 0.02
_REST = 50  # looking at the disk takes at most a fiftieth of the time
_OPEN_FILES = 65_536
_LAST_LOOK_S = 5.0
_HIDING = {errno.ENAMETOOLONG: "folders nested too deeply", errno.EACCES: "a folder that it shut"}


class Usage:
    """Watches one job.

    Args:
        request: may have `memory_bytes`, and `limits` with `processes`, `memory_bytes`, `disk_bytes`, `file_bytes` and
            `folders` (what the job may write).

    Attributes:
        peak_bytes: largest memory that was seen.
    """

    def __init__(self, request: Mapping[str, Any]) -> None:
        limits = request.get("limits") or {}
        memory = [n for n in (request.get("memory_bytes"), limits.get("memory_bytes")) if n is not None]
        self._memory_bytes: int | None = min(memory, default=None)
        self._processes: int | None = limits.get("processes")
        self._disk_bytes: int | None = limits.get("disk_bytes")
        self._file_bytes: int | None = limits.get("file_bytes")
        self._meter = DiskMeter(limits.get("folders", ()))
        self._limited = bool(limits)
        self.peak_bytes = 0

    @property
    def patience(self) -> float:
        """How many times as long as a look takes to wait for the next one."""
        return 10.0 if self._processes is not None else 50.0

    def exceeded(self, pids: Sequence[int], *, own: int = 0) -> str:
        """Look once.

        Args:
            pids: the processes below the runner.
            own: how many of them are not the job's.

        Returns:
            The sentence, empty when all is within its limits.
        """
        count = len(pids) - own
        if self._processes is not None and count > self._processes:
            return f"had {count} processes at a time, more than its limit of {self._processes}"
        if self._processes is not None:
            threads, most = job_tree.count_threads(pids), THREADS_EACH * self._processes
            if threads > most:
                return (
                    f"had {threads} threads at a time, more than {THREADS_EACH} for each process of its limit"
                )
        used = job_tree.memory_bytes(pids, self._memory_bytes)
        self.peak_bytes = max(self.peak_bytes, used)
        if self._memory_bytes is not None and used > self._memory_bytes:
            return f"used {size_text(used)} of memory, more than its limit of {size_text(self._memory_bytes)}"
        if self._disk_bytes is not None:
            held, limit = self._meter.look(pids), size_text(self._disk_bytes)
            if held > self._disk_bytes:
                return f"wrote {size_text(held)}, more than its limit of {limit}"
            if self._meter.hidden:
                return f"hid {self._meter.hidden} from the measure of its limit of {limit} on disk"
        return ""

    def why_it_failed(self) -> str:
        """After it failed by itself: the limit that made it fail, empty when none did."""
        if self._file_bytes is None or self._meter.finish(_LAST_LOOK_S) < self._file_bytes:
            return ""
        return f"wrote a file as large as its limit of {size_text(self._file_bytes)}"

    def impose(self) -> None:
        """In the forked child: what the kernel itself holds a job to."""
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if not self._limited:
            return
        if self._file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self._file_bytes, self._file_bytes))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, most), most))
        with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("500")  # when memory runs out the kernel shall end the job, and not us


class DiskMeter:
    """Measures folders a little at a time, so that their owner is never kept waiting.

    Args:
        folders: what to measure.

    Attributes:
        hidden: what in there can't be looked into, such as folders that are nested too deeply; empty when all can.
    """

    def __init__(self, folders: Iterable[str]) -> None:
        self.hidden = ""
        self._folders = tuple(folders)
        self._walk: Iterator[os.stat_result] | None = None
        self._held_bytes = 0
        self._sum_bytes = 0
        self._largest_bytes = 0
        self._seen: set[tuple[int, int]] = set()
        self._spent_s = 0.0
        self._next_at = 0.0

    @property
    def busy(self) -> bool:
        """Whether it is in the middle of a look."""
        return self._walk is not None

    def look(self, pids: Iterable[int]) -> int:
        """Go on measuring for a moment.

        Args:
            pids: processes whose deleted files count too.

        Returns:
            Bytes on disk as far as they are known: all of the last complete look, or those of this one when they are
            more already.
        """
        now = time.monotonic()
        if now >= self._next_at:
            done = self._go_on(pids, now + _SLICE_S)
            self._spent_s += time.monotonic() - now
            if done:
                self._next_at = time.monotonic() + _REST * self._spent_s
                self._spent_s = 0.0
        return max(self._held_bytes, self._sum_bytes)

    def finish(self, patience_s: float) -> int:
        """Size of the largest file in the folders, as far as it can be found in this time."""
        self._walk = None
        self._go_on((), time.monotonic() + patience_s)
        return self._largest_bytes

    def _go_on(self, pids: Iterable[int], until: float) -> bool:
        if self._walk is None:
            self._walk = self._files(tuple(pids))
            self._sum_bytes = 0
            self._seen.clear()
        for about in self._walk:
            key = (about.st_dev, about.st_ino)
            if key not in self._seen:
                self._seen.add(key)
                self._sum_bytes += about.st_blocks * 512
                if stat.S_ISREG(about.st_mode):
                    self._largest_bytes = max(self._largest_bytes, about.st_size)
            if time.monotonic() > until:
                return False
        self._walk = None
        self._held_bytes = self._sum_bytes
        return True

    def _files(self, pids: Iterable[int]) -> Iterator[os.stat_result]:
        devices = set()
        waiting = list(self._folders)
        for folder in self._folders:
            with suppress(OSError):
                devices.add(os.stat(folder).st_dev)  # noqa: PTH116 (pathlib is too heavy here)
        while waiting:
            try:
                with os.scandir(waiting.pop()) as entries:
                    for entry in entries:
                        with suppress(FileNotFoundError):
                            yield entry.stat(follow_symlinks=False)
                            if entry.is_dir(follow_symlinks=False):
                                waiting.append(entry.path)
            except OSError as error:
                self.hidden = self.hidden or _HIDING.get(error.errno or 0, "")
        for pid in pids:
            for about in _open_files(pid):
                if about.st_nlink == 0 and about.st_dev in devices and stat.S_ISREG(about.st_mode):
                    yield about


def _open_files(pid: int) -> Iterator[os.stat_result]:
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return
    for name in names:
        with suppress(OSError):
            yield os.stat(f"/proc/{pid}/fd/{name}")  # noqa: PTH116 (pathlib is too heavy here)
