"""Which processes have a SQLite file locked, so that one that was frozen in the middle of a write can be told."""

import os
from pathlib import Path

_LOCKS = Path("/proc/locks")
# The bytes that SQLite locks. Source: https://www.sqlite.org/fileformat2.html#the_lock_byte_page
_FIRST_BYTE = 0x40000000
_LAST_BYTE = _FIRST_BYTE + 511


def holders_of(path: Path, locks: Path = _LOCKS) -> tuple[int, ...]:
    """Process ids that hold a lock of SQLite on this file, our own among them; none where the system does not say.

    Args:
        path: the database file.
        locks: the kernel's list. Source: proc(5), `/proc/locks`.
    """
    try:
        inode = path.stat().st_ino
        lines = locks.read_text().splitlines()
    except OSError:
        return ()
    found = {holder for line in lines if (holder := _holder(line.split(), inode))}
    return tuple(sorted(found))


def other_holders(path: Path, locks: Path = _LOCKS) -> tuple[int, ...]:
    """`holders_of` without this process."""
    return tuple(pid for pid in holders_of(path, locks) if pid != os.getpid())


def _holder(fields: list[str], inode: int) -> int:
    """The process of one line, 0 when it is about something else. A waiting lock has `->` as its second field."""
    if len(fields) != 8 or fields[1] != "POSIX" or fields[5].rpartition(":")[2] != str(inode):
        return 0
    first, last = fields[6:]
    inside = first.isdigit() and last.isdigit() and int(first) >= _FIRST_BYTE and int(last) <= _LAST_BYTE
    return int(fields[4]) if inside and fields[4].isdigit() else 0
