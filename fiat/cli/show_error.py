"""Errors on the terminal: place, what is wrong, the next step; and streams that can't take what is printed."""

import errno
import io
import json
import os
import sys

from fiat.errors import EnvironmentFault, FiatError, SpecErrors

# What a machine can do to any program at any place; other errors of files are told where they are expected.
_OF_THE_MACHINE = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.EAGAIN,
}


def show_error(error: FiatError, *, as_json: bool) -> None:
    """Write an error to standard error, and as one document to standard output when that is asked for."""
    errors = error.errors if isinstance(error, SpecErrors) else [error]
    if as_json:
        json.dump(
            {"error": [_document(item) for item in errors], "exit_code": error.exit_code},
            sys.stdout,
            indent=2,
        )
        sys.stdout.write("\n")
    for item in errors:
        place = f"{item.where}: " if item.where else ""
        key = f"{item.where.key}: " if item.where and item.where.key else ""
        sys.stderr.write(f"{place}error: {key}{item.message}\n")
        if item.hint:
            sys.stderr.write(f"    {item.hint}\n")
    if len(errors) > 1:
        sys.stderr.write(f"{len(errors)} errors\n")


def fault_of_machine(error: OSError) -> EnvironmentFault | None:
    """The fault of a full, read-only or failing disk (standard output may be on it) or of a limit; None for others."""
    if error.errno not in _OF_THE_MACHINE:
        return None
    place = f" ({error.filename})" if error.filename else ""
    return EnvironmentFault(
        f"the machine refused: {error.strerror}{place}",
        hint="mend that and try again; nothing half-written is reused",
    )


def take_any_text() -> None:
    """Let standard output and error show `?` for what their encoding does not have: no command ends for that."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
            stream.reconfigure(errors="replace")


def drop_output() -> None:
    """Let a stream lead nowhere that can't take what was printed: the interpreter would fail once more at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _document(error: FiatError) -> dict[str, object]:
    where = error.where
    return {
        "kind": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "file": where.file if where else None,
        "line": where.line if where else None,
        "column": where.column if where else None,
        "key": where.key if where else None,
    }
