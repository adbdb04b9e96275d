"""The first load and inference of a model, in a process that may die."""

import resource
import subprocess
import sys
from pathlib import Path

from fiat.errors import SpecError

TIMEOUT_S = 120.0
MEMORY_BYTES = 8 << 30
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "LANG": "C.UTF-8"}
_SCRIPT = """
import sys
import numpy as np
import onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
options.log_severity_level = 4
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
feed, guessed = {}, False
names = {"float": "float32", "double": "float64", "string": "object", "bool": "bool"}
for item in session.get_inputs():
    shape = [size if isinstance(size, int) and size > 0 else 1 for size in item.shape]
    guessed |= any(not isinstance(size, int) for size in item.shape[1:])
    kind = item.type.removeprefix("tensor(").removesuffix(")")
    shape[:1] = [2] if item.shape and not isinstance(item.shape[0], int) else shape[:1]
    feed[item.name] = np.full(shape, "" if kind == "string" else 0, dtype=names.get(kind, kind))
try:
    session.run(None, feed)
except Exception as error:
    if not guessed and "that training did not see" not in str(error):
        raise
"""


def probe_model(path: Path, *, timeout_s: float = TIMEOUT_S, memory_bytes: int = MEMORY_BYTES) -> None:
    """Load a pre-checked model and predict two rows of zeros, where a crash hurts nobody.

    A model whose inputs have more free axes than the first may refuse the one size that is tried, and transforms with
    `unknown: error` refuse values that training did not see; that is no fault of it.

    Args:
        path: the file.
        timeout_s: longest time in seconds.
        memory_bytes: address space of the process.

    Raises:
        SpecError: onnxruntime refused it, crashed, or took too long or too much.
    """

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    command = [sys.executable, "-I", "-c", _SCRIPT, str(path)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
            env=_ENVIRONMENT,
            preexec_fn=limit,
        )
    except subprocess.TimeoutExpired:
        raise SpecError(
            f"{path.name} took longer than {timeout_s:g} s to load and predict two rows"
        ) from None
    if done.returncode < 0:
        raise SpecError(
            f"{path.name} crashes onnxruntime (signal {-done.returncode})", hint="it is not loaded again"
        )
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise SpecError(f"onnxruntime can't use {path.name}: {(lines or ['no reason given'])[-1][:300]}")
