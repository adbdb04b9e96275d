"""The shelf that versions of a deployed model stand on: one deploy at a time, and never one that is older than the last.

The number of the newest deploy is written down before the model changes. Whoever comes later with a lower one (a process
that was stood still, or whose host was away) finds it and is refused, because who looks holds the lock until the model has
changed.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fiat.errors import EnvironmentFault, Stalled, Waiting
from fiat.ports.deploy import DeployRequest

_LOCK = "lock"
_GENERATION = "generation"
_TRY_EVERY_S = 0.05


@contextmanager
def locked(shelf: Path, wait_s: float, sleep: Callable[[float], object] = time.sleep) -> Iterator[None]:
    """Hold the shelf's lock; it goes with its process.

    Args:
        shelf: exists.
        wait_s: how long to wait for a holder that may be stood still.
        sleep: waits between tries.

    Raises:
        Waiting: somebody holds it all the time.
    """
    descriptor = os.open(shelf / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    deadline = time.monotonic() + wait_s
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise Waiting(
                        f"another process has been deploying to {shelf.parent} for {wait_s:g} s",
                        hint="when it hangs, end it: its lock goes with it",
                    ) from None
                sleep(_TRY_EVERY_S)
        yield
    finally:
        os.close(descriptor)


def admit(shelf: Path, request: DeployRequest) -> None:
    """Write the request's generation down, unless a newer one was there; the caller holds the lock.

    Raises:
        Stalled: a higher generation was there, or this one with another package.
        EnvironmentFault: what stands there is no generation.
    """
    if request.generation <= 0:
        return
    newest, digest = _read(shelf / _GENERATION)
    if newest > request.generation:
        raise Stalled(
            f"target {request.target} took generation {newest} already, this is generation {request.generation}",
            hint="a newer deploy went ahead; nothing was changed. If the store is a new one and the target's folder is from "
            f"before, {shelf / _GENERATION} tells the number: remove it, and run again",
        )
    if newest == request.generation:
        if digest != request.digest:
            raise Stalled(
                f"target {request.target} took generation {newest} with another model",
                hint="run again: a new run has a new generation",
            )
        return
    _write(shelf / _GENERATION, f"{request.generation} {request.digest}\n")


def flush(path: Path) -> None:
    """Bring a file or folder to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> tuple[int, str]:
    try:
        text = path.read_text("ascii")
    except FileNotFoundError:
        return 0, ""
    except UnicodeDecodeError:
        text = ""
    number, _, digest = text.strip().partition(" ")
    if not number.isdecimal() or not digest:
        raise EnvironmentFault(
            f"{path} does not say which deploy was the newest",
            hint="look at the target, then remove the file",
        )
    return int(number), digest


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f"unfinished.{path.name}")
    draft.write_text(text, "ascii")
    flush(draft)
    draft.replace(path)
    flush(path.parent)
