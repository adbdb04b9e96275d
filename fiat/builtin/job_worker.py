"""The warm worker: a process that runs trusted steps one after another, so that imports are paid for once.

Program: started by `job_trusted.py` under the supervisor, with a socket as its standard input. It is a process
of its own, so that a crash in a native library ends one step and not Fiat.
"""

import faulthandler
import os
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import entry_points

from fiat.builtin.job_wire import receive_message, send_message
from fiat.errors import EnvironmentFault, FiatError
from fiat.ports.step import StepContext, StepKind, StepOutcome


@dataclass(frozen=True)
class TrustedRequest:
    """One step to run; its log is appended to."""

    context: StepContext
    log_path: str


@dataclass(frozen=True)
class TrustedAnswer:
    """How it ended.

    Attributes:
        outcome: None when it failed.
        reason: one sentence, empty when it did not fail.
        error: `class`, `message`, `hint`, `where` and `exit_code` of a FiatError, or of our bug.
        seconds: wall clock.
        peak_memory_bytes: largest resident set meanwhile, 0 when the kernel does not tell.
    """

    outcome: StepOutcome | None = None
    reason: str = ""
    error: dict[str, object] = field(default_factory=dict)
    seconds: float = 0.0
    peak_memory_bytes: int = 0


def find_step(kind: str) -> StepKind:
    """Load a kind of step by its entry point in the group `fiat.step`.

    Raises:
        EnvironmentFault: there is none, or its module can't be imported.
    """
    for entry in entry_points(group="fiat.step", name=kind):
        try:
            step: StepKind = entry.load()()
        except ImportError as error:
            raise EnvironmentFault(
                f"the step plugin {kind!r} can't be loaded: {error}",
                hint=f"install what {entry.value} needs",
            ) from error
        return step
    raise EnvironmentFault(
        f"there is no step plugin {kind!r}",
        hint="install the distribution that brings it; `fiat doctor` lists what there is",
    )


@contextmanager
def _printing_to(log_path: str) -> Iterator[None]:
    """Everything that is printed meanwhile, also by native code, goes to the log."""
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    saved = [os.dup(fd) for fd in (1, 2)]
    try:
        for fd in (1, 2):
            os.dup2(log, fd)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for fd, old in zip((1, 2), saved, strict=True):
            os.dup2(old, fd)
            os.close(old)
        os.close(log)


def _reset_peak() -> None:
    """Source: proc_pid_clear_refs(5), value 5."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        return


def _peak_bytes() -> int:
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _fault_answer(error: Exception) -> TrustedAnswer:
    if isinstance(error, FiatError):
        what = {
            "class": type(error).__name__,
            "message": error.message,
            "hint": error.hint,
            "where": str(error.where or ""),
            "exit_code": error.exit_code,
        }
        print(f"[fiat] {error}")
        return TrustedAnswer(reason=str(error), error=what)
    traceback.print_exc()
    print("[fiat] this is a bug in Fiat or in a plugin: the traceback above is for its authors")
    what = {"class": type(error).__name__, "message": str(error), "hint": "", "where": "", "exit_code": 4}
    return TrustedAnswer(
        reason=f"a bug: {type(error).__name__}: {error}; the traceback is in the log", error=what
    )


def run_step(request: TrustedRequest, kinds: dict[str, StepKind]) -> TrustedAnswer:
    """Run one step; what it raises becomes the answer.

    Args:
        request: the step.
        kinds: plugins loaded so far, added to.
    """
    _reset_peak()
    started = time.monotonic()
    kind = request.context.kind
    with _printing_to(request.log_path):
        try:
            if kind not in kinds:
                kinds[kind] = find_step(kind)
            answer = TrustedAnswer(outcome=kinds[kind].run(request.context))
        except Exception as error:
            answer = _fault_answer(error)
    return TrustedAnswer(
        outcome=answer.outcome,
        reason=answer.reason,
        error=answer.error,
        seconds=time.monotonic() - started,
        peak_memory_bytes=_peak_bytes(),
    )


def main() -> None:
    """Serve until the socket at standard input closes."""
    link = socket.socket(fileno=os.dup(0))
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    faulthandler.enable(all_threads=False)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]  # a TextIOWrapper
    kinds: dict[str, StepKind] = {}
    send_message(link, os.getpid())
    while True:
        try:
            request = receive_message(link)
        except EOFError:
            return
        send_message(link, run_step(request, kinds))
