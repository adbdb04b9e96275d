"""Errors on the terminal: place, what is wrong, the next step."""

import json
import sys

from fiat.errors import FiatError, SpecErrors


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
