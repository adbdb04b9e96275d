"""A checkout of its own with some of our examples in it, and the program run as a person runs it."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent.parent
PROGRAM = Path(sys.executable).with_name("fiat")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as one JSON document."""
        return json.loads(self.out)


@dataclass(frozen=True)
class ExampleCheckout:
    """A git repository with copies of examples.

    Attributes:
        folder: its top.
        program: the `fiat` to run.
        env: the environment of commands, beside `env` of each call.
    """

    folder: Path
    program: Path = PROGRAM
    env: dict[str, str] = field(default_factory=lambda: dict(os.environ))

    def fiat(self, *arguments: str, env: dict[str, str] | None = None, timeout_s: float = 280) -> Done:
        """Run the program in the top folder."""
        kept = {name: value for name, value in self.env.items() if not name.startswith(("FIAT_", "RAY_"))}
        done = subprocess.run(
            [str(self.program), *arguments],
            cwd=self.folder,
            env={**kept, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)


def lay_faces(checkout: ExampleCheckout, people: int = 1) -> None:
    """Made-up images where specs/faces looks for those that we may not ship: ten of each person, all a little different."""
    rows, columns = np.mgrid[0:112, 0:92]
    draw = np.random.default_rng(5)
    for person in range(1, people + 1):
        folder = checkout.folder / "specs" / "faces" / "data" / f"s{person}"
        folder.mkdir(parents=True)
        waves = [np.sin(rows / draw.uniform(4, 20) + columns / draw.uniform(4, 20)) for _ in range(3)]
        for number in range(1, 11):
            image = np.roll(sum(waves) * 40 + 128 + draw.normal(0, 10, (112, 92)), number % 3, 1)
            pixels = image.clip(0, 255).astype(np.uint8).tobytes()
            (folder / f"{number}.pgm").write_bytes(b"P5\n92 112\n255\n" + pixels)


def lay_fashion(folder: Path, rows: int = 2000) -> Path:
    """Made-up images of ten kinds of clothes in the four files of Fashion-MNIST, a sixth of them to judge by."""
    folder.mkdir()
    draw = np.random.default_rng(5)
    kinds = draw.integers(0, 255, (10, 28, 28))
    for part, count in (("train", rows), ("t10k", rows // 6)):
        labels = draw.integers(0, 10, count).astype(np.uint8)
        images = (kinds[labels] * 0.4 + draw.integers(0, 150, (count, 28, 28))).astype(np.uint8)
        for name, array in (("labels-idx1", labels), ("images-idx3", images)):
            sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
            body = bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()
            (folder / f"{part}-{name}-ubyte.gz").write_bytes(gzip.compress(body, 1))
    return folder


def make_checkout(folder: Path, *examples: str) -> ExampleCheckout:
    """A repository with one commit on `main` that holds these examples."""
    for example in examples:
        shutil.copytree(
            ROOT / "specs" / example,
            folder / "specs" / example,
            ignore=shutil.ignore_patterns("__pycache__", "data"),
        )
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org", "-C", str(folder)]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    (folder / ".gitignore").write_text("/models/\n")
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "examples"], check=True)
    return ExampleCheckout(folder)
