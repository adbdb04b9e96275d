"""Logs of a runner's steps, piece by piece: where one lies, also that of a reused step."""

import os
from pathlib import Path

from fiat.run.model import Run, StepResult
from fiat.run.view import LogChunk
from fiat.store.store import Store


def read_log(store: Store, folder: Path, record: Run, step: StepResult, offset: int, limit: int) -> LogChunk:
    """A piece of a step's log.

    Args:
        store: knows who made a reused result.
        folder: of the store.
        record: of the run.
        step: of that run.
        offset: where it begins, in bytes; a negative one counts from the end.
        limit: most bytes.
    """
    over = step.state not in ("running", "waiting") or record.state != "running"
    try:
        with _log_path(store, folder, record, step).open("rb") as file:
            size_bytes = file.seek(0, os.SEEK_END)
            start = offset if offset >= 0 else max(0, size_bytes + offset)
            file.seek(start)
            data = file.read(limit)
            ended = over and not file.read(1)
    except OSError:
        return LogChunk(b"", max(0, offset), over)
    return LogChunk(data, start, ended)


def _log_path(store: Store, folder: Path, record: Run, step: StepResult) -> Path:
    path = folder / "runs" / record.id / f"{step.name}.log"
    if not path.exists() and step.state == "reused":
        result = store.results.find(step.fingerprint)
        other = store.queue.find(result.run) if result is not None else None
        own = store.queue.find(record.id)
        # Who may read one repository may not read what another one's step printed, were it the same step.
        if result is not None and other and own and other.repo == own.repo:
            return folder / "runs" / result.run / f"{result.step}.log"
    return path
