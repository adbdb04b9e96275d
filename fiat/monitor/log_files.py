"""Which files the log has. Opens none of them and loads nothing large: to ask for news costs little."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LogFile:
    """A file of the log.

    Attributes:
        path: where it is.
        what: beginning of the digest of the version that answered; `labels` for labels.
        size_bytes: of it.
        written_at: seconds since 1970 when it was replaced last.
    """

    path: Path
    what: str
    size_bytes: int
    written_at: float


def log_files(folder: Path) -> list[LogFile]:
    """The files of a folder in the order they were begun; empty when it is not there. Opens none of them."""
    found = []
    with suppress(OSError):
        for entry in os.scandir(folder):
            words = entry.name.split("-", 4)
            if len(words) == 5 and entry.name.endswith(".parquet") and words[0].isdigit():
                with suppress(OSError):
                    facts = entry.stat()
                    found.append(LogFile(Path(entry.path), words[3], facts.st_size, facts.st_mtime))
    return sorted(found, key=lambda file: (_begun(file.path.name), file.path.name))


def _begun(name: str) -> tuple[str, int]:
    moment = name.rsplit(".", 2)[-2] if name.count(".") >= 2 else "0"
    return name[:13], int(moment) if moment.isdigit() else 0
