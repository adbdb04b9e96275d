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
        ours: median of the repeats, in seconds unless `unit` says otherwise.
        peer: the same for the peer; None when there is none.
        peer_name: who the peer is.
        most_ratio: limit for `ours / peer`; None for no limit.
        most: limit for `ours`; None for no limit.
        unit: `s`, `MiB`, or empty for a plain number.
    """

    what: str
    ours: float
    peer: float | None = None
    peer_name: str = ""
    most_ratio: float | None = None
    most: float | None = None
    unit: str = "s"

    @property
    def ratio(self) -> float | None:
        """Ours as a part of the peer's; None without a peer."""
        return None if self.peer is None else self.ours / self.peer

    @property
    def good(self) -> bool | None:
        """Whether the limits hold; None when there is none."""
        held = [
            value <= limit
            for value, limit in ((self.ours, self.most), (self.ratio, self.most_ratio))
            if limit is not None and value is not None
        ]
        return all(held) if held else None


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
        peer = "" if line.peer is None else f"{_text(line.peer, line.unit)} {line.peer_name}"
        ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
        limits = [] if line.most is None else [_text(line.most, line.unit)]
        limits += [] if line.most_ratio is None else [f"ratio {line.most_ratio:g}"]
        mark = {None: "", True: "good", False: "OVER"}[line.good]
        rows.append((line.what, _text(line.ours, line.unit), peer, ratio, ", ".join(limits), mark))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _text(value: float, unit: str) -> str:
    if unit == "MiB":
        return f"{value:.0f} MiB"
    if unit != "s":
        return f"{value:.2f}"
    if value >= 1:
        return f"{value:.2f} s"
    return f"{value * 1000:.0f} ms" if value >= 0.01 else f"{value * 1000:.2g} ms"
