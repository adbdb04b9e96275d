"""A small chain of `run:` steps: the program run on it, and every byte that it must have made."""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fiat.run.model import Run
from fiat.store.store import Store, open_store

PROGRAM = (sys.executable, "-m", "fiat")
LINES = 3000


def make_spec(*, name: str = "chain", sleep_s: float = 0) -> str:
    """A file, a folder of three files made from it, a file made from the folder, and a count of that."""
    wait = f"; sleep {sleep_s}" if sleep_s else ""
    commands = {
        "numbers": ("file", f"seq ${{params.salt}} $((${{params.salt}} + {LINES - 1})) > {{out.o}}"),
        "parts": (
            "folder",
            "mkdir {out.o}; for i in 1 2 3; do sed s/^/$i-/ {numbers.o} > {out.o}/part$i; done",
        ),
        "whole": ("file", "cat {parts.o}/part1 {parts.o}/part2 {parts.o}/part3 > {out.o}"),
        "count": ("file", "wc -l < {whole.o} > {out.o}; echo FIAT_METRIC lines=$(wc -l < {whole.o})"),
    }
    lines = ["fiat: 1", f"name: {name}", "params: {salt: 0}", "steps:"]
    for step, (kind, command) in commands.items():
        lines += [f"  {step}:", f'    run: "{command}{wait}"', f"    out: {{o: {kind}}}", "    code: []"]
        lines += ["    with: {}"]
    return "\n".join(lines) + "\n"


def expected_files(salt: int = 0) -> dict[str, dict[str, bytes]]:
    """Step to (path in its output, empty for a file) to content, worked out here."""
    numbers = "".join(f"{number}\n" for number in range(salt, salt + LINES))
    parts = {
        f"part{part}": "".join(f"{part}-{line}\n" for line in numbers.split()).encode() for part in (1, 2, 3)
    }
    return {
        "numbers": {"": numbers.encode()},
        "parts": parts,
        "whole": {"": b"".join(parts[name] for name in sorted(parts))},
        "count": {"": f"{3 * LINES}\n".encode()},
    }


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as one JSON document."""
        return json.loads(self.out)

    @property
    def states(self) -> list[str]:
        """How each step of the run ended, in plan order."""
        return [step["state"] for step in self.document["steps"]]


@dataclass(frozen=True)
class ChainProject:
    """A folder with the chain's spec, and the place of its store.

    Attributes:
        root: the checkout.
        state: the store's folder.
        env: what the environment of commands has beside ours.
    """

    root: Path
    state: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """The environment of commands."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("FIAT_", "RAY_"))}
        return {**kept, "FIAT_STORE": str(self.state), "PYTHONDONTWRITEBYTECODE": "1", **self.env}

    def start(self, *words: str, before: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
        """Start the program, below another one when `before` names it."""
        return subprocess.Popen(
            [*before, *PROGRAM, *words],
            cwd=self.root,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def fiat(self, *words: str, before: tuple[str, ...] = (), timeout_s: float = 60) -> Ended:
        """Run the program to its end. Foreseeable faults never show a traceback, so none is let through."""
        return end(self.start(*words, before=before), timeout_s)

    def start_run(self, salt: int = 0, *more: str, before: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
        """Start a run of the chain."""
        return self.start(*run_words(salt, *more), before=before)

    def run(self, salt: int = 0, *more: str, before: tuple[str, ...] = ()) -> Ended:
        """Run the chain."""
        return self.fiat(*run_words(salt, *more), before=before)

    def finish(self, salt: int = 0) -> Ended:
        """Run the chain to a good end, and compare everything that the store has with what it must be."""
        done = self.run(salt)
        assert done.code == 0, done.out + done.err
        assert done.document["verdict"] == "pass"
        assert set(done.states) <= {"ran", "reused"}
        assert done.document["metrics"] == {"lines": 3.0 * LINES}
        self.examine({done.document["run"]: salt})
        return done

    def examine(self, runs: Mapping[str, int]) -> None:
        """The database is sound, every object and result verifies, and these runs (to their salt) are right."""
        database = sqlite3.connect(f"file:{self.state}/store.db?mode=ro", uri=True)
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        fingerprints = [row[0] for row in database.execute("SELECT fingerprint FROM results")]
        database.close()
        for path in (self.state / "cache" / "files" / "md5").glob("*/*"):
            digest = path.parent.name + path.name
            assert hashlib.md5(path.read_bytes()).hexdigest() == digest.removesuffix(".dir"), path
        with open_store(self.state, now=lambda: datetime.now(UTC), checkout=self.root) as store:
            for result in store.results.find_many(fingerprints).values():
                assert all(store.artifacts.verify(one.digest) for one in result.outputs.values())
            for run_id, salt in runs.items():
                check_outputs(store, store.runs.find(run_id), salt)


def check_outputs(store: Store, run: Run, salt: int) -> None:
    """Every output of a run of the chain, byte by byte, and nothing more than those."""
    made: dict[str, dict[str, bytes]] = {}
    for step in run.steps:
        digest = step.outputs["o"].digest
        if digest.endswith(".dir"):
            files = store.artifacts.files(digest)
            made[step.name] = {
                file.path: store.artifacts.object_path(file.digest).read_bytes() for file in files
            }
        else:
            made[step.name] = {"": store.artifacts.object_path(digest).read_bytes()}
    assert made == expected_files(salt)


def run_words(salt: int, *more: str) -> tuple[str, ...]:
    """The words of `fiat run` for the chain."""
    return ("run", "spec.yaml", f"params.salt={salt}", "--compute", "local", "--json", *more)


def end(process: "subprocess.Popen[str]", timeout_s: float = 60) -> Ended:
    """Wait for a command."""
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"no end within {timeout_s} s:\n{out}\n{err}") from None
    assert "Traceback" not in err, err
    return Ended(process.returncode, out, err)


def make_project(folder: Path, *, state: Path | None = None, spec: str | None = None) -> ChainProject:
    """A new project; its store is in its own folder unless `state` says otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spec.yaml").write_text(spec or make_spec())
    return ChainProject(folder, state or folder / ".fiat")
