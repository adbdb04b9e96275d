"""What the workers behind the first one print: a file for each, and its end for the log of all."""

import os
from pathlib import Path

from fiat.builtin.gang_seat import FOLDER

TAIL_LINES = 20
_TAIL_BYTES = 16 * 1024


def log_path(work_dir: Path, rank: int) -> Path:
    """Where the output of a worker behind the first one goes."""
    return work_dir / FOLDER / f"{rank}.log"


def last_lines(path: Path) -> list[str]:
    """The end of a log without its metric lines; nothing when it can't be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            file.seek(max(0, os.fstat(fd).st_size - _TAIL_BYTES))
            lines = file.read(_TAIL_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if not line.startswith("FIAT_METRIC ")][-TAIL_LINES:]
