"""Start the process that converts and measures a model, wait for it, and take its answer."""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import fiat
from fiat.builtin.job_death import signal_name
from fiat.errors import EnvironmentFault, SpecError

TIMEOUT_S = 1800.0
MEMORY_BYTES = 16 << 30
_REQUEST, _ANSWER = "request.json", "answer.json"
_SET_PDEATHSIG = 1

Work = Callable[[Mapping[str, object], Path], Mapping[str, Any]]
"""Takes a request without `answer`, and a folder for scratch files; gives the answer."""


def work_in_child(
    request: Mapping[str, object],
    scratch: Path,
    *,
    timeout_s: float = TIMEOUT_S,
    memory_bytes: int = MEMORY_BYTES,
) -> Mapping[str, Any]:
    """Have a request of `edge_child` done.

    Args:
        request: what to do.
        scratch: for the request, the answer, and as the process' working directory.
        timeout_s: longest time in seconds.
        memory_bytes: address space of the process.

    Raises:
        SpecError: the model can't be converted, or its conversion took too long or crashed.
        EnvironmentFault: a plugin is missing, a dataset is damaged, or the process broke.
    """
    answer = scratch / _ANSWER
    (scratch / _REQUEST).write_text(json.dumps({**request, "answer": str(answer)}), "utf-8")
    command = [sys.executable, "-P", "-m", "fiat.builtin.edge_child", str(scratch / _REQUEST)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=scratch,
            env=_environment(scratch),
            preexec_fn=_bound(memory_bytes),
        )
    except subprocess.TimeoutExpired:
        raise SpecError(f"the model's conversion took longer than {timeout_s:g} s") from None
    if done.returncode < 0:
        raise SpecError(
            f"the model's conversion was ended by {signal_name(-done.returncode)}",
            hint="a converter or runtime crashed, or asked for too much memory",
        )
    try:
        said: Mapping[str, Any] = json.loads(answer.read_bytes())
    except (OSError, ValueError):
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise EnvironmentFault(
            f"the process that converts models broke: {(lines or ['it says nothing'])[-1][:300]}"
        ) from None
    if error := said.get("error"):
        kind = SpecError if error["kind"] == SpecError.__name__ else EnvironmentFault
        raise kind(error["message"], hint=error["hint"])
    return said


def _environment(scratch: Path) -> dict[str, str]:
    ours = str(Path(next(iter(fiat.__path__))).parent)
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "PYTHONPATH": ours,
        "TMPDIR": str(scratch),
        "OMP_NUM_THREADS": "1",
    }


def _bound(memory_bytes: int) -> Callable[[], None]:
    """Limits for the process, which also ends with its parent: nobody would read what it still makes."""
    library = ctypes.CDLL(None, use_errno=True)

    def limit() -> None:
        library.prctl(_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    return limit
