"""What the disk and the databases say, as faults with a next step: the one place that translates them."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fiat.errors import EnvironmentFault
from fiat.store.holders import other_holders

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM}
_MAKE_ROOM = "make room on that disk (`fiat gc` removes what no kept run needs) and try again"
_RESTORE = (
    "restore a backup of it, or move it away: results are then made again, runs and releases are forgotten"
)


@contextmanager
def disk_faults(path: Path) -> Iterator[None]:
    """Turn an `OSError` of the block into an EnvironmentFault that names the path.

    Raises:
        EnvironmentFault: the disk is full or read-only, the path is forbidden, or the hardware failed.
    """
    try:
        yield
    except OSError as error:
        raise fault_of_disk(error, path) from error


def fault_of_disk(error: OSError, path: Path) -> EnvironmentFault:
    """The fault that an `OSError` on this path is."""
    # Within a folder that is being removed, names are given without their folder.
    named = isinstance(error.filename, str) and error.filename.startswith("/")
    place = error.filename if named else str(path)
    if error.errno in _FULL:
        return EnvironmentFault(f"the disk is full: {place}", hint=_MAKE_ROOM)
    if error.errno == errno.EROFS:
        return EnvironmentFault(
            f"the disk is read-only: {place}",
            hint="remount it for writing, or work on a copy of the checkout",
        )
    if error.errno in _FORBIDDEN:
        return EnvironmentFault(
            f"no permission: {place}", hint="give the user that runs Fiat the right to write there"
        )
    return EnvironmentFault(
        f"{place}: {error.strerror or error}",
        hint="check the disk, then try again; nothing half-written is reused",
    )


def fault_of_sqlite(error: sqlite3.Error, path: Path) -> EnvironmentFault:
    """The fault that an error of SQLite on this file is."""
    name = str(getattr(error, "sqlite_errorname", ""))
    if name.startswith("SQLITE_FULL"):
        return EnvironmentFault(f"the disk is full: {path}", hint=_MAKE_ROOM)
    if name.startswith("SQLITE_READONLY"):
        return EnvironmentFault(
            f"the store can't be written: {path} is read-only",
            hint="remount its disk for writing, or give the user that runs Fiat the right to write there",
        )
    if name.startswith("SQLITE_CANTOPEN"):
        return EnvironmentFault(
            f"the store can't be opened: {path}",
            hint="check that it is a file in a folder that Fiat may write",
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        named = ", ".join(map(str, other_holders(path)))
        return EnvironmentFault(
            f"another process keeps the store locked: {path}" + (f" (process {named})" if named else ""),
            hint="wait until it ends, or end it, and try again",
        )
    if name.startswith("SQLITE_NOTADB"):
        return no_database(path)
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_IOERR_SHORT_READ")):
        return EnvironmentFault(f"the store is damaged: {path}", hint=_RESTORE)
    if name.startswith("SQLITE_IOERR"):
        return EnvironmentFault(
            f"the disk failed under the store: {path}: {error}", hint="check the disk and try again"
        )
    return EnvironmentFault(f"the store does not answer as it should: {path}: {error}", hint=_RESTORE)


def damaged_rows(place: str, what: str) -> EnvironmentFault:
    """The fault of a row that can't be what was written there."""
    return EnvironmentFault(f"the store is damaged: {place}: {what}", hint=_RESTORE)


def cut_file(path: Path, size_bytes: int, expected_bytes: int) -> EnvironmentFault:
    """The fault of a database file that is shorter than its own header says."""
    return EnvironmentFault(
        f"the store is cut: {path} has {size_bytes:,} of {expected_bytes:,} bytes", hint=_RESTORE
    )


def no_database(path: Path) -> EnvironmentFault:
    """The fault of a file in the store's place that no database wrote."""
    return EnvironmentFault(f"{path} is not a database", hint=_RESTORE)


def foreign_file(path: Path) -> EnvironmentFault:
    """The fault of a database that some other program made."""
    return EnvironmentFault(
        f"{path} is a database, but not a store of Fiat",
        hint="move it away; Fiat then makes a new store there",
    )


def newer_version(place: str, found: int, known: int) -> EnvironmentFault:
    """The fault of a store that a later Fiat made."""
    return EnvironmentFault(
        f"the store {place} has version {found}, this Fiat knows versions up to {known}",
        hint="upgrade Fiat; the store was left as it is",
    )
