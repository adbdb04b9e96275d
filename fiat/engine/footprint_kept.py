"""Footprints in a file, so that finding them again costs nothing while what they came from is the same."""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fiat.engine.footprint_trace import Footprint

FORMAT = 1
KEPT_PER_SPEC = 4


class Kept:
    """Footprints in a file, the newest few of each spec.

    Args:
        file: JSON; None remembers nothing. One that can't be read counts as empty, one that can't be written is left.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._changed = False
        self._found: dict[str, list[Footprint]] = {}
        if file is not None:
            with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
                document = json.loads(file.read_bytes())
                if document["format"] == FORMAT:
                    rows = document["specs"].items()
                    self._found = {path: [_read(row) for row in found] for path, found in rows}

    def of(self, path: str) -> Sequence[Footprint]:
        """What is remembered of a spec, newest first."""
        return self._found.get(path, ())

    def add(self, path: str, found: Footprint) -> None:
        """Remember one more."""
        self._found[path] = [found, *self.of(path)][:KEPT_PER_SPEC]
        self._changed = True

    def save(self) -> None:
        """Write the file anew if there is something new."""
        if self._file is None or not self._changed:
            return
        rows = {path: [_row(each) for each in found] for path, found in self._found.items()}
        text = json.dumps({"format": FORMAT, "specs": rows}, separators=(",", ":"))
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self._file.parent, prefix=".footprints-")
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
            Path(name).replace(self._file)


def _row(found: Footprint) -> dict[str, object]:
    return {
        "name": found.name,
        "spec": found.spec,
        "code": found.code,
        "calls": found.calls,
        "sources": found.sources,
        "watched": found.watched,
        "globs": found.globs,
        "commands": found.commands,
        "rest": found.rest,
        "triggers": found.triggers,
    }


def _read(row: Mapping[str, Any]) -> Footprint:
    """A remembered footprint.

    Raises:
        ValueError, TypeError, KeyError or AttributeError: it is none.
    """
    rest = row["rest"]
    return Footprint(
        str(row["name"]),
        _texts(row["spec"]),
        _texts(row["code"]),
        tuple(map(str, row["calls"])),
        tuple(map(str, row["sources"])),
        tuple(map(str, row["watched"])),
        tuple(map(str, row["globs"])),
        tuple(map(str, row["commands"])),
        None if rest is None else tuple(map(str, rest)),
        dict(row["triggers"]),
    )


def _texts(row: Mapping[str, Any]) -> Mapping[str, str]:
    if not all(isinstance(value, str) for value in row.values()):
        raise TypeError
    return row
