"""Run a transform graph with onnxruntime, on the CPU."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from fiat.errors import SpecError

BATCH_ROWS = 65_536
MOST_LETTERS = 1 << 22
"""Of the longest text of a part, times the rows of the part."""
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


def run_parts(
    session: ort.InferenceSession, outputs: Sequence[str], feed: Mapping[str, np.ndarray]
) -> Iterator[list[np.ndarray]]:
    """Outputs for all rows, a part of the rows at a time; one empty part when there are none.

    Raises:
        SpecError: see `run_rows`.
    """
    for span in _spans(feed):
        yield run_rows(session, outputs, {name: array[span] for name, array in feed.items()})


def run_all(
    session: ort.InferenceSession, outputs: Sequence[str], feed: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    """Outputs for all rows, computed in parts; where these have other widths (tokens), empty texts fill up.

    Raises:
        SpecError: see `run_rows`.
    """
    parts = list(run_parts(session, outputs, feed))
    return parts[0] if len(parts) == 1 else [_joined(arrays) for arrays in zip(*parts, strict=True)]


def _spans(feed: Mapping[str, np.ndarray]) -> Iterator[slice]:
    """Rows that go together: BATCH_ROWS, or fewer where a text is long.

    A table of words has as many columns as the longest text has words: one of 10,000 words among 65,536 short ones would
    ask for 20 GB.
    """
    n_rows = len(next(iter(feed.values())))
    letters = np.zeros(n_rows, np.int64)
    for array in feed.values():
        if array.dtype == object:
            letters += (
                np.fromiter(map(len, array.reshape(-1)), np.int64, array.size).reshape(n_rows, -1).sum(1)
            )
    start = longest = 0
    if int(letters.max(initial=0)) * min(n_rows, BATCH_ROWS) > MOST_LETTERS:
        for row, length in enumerate(letters.tolist()):
            longest = max(longest, length)
            full = row - start == BATCH_ROWS or (row + 1 - start) * longest > MOST_LETTERS
            if full and row > start:
                yield slice(start, row)
                start, longest = row, length
        yield slice(start, n_rows)
        return
    for start in range(0, max(1, n_rows), BATCH_ROWS):
        yield slice(start, start + BATCH_ROWS)


def first_line(error: BaseException) -> str:
    """The first line of a message, cut where it becomes long."""
    return str(error).strip().partition("\n")[0][:300]


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    if arrays[0].dtype == object and len({array.shape[1:] for array in arrays}) > 1:
        width = max(array.shape[1] for array in arrays)
        arrays = [_widened(array, width) for array in arrays]
    return np.concatenate(arrays)


def _widened(texts: np.ndarray, width: int) -> np.ndarray:
    found = np.full((len(texts), width), "", object)
    found[:, : texts.shape[1]] = texts
    return found
