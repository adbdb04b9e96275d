"""Run a transform graph with onnxruntime, on the CPU."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from fiat.errors import SpecError

BATCH_ROWS = 65_536
_FAULTS = (
    faults.Fail,
    faults.InvalidArgument,
    faults.InvalidGraph,
    faults.InvalidProtobuf,
    faults.NotImplemented,
    faults.RuntimeException,
    faults.EPFail,
    RuntimeError,
    ValueError,
    TypeError,
)


def open_session(model: bytes, *, threads: int = 1) -> ort.InferenceSession:
    """A session on so many cores.

    Raises:
        SpecError: onnxruntime can't load the graph.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except _FAULTS as error:
        raise SpecError(f"onnxruntime can't load the transforms: {first_line(error)}") from error


def run_rows(
    session: ort.InferenceSession, outputs: Sequence[str], feed: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    """Outputs for all rows at once.

    Raises:
        SpecError: the graph refuses them, such as a category with `unknown: error`.
    """
    try:
        return list(session.run(list(outputs), dict(feed)))
    except _FAULTS as error:
        text = str(error)
        if "that training did not see" in text and "Name:'" in text:
            name = text.partition("Name:'")[2].partition("'")[0]
            raise SpecError(
                f"there is {name}",
                hint="`unknown: other` takes such values too",
            ) from error
        raise SpecError(f"the transforms can't be run: {first_line(error)}") from error


def run_batches(
    session: ort.InferenceSession, output: str, feed: Mapping[str, np.ndarray], *, size: int = BATCH_ROWS
) -> np.ndarray:
    """One output for many rows, batch by batch; where batches have other widths (tokens), empty texts fill up."""
    n_rows = len(next(iter(feed.values())))
    parts = []
    for start in range(0, max(1, n_rows), size):
        batch = {name: array[start : start + size] for name, array in feed.items()}
        parts.append(run_rows(session, [output], batch)[0])
    if len(parts) == 1:
        return parts[0]
    if parts[0].dtype == object:
        width = max(part.shape[1] for part in parts)
        parts = [_widened(part, width) for part in parts]
    return np.concatenate(parts)


def first_line(error: BaseException) -> str:
    """The first line of a message, cut where it becomes long."""
    return str(error).strip().partition("\n")[0][:300]


def _widened(texts: np.ndarray, width: int) -> np.ndarray:
    found = np.full((len(texts), width), "", object)
    found[:, : texts.shape[1]] = texts
    return found
