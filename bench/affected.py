"""Which of a thousand specs a commit touches, beside `git diff --name-only`, which only says which files changed.

Warm is every push but the first: footprints are remembered, and one file changed.
"""

import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stopwatch import Line, Room

from fiat.engine.footprint import affected
from fiat.git.mirror import Mirror
from fiat.git.remote import Remote

MOST_S = 1.0
PEER = "git diff --name-only"
SHARED_BY = 10
SPEC = """\
fiat: 1
name: model{n}
params: {{trees: 20}}
data:
  rows: {{source: {{path: "${{dir}}/rows.csv"}}, label: y, split: {{train: 8, test: 2}}}}
train: {{call: "train:train", with: {{trees: "${{params.trees}}"}}}}
evaluate: {{metrics: [accuracy]}}
gates:
  - {{metric: accuracy, min: 0.8}}
"""
TRAIN = """\
import json
from shared.nets{group} import net


def train(data, run, trees):
    return net(trees)
"""


@dataclass
class Project:
    """A repository of many specs, its mirror, and what a runner remembers of it."""

    room: Room
    work: Path
    count: int
    mirror: Mirror = field(init=False)

    def __post_init__(self) -> None:
        """The first commit is there and fetched."""
        self.mirror = Mirror(
            self.room.folder / "mirror", Remote(f"file://{self.work}", protocols=frozenset({"file"}))
        )
        self.commit = self._commit(_files(self.count))

    def push(self, change: Mapping[str, str], wanted: int, *, warm: bool = True) -> tuple[float, float]:
        """Commit a change and judge it; gives our seconds and git's."""
        before, self.commit = self.commit, self._commit(change)
        remembered = self.room.folder / "footprints"
        if not warm:
            shutil.rmtree(remembered, ignore_errors=True)
        started = time.perf_counter()
        specs = self.mirror.spec_files(self.commit, ["**/spec.yaml"])
        found = sum(
            one.touched for one in affected(self.mirror, self.commit, before, specs, cache=remembered)
        )
        ours = time.perf_counter() - started
        if (len(specs), found) != (self.count, wanted):
            sys.exit(f"{found} of {len(specs)} specs are said to be touched, not {wanted} of {self.count}")
        return ours, self.room.run(self.work, "git", "diff", "--name-only", before, self.commit)

    def _commit(self, files: Mapping[str, str]) -> str:
        for name, text in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        self.room.run(self.work, "git", "add", "-A")
        self.room.run(self.work, "git", *identity, "commit", "-q", "-m", "change")
        self.mirror.fetch()
        words = ["git", "-C", str(self.work), "rev-parse", "HEAD"]
        return subprocess.run(
            words, env=self.room.env, capture_output=True, text=True, check=True
        ).stdout.strip()


def measure(folder: Path, *, count: int, repeats: int) -> list[Line]:
    """Nothing remembered; a file of one spec; a module that ten specs share."""
    room = Room(folder / "affected")
    project = Project(room, room.checkout("work"), count)
    takes: dict[str, list[tuple[float, float]]] = {}
    for take in range(repeats):
        code = TRAIN.format(group=0) + f"# {take}\n"
        for what, change, wanted in (
            ("nothing remembered", {"specs/m0/train.py": code}, 1),
            ("a spec's data changed", {"specs/m1/rows.csv": f"x,y\n{take},1\n"}, 1),
            (f"a module of {SHARED_BY} changed", {"shared/nets1.py": f"net = {take}\n"}, SHARED_BY),
        ):
            times = project.push(change, wanted, warm=what != "nothing remembered")
            takes.setdefault(what, []).append(times)
    lines = []
    for what, times in takes.items():
        ours, peer = (statistics.median(each) for each in zip(*times, strict=True))
        most = None if what == "nothing remembered" else MOST_S
        lines.append(Line(f"which of {count:,} specs, {what}", ours, peer, PEER, most=most))
    return lines


def _files(count: int) -> dict[str, str]:
    files = {"shared/__init__.py": ""}
    for n in range(count):
        group = n // SHARED_BY
        files[f"shared/nets{group}.py"] = "net = dict\n"
        files[f"specs/m{n}/spec.yaml"] = SPEC.format(n=n)
        files[f"specs/m{n}/train.py"] = TRAIN.format(group=group)
        files[f"specs/m{n}/rows.csv"] = "x,y\n1,2\n"
    return files
