"""A process tree as Linux shows it: who descends from whom, how much memory they hold, and its end.

Used by the supervisor of a job, so it imports nothing but light parts of the standard library.
"""

import os
import signal
import time
from collections.abc import Iterable

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def children(pid: int) -> list[int]:
    """Direct children of a process, started by any of its threads; empty when it is gone.

    Source: proc_pid_task(5), `/proc/PID/task/TID/children`.
    """
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as file:
                found.extend(int(word) for word in file.read().split())
        except FileNotFoundError:
            if os.path.exists(f"/proc/{pid}/task/{thread}/stat"):  # noqa: PTH110 (pathlib is too heavy here)
                return _scan_children(pid)
        except OSError:
            continue
    return found


def _scan_children(pid: int) -> list[int]:
    """The same on a kernel without CONFIG_PROC_CHILDREN: read every process's parent."""
    return [
        int(name)
        for name in os.listdir("/proc")
        if name.isdigit() and (stat := _stat(int(name))) and int(stat[1]) == pid
    ]


def descendants(pid: int) -> list[int]:
    """Every living process below `pid`, parents before their children."""
    found: list[int] = []
    seen = {pid}
    ahead = [pid]
    while ahead:
        for child in children(ahead.pop()):
            if child not in seen:
                seen.add(child)
                found.append(child)
                ahead.append(child)
    return found


def _stat(pid: int) -> list[str] | None:
    """Fields of `/proc/PID/stat` behind the name: state, parent, group, session, ..."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            text = file.read().decode("ascii", "replace")
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def start_ticks(pid: int) -> int:
    """When a process started, in clock ticks since boot; 0 when it is gone or a zombie.

    Together with the number it names one process for good: numbers are given again, start times are not.
    """
    stat = _stat(pid)
    return 0 if stat is None or stat[0] in "ZX" else int(stat[19])


def is_stopped(pid: int, ticks: int) -> bool:
    """Whether that very process (see `start_ticks`) is suspended, by a signal or a debugger."""
    stat = _stat(pid)
    return stat is not None and stat[0] in "Tt" and int(stat[19]) == ticks


def count_threads(pids: Iterable[int]) -> int:
    """How many threads processes have together; those that end meanwhile have none."""
    return sum(int(stat[17]) for pid in pids if (stat := _stat(pid)))


def memory_bytes(pids: Iterable[int], limit_bytes: int | None = None) -> int:
    """Memory that processes hold together.

    The sum of their resident sets counts shared pages once a process, which is fast and too much. Only
    when that sum is above the limit, the exact proportional sum (PSS) is read, which is slow.

    Returns:
        Bytes; processes that end meanwhile count nothing.
    """
    pids = list(pids)
    resident = sum(_resident_bytes(pid) for pid in pids)
    if limit_bytes is None or resident <= limit_bytes or len(pids) == 1:
        return resident
    return sum(_proportional_bytes(pid) for pid in pids)


def _resident_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb", buffering=0) as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0


def _proportional_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        return _resident_bytes(pid)
    return 0


def send(pids: Iterable[int], number: int) -> None:
    """Send a signal to each that is still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def kill_descendants(patience_s: float = 4.0, spare: Iterable[int] = ()) -> int:
    """Kill and reap everything below this process, which must be a subreaper and have one thread.

    Orphans of a killed process become children of this one, so the loop ends when no child is left;
    stopping them all first keeps a fork bomb from outrunning it.

    Args:
        patience_s: give up after this long (a process in uninterruptible sleep can't be killed).
        spare: children to leave alone, with all below them.

    Returns:
        How many processes were told to end.
    """
    spared = set(spare)
    killed: set[int] = set()
    give_up_at = time.monotonic() + patience_s
    while time.monotonic() < give_up_at:
        tops = [pid for pid in children(os.getpid()) if pid not in spared]
        if not tops:
            break
        below = [pid for top in tops for pid in (top, *descendants(top))]
        send(below, signal.SIGSTOP)
        send(below, signal.SIGKILL)
        killed.update(pid for pid in below if start_ticks(pid))
        _reap(tops)
    return len(killed)


def _reap(pids: list[int]) -> None:
    for pid in pids:
        for _ in range(20):
            try:
                if os.waitpid(pid, os.WNOHANG)[0]:
                    break
            except ChildProcessError:
                break
            time.sleep(0.002)
