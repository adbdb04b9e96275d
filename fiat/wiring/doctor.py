"""What must be right on this machine, each with the mend."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from fiat.builtin.sandbox_probe import probe_sandbox
from fiat.errors import FiatError
from fiat.store.store import open_store
from fiat.wiring.desk import utc_now
from fiat.wiring.registry import plugin_names
from fiat.wiring.shelf import Shelf

LOW_DISK_BYTES = 2 << 30
PORTS = ("compute", "deploy", "exporter", "source", "step")


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what.
        state: `good`, `note` (works, with a limit) or `bad`.
        found: one sentence.
        mend: what to do; empty when nothing is to be done.
    """

    name: str
    state: Literal["good", "note", "bad"]
    found: str
    mend: str = ""


def check_machine(shelf: Shelf) -> tuple[Check, ...]:
    """Look at everything that a run needs."""
    return tuple(_checks(shelf))


def _checks(shelf: Shelf) -> Iterator[Check]:
    yield Check("python", "good", f"{sys.version.split()[0]} at {sys.executable}")
    yield _git(shelf)
    yield _store(shelf)
    yield _disk(shelf)
    yield _ray(shelf)
    yield _gpus()
    yield _sandbox()
    for port in PORTS:
        names = plugin_names(port)
        yield Check(
            port,
            "good" if names else "bad",
            ", ".join(names) or "no plugin",
            "" if names else "reinstall Fiat",
        )
    if not {"torch", "sklearn"} & set(plugin_names("exporter")):
        yield Check(
            "exporter", "note", "only ONNX models can be exported", "pip install fiat-torch or fiat-sklearn"
        )


def _git(shelf: Shelf) -> Check:
    program = shutil.which("git")
    if program is None:
        return Check("git", "bad", "not installed", "install git")
    if not (shelf.root / ".git").exists():
        return Check("git", "note", f"{shelf.root} is not in git", "git init: runs then know their commit")
    return Check("git", "good", f"{program}; checkout {shelf.root}")


def _store(shelf: Shelf) -> Check:
    place = "PostgreSQL" if shelf.settings.database_url else str(shelf.state_dir)
    existed = shelf.state_dir.exists()
    if not existed and os.access(shelf.root, os.W_OK):
        return Check("store", "good", f"{shelf.state_dir} is made by the first run")
    try:
        store = open_store(shelf.state_dir, url=shelf.settings.database_url, now=utc_now, checkout=shelf.root)
        runs = len(store.runs.newest(limit=1000))
    except FiatError as error:
        return Check("store", "bad", error.message, error.hint)
    return Check("store", "good", f"{place}, {runs} runs")


def _disk(shelf: Shelf) -> Check:
    free = shutil.disk_usage(shelf.state_dir if shelf.state_dir.exists() else shelf.root).free
    low = free < LOW_DISK_BYTES
    return Check("disk", "note" if low else "good", f"{free / 2**30:.1f} GiB free", "fiat gc" if low else "")


def _ray(shelf: Shelf) -> Check:
    if find_spec("ray") is None:
        return Check("ray", "bad", "not installed", "pip install ray, or set FIAT_COMPUTE=local")
    if shelf.settings.ray_address:
        return Check("ray", "good", f"RAY_ADDRESS is {shelf.settings.ray_address}")
    warm = (shelf.state_dir / "ray").exists()
    return Check(
        "ray", "good", "warm (`fiat up`)" if warm else "starts when a step must run; `fiat up` keeps it warm"
    )


def _gpus() -> Check:
    program = shutil.which("nvidia-smi")
    if program is None:
        return Check("gpus", "note", "none seen (no nvidia-smi)")
    listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=30, check=False)
    names = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return Check("gpus", "good" if names else "note", "; ".join(names) or "nvidia-smi lists none")


def _sandbox() -> Check:
    found = probe_sandbox()
    return Check("sandbox", "good" if found.ok else "note", found.found, found.mend)
