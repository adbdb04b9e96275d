"""Run an ONNX model over batches with onnxruntime, on the CPU, so that the same rows give the same bits."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from fiat.errors import SpecError

THREADS = 2
"""Fixed whatever the machine has: sums are split by threads, and the split shows in the last bits."""

AnyArray = npt.NDArray[np.generic]

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


def predict_batches(
    model_path: Path, feeds: Iterable[Mapping[str, AnyArray]], *, threads: int = THREADS
) -> Iterator[dict[str, AnyArray]]:
    """Run the model on each batch.

    The caller has pre-checked the model: loading a hostile one can kill the process.

    Args:
        model_path: an ONNX file.
        feeds: for each batch, input name to array `(n_batch_rows, ...)`.
        threads: of one operator; part of what makes results repeatable.

    Yields:
        For each batch, output name to array `(n_batch_rows, ...)`, in the graph's order.

    Raises:
        SpecError: onnxruntime can't load the model, or it does not take or give what it should.
    """
    session = _open(model_path, threads)
    names = [output.name for output in session.get_outputs()]
    for feed in feeds:
        n_rows = len(next(iter(feed.values())))
        try:
            found = session.run(names, dict(feed))
        except _FAULTS as error:
            raise SpecError(
                f"the model can't predict a batch of {n_rows} rows: {_first_line(error)}",
                hint="its inputs must be those of its signature, with a dynamic first axis",
            ) from error
        yield {name: _checked(name, array, n_rows) for name, array in zip(names, found, strict=True)}


def input_names(model_path: Path) -> tuple[str, ...]:
    """Names of the graph's inputs, in order.

    Raises:
        SpecError: onnxruntime can't load the model.
    """
    return tuple(item.name for item in _open(model_path, 1).get_inputs())


def _open(model_path: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(str(model_path), options, providers=["CPUExecutionProvider"])
    except (*_FAULTS, faults.NoSuchFile) as error:
        raise SpecError(
            f"onnxruntime can't load the model: {_first_line(error)}",
            hint="export it again, with an opset that onnxruntime knows",
        ) from error


def _checked(name: str, array: object, n_rows: int) -> AnyArray:
    if not isinstance(array, np.ndarray):
        raise SpecError(
            f"output {name} of the model is a {type(array).__name__}, expected a tensor",
            hint="export it without ZipMap",
        )
    if array.ndim == 0 or len(array) != n_rows:
        raise SpecError(
            f"output {name} of the model has the shape {array.shape} for {n_rows} rows",
            hint="the first axis of every output must be the rows",
        )
    return array


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300]
