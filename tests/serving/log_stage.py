"""What tests of the log share: a log in a folder, its rows, and waiting without sleeping long."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fiat.serving.log_buffer import LabelLog, PredictionLog
from fiat.serving.log_pipe import LogPipe, writer_command
from fiat.serving.release import LogPlan

DIGEST = "0123456789abcdef0123456789abcdef.dir"


@dataclass(frozen=True)
class ServiceLog:
    """The log of one server process.

    Attributes:
        predictions: takes answered requests.
        labels: takes labels.
        pipe: to the writer; `pipe.flush()` twice a second, `pipe.close()` at the end.
    """

    predictions: PredictionLog
    labels: LabelLog
    pipe: LogPipe


def open_log(folder: Path, worker: int, plan: LogPlan) -> ServiceLog:
    """The log of a service's folder; its writer starts with the first `flush`.

    Args:
        folder: of the service (`fiat.serving.place`): files go into `predictions/` and `labels/` there.
        worker: number of the server process.
        plan: what is kept. For another plan: close this log and open another one.
    """
    pipe = LogPipe(writer_command(folder, worker, keep_s=plan.keep_s, max_bytes=plan.max_bytes))
    return ServiceLog(PredictionLog(pipe, plan), LabelLog(pipe), pipe)


def matrix_log(folder: Path, plan: LogPlan | None = None, features: int = 4, worker: int = 0) -> ServiceLog:
    """A log that knows DIGEST as a model of one matrix input with features `f0`, `f1`, ..."""
    log = open_log(folder, worker, plan or LogPlan())
    names = [f"f{place}" for place in range(features)]
    log.predictions.learn(DIGEST, inputs=["features"], features=names, layout="matrix")
    return log


def offer(
    log: ServiceLog, request_id: str, *, n_rows: int = 1, features: int = 4, label: str = "cat"
) -> bool:
    """Offer a request whose first feature is its row number."""
    given = np.tile(np.arange(features, dtype=np.float32), (n_rows, 1))
    given[:, 0] = np.arange(n_rows)
    answers = {
        "label": np.array([label] * n_rows, object),
        "probabilities": np.tile(np.array([[0.25, 0.75]], np.float32), (n_rows, 1)),
        "logits": np.zeros((n_rows, 2), np.float32),
    }
    return log.predictions.offer(request_id, "1", DIGEST, {"features": given}, answers, 321)


def rows(folder: Path) -> pa.Table:
    """All rows of a folder of the log, in the order of the files' names."""
    tables = [pq.ParquetFile(path).read() for path in sorted(folder.glob("*.parquet"))]
    return pa.concat_tables(tables) if tables else pa.table({})


def until(true: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Wait until something is true; False when it is not in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return False
