"""A checkout with user code in it, and the child program run as the engine runs it."""

import json
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fiat.data.columns import ColumnChoice
from fiat.data.split import ByColumn
from fiat.data.stream import Piece, Reading
from fiat.data.write import write_dataset


@dataclass(frozen=True)
class Ended:
    """How a child ended."""

    code: int
    out: str
    err: str
    result: dict[str, Any] | None


class Stage:
    """One checkout; `code/` in it is where modules are found first, then its top."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "checkout"
        self.work = folder / "work"
        self.code = self.root / "code"
        self.code.mkdir(parents=True)
        self.work.mkdir()

    def module(self, name: str, text: str) -> Path:
        """Write a module of the user's."""
        path = self.code / f"{name}.py"
        path.write_text(textwrap.dedent(text), "utf-8")
        return path

    def dataset(self, columns: Mapping[str, object], label: str | None, name: str = "d") -> Path:
        """A dataset whose column `part` says the split of each row."""
        batch = pa.record_batch(dict(columns))
        reading = Reading(batch.schema, lambda: iter([Piece(batch, ("f.csv",), 1)]))
        folder = self.work / "in" / f"data.{name}"
        folder.parent.mkdir(exist_ok=True)
        write_dataset(folder, reading, ByColumn("part"), ColumnChoice(label, drop=("part",)), "abc")
        return folder

    def request(self, call: str | None, role: str = "step", **more: Any) -> dict[str, Any]:
        """What the engine writes for it."""
        return {
            "call": call,
            "role": role,
            "params": {},
            "seed": 0,
            "data": None,
            "datasets": {},
            "inputs": {},
            "outputs": {},
            "path": [str(self.code), str(self.root)],
            "root": str(self.root),
            "result": str(self.work / "result.json"),
            **more,
        }

    def start(self, request: Mapping[str, Any], **env: str) -> "subprocess.Popen[str]":
        """Start the child and don't wait for it."""
        path = self.work / "request.json"
        path.write_text(json.dumps(request))
        Path(request["result"]).unlink(missing_ok=True)
        return subprocess.Popen(
            [sys.executable, "-m", "fiat.builtin.child", str(path)],
            cwd=self.root,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.work),
                "LANG": "C.UTF-8",
                "PYTHONUNBUFFERED": "1",
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONHASHSEED": "0",
                **env,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, call: str | None, role: str = "step", *, env: Mapping[str, str] | None = None, **more: Any
    ) -> Ended:
        """Run the child to its end."""
        request = self.request(call, role, **more)
        child = self.start(request, **(env or {}))
        out, err = child.communicate(timeout=120)
        path = Path(request["result"])
        return Ended(child.returncode, out, err, json.loads(path.read_text()) if path.exists() else None)


def table(n_rows: int = 60, *, texts: bool = False) -> dict[str, object]:
    """Rows of two numbers, a label of three kinds that follows from them, and a split; with texts a city besides."""
    random = np.random.default_rng(3)
    a, b = random.normal(size=n_rows), random.normal(size=n_rows)
    kinds = np.where(a + b > 0.5, "c", np.where(a > b, "a", "b"))
    columns: dict[str, object] = {"a": a, "b": b}
    if texts:
        columns["city"] = pa.array(["Ulm", "Bonn", None][row % 3] for row in range(n_rows))
    columns["kind"] = pa.array(kinds.tolist())
    columns["part"] = pa.array(["train", "train", "test"][row % 3] for row in range(n_rows))
    return columns
