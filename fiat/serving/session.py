"""One version of a model in memory: an onnxruntime session that was tried, and how long its runs take."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from fiat.errors import EnvironmentFault

AnyArray = npt.NDArray[Any]
Feed = Mapping[str, AnyArray]
FAULTS = (
    *(
        faults.Fail,
        faults.InvalidArgument,
        faults.InvalidGraph,
        faults.InvalidProtobuf,
        faults.NotImplemented,
    ),
    *(faults.RuntimeException, faults.EPFail, RuntimeError, ValueError, TypeError, MemoryError),
)
_PREFERRED = ("CUDAExecutionProvider", "CPUExecutionProvider")
_TRIALS = 5
_WIDE = 8
_FASTER, _SLOWER = 0.1, 1.002
_DTYPES = {"float": "float32", "double": "float64", "string": "object", "bool": "bool"}


class RunFault(Exception):
    """The model did not answer a request that has the form it asks for.

    Attributes:
        by_values: the runtime says that the values or free sizes of the inputs are to blame.
    """

    def __init__(self, message: str, *, by_values: bool) -> None:
        super().__init__(message)
        self.message = message
        self.by_values = by_values


@dataclass
class Cost:
    """How long a run takes, as a straight line over its rows; kept in step with what is measured.

    Attributes:
        fixed_s: seconds of a run.
        row_s: seconds of each row.
        scale: how much slower it is now than when it was tried; about the tenth part of all runs take less.
    """

    fixed_s: float = 0.0
    row_s: float = 0.0
    scale: float = 1.0

    def of(self, n_rows: int) -> float:
        """Seconds that a run of so many rows should take."""
        return self.scale * (self.fixed_s + self.row_s * n_rows)

    def learn(self, n_rows: int, seconds: float) -> None:
        """A run took so long."""
        expected = self.fixed_s + self.row_s * n_rows
        ratio = seconds / expected if expected > 0 else 1.0
        # Other processes make runs slower, never faster: what is followed is how long they take when left alone.
        if ratio < self.scale:
            self.scale += _FASTER * (ratio - self.scale)
        else:
            self.scale *= _SLOWER


class Session:
    """A loaded graph; may be run by several threads at once.

    Args:
        graph: bytes of the ONNX file.
        threads: of one operator.

    Attributes:
        inputs: names in order.
        outputs: names in order.
        providers: of onnxruntime that run it.
        cost: of its runs.
        run_s: seconds of all runs.
        joinable: rows of several requests may be predicted in one run: each row's answer depends on that row alone.

    Raises:
        EnvironmentFault: onnxruntime can't load it.
    """

    def __init__(self, graph: bytes, *, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 4
        # A thread that spins between runs takes the core from whoever decodes the next request.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        available = ort.get_available_providers()
        chosen = [name for name in _PREFERRED if name in available]
        try:
            self._session = _opened(graph, options, chosen)
        except FAULTS as error:
            raise EnvironmentFault(
                f"onnxruntime can't load the model: {_first_line(error)}", hint="package it again"
            ) from error
        # The public method looks at its arguments once more, which takes as long as a small model; they were looked at.
        self._run = getattr(self._session, "_sess", self._session).run
        self.providers = tuple(self._session.get_providers())
        self.inputs = tuple(item.name for item in self._session.get_inputs())
        self.outputs = tuple(item.name for item in self._session.get_outputs())
        self._names = list(self.outputs)
        self.cost = Cost()
        self.joinable = False
        self.run_s = 0.0

    def run(self, feed: Feed, n_rows: int, options: ort.RunOptions | None = None) -> dict[str, AnyArray]:
        """Predict.

        Args:
            feed: input name to array `(n_rows, ...)` of the input's type.
            n_rows: rows, for what is learned of its cost.
            options: lets another thread end the run.

        Returns:
            Output name to array.

        Raises:
            RunFault: the model did not answer.
        """
        started = perf_counter()
        try:
            found = self._run(self._names, feed, options)
        except FAULTS as error:
            raise RunFault(_first_line(error), by_values=isinstance(error, faults.InvalidArgument)) from error
        seconds = perf_counter() - started
        self.run_s += seconds
        self.cost.learn(n_rows, seconds)
        return dict(zip(self._names, found, strict=True))

    def warm_up(self, row: Feed | None) -> dict[str, AnyArray] | None:
        """Try the model, learn what it costs, and whether requests may be joined.

        Args:
            row: inputs of one row that it must answer; None for zeros, which it may refuse when it has free sizes.

        Returns:
            Its answer for one row; None when it refused zeros of guessed sizes.

        Raises:
            EnvironmentFault: it does not answer.
        """
        guessed = row is None and self._has_free_sizes()
        feed = dict(self._zeros() if row is None else row)
        try:
            answer = self.run(feed, 1)
            self._measure(feed)
        except RunFault as error:
            if guessed:
                return None
            raise EnvironmentFault(
                f"the model does not answer its warm-up: {error.message}", hint="the gate `probe` finds this"
            ) from error
        self.run_s = 0.0
        return answer

    def _measure(self, feed: Feed) -> None:
        one, one_s = self._timed(feed, 1)
        wide_feed = {name: np.repeat(array, _WIDE, axis=0) for name, array in feed.items()}
        # The first row stays; the others differ where they can, so that a row that looks at its neighbours is found out.
        for array in wide_feed.values():
            if array.dtype.kind == "f":
                array[1:] += np.asarray(1, array.dtype)
        try:
            wide, wide_s = self._timed(wide_feed, _WIDE)
        except RunFault:
            self.cost = Cost(one_s, one_s)
            return
        row_s = max(0.0, (wide_s - one_s) / (_WIDE - 1))
        self.cost = Cost(max(one_s - row_s, one_s / 10), row_s)
        self.joinable = all(_is_row_of(one[name], wide[name]) for name in self._names)

    def _timed(self, feed: Feed, n_rows: int) -> tuple[dict[str, AnyArray], float]:
        times = []
        for _ in range(_TRIALS):
            started = perf_counter()
            answer = self.run(feed, n_rows)
            times.append(perf_counter() - started)
        return answer, min(times)

    def _has_free_sizes(self) -> bool:
        return any(
            not isinstance(size, int) for item in self._session.get_inputs() for size in item.shape[1:]
        )

    def _zeros(self) -> dict[str, AnyArray]:
        feed = {}
        for item in self._session.get_inputs():
            shape = [size if isinstance(size, int) and size > 0 else 1 for size in item.shape]
            kind = item.type.removeprefix("tensor(").removesuffix(")")
            feed[item.name] = np.full(shape, "" if kind == "string" else 0, dtype=_DTYPES.get(kind, kind))
        return feed


def _opened(graph: bytes, options: ort.SessionOptions, providers: list[str]) -> ort.InferenceSession:
    """A session of a graph, read from a file in memory.

    Of bytes onnxruntime makes a copy while it holds the interpreter, and nobody is answered: a second for each gigabyte.
    """
    try:
        file = os.fdopen(os.memfd_create("graph"), "wb")
    except (AttributeError, OSError):
        return ort.InferenceSession(graph, options, providers=providers)
    with file:
        file.write(graph)
        file.flush()
        path = Path(f"/proc/self/fd/{file.fileno()}")
        return ort.InferenceSession(str(path) if path.exists() else graph, options, providers=providers)


def _is_row_of(one: AnyArray, wide: AnyArray) -> bool:
    if (
        one.ndim == 0
        or wide.ndim == 0
        or len(one) != 1
        or len(wide) != _WIDE
        or one.shape[1:] != wide.shape[1:]
    ):
        return False
    if one.dtype.kind == "f":
        return bool(np.allclose(one[0], wide[0], rtol=1e-3, atol=1e-5, equal_nan=True))
    return bool(np.all(one[0] == wide[0]))


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
