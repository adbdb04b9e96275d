"""Time commands in throw-away checkouts: what every measurement shares."""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        what: what was measured.
        ours: seconds (or the unit that `what` names), median of the repeats.
        peer: the same for the peer; None when there is none.
        limit: most that `judged` may be; None when the line is for information.
        judged: the number that the limit is for: a ratio to the peer, or `ours` itself.
        peer_name: who the peer is.
    """

    what: str
    ours: float
    peer: float | None
    limit: float | None
    judged: float
    peer_name: str = ""

    @property
    def good(self) -> bool | None:
        """Whether the limit holds; None when there is none."""
        return None if self.limit is None else self.judged <= self.limit


def against(what: str, ours: float, peer: float, peer_name: str, limit: float | None) -> Line:
    """A line whose limit is for the ratio of ours to the peer's time."""
    return Line(what, ours, peer, limit, ours / peer, peer_name)


def alone(what: str, ours: float, limit: float | None) -> Line:
    """A line whose limit is for our own time."""
    return Line(what, ours, None, limit, ours)


class Room:
    """A folder for one measurement, with its own home, and an environment that reaches nothing else.

    Args:
        folder: made anew.
    """

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "home").mkdir(parents=True)
        self.folder = folder
        self.env = {
            "PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)]),
            "HOME": str(folder / "home"),
            "LANG": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(folder / "dvc-site"),
            "OMP_NUM_THREADS": "1",
        }

    def checkout(self, name: str) -> Path:
        """An empty git repository in the room."""
        path = self.folder / name
        path.mkdir()
        self.run(path, "git", "init", "-q")
        return path

    def run(self, cwd: Path, *command: str, env: Mapping[str, str] | None = None) -> float:
        """Run a command to its good end and give its seconds.

        Raises:
            SystemExit: it failed; its output is printed.
        """
        started = time.perf_counter()
        done = subprocess.run(
            command, cwd=cwd, env={**self.env, **(env or {})}, capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - started
        if done.returncode:
            sys.exit(
                f"{' '.join(command)} in {cwd} exited with {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return seconds


def medians(repeats: int, *takes: Callable[[], float]) -> list[float]:
    """The median of each take; the takes alternate, so that a busy minute hits all of them."""
    rounds = [[take() for take in takes] for _ in range(repeats)]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def show(lines: Sequence[Line]) -> str:
    """The table as text."""
    rows = [("what", "fiat", "peer", "ratio", "limit", "")]
    for line in lines:
        peer = "" if line.peer is None else f"{_seconds(line.peer)} {line.peer_name}"
        ratio = "" if line.peer is None else f"{line.ours / line.peer:.2f}"
        limit = "" if line.limit is None else (f"{line.limit:g}" if line.peer else f"{_seconds(line.limit)}")
        mark = {None: "", True: "good", False: "OVER"}[line.good]
        rows.append((line.what, _seconds(line.ours), peer, ratio, limit, mark))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"
