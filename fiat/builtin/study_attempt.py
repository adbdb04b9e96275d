"""One trial on its way in a process of Ray: its child runs in a thread, its log is read as it grows."""

import json
import shutil
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from fiat.builtin.gpu_place import Grant
from fiat.builtin.ray_task import cancel_path, run_in_worker
from fiat.builtin.study_curve import Value
from fiat.builtin.study_job import trial_job, trial_place
from fiat.builtin.study_ledger import digest_of
from fiat.builtin.study_log import mark_beginning
from fiat.journal import read_metric
from fiat.ports.compute import Job, JobResult

_LOOK_S = 0.05
_ENDING_S = 8.0
_BACKLOG = 200
METRICS_BYTES = 4 << 20
_OURS = {"SpecError", "EnvironmentFault", "FiatError"}


class Attempt:
    """A trial that was begun. Not thread-safe: one thread asks."""

    def __init__(
        self, job: Job, params: Mapping[str, object], import_path: Sequence[str], grant: Grant | None
    ) -> None:
        """Start it.

        Args:
            job: of the study.
            params: of the trial.
            import_path: `sys.path` of whoever submitted the study.
            grant: its GPUs; None takes those that Ray gave to this process.

        Raises:
            OSError: the disk refused.
        """
        assert job.study is not None  # noqa: S101 - only studies have trials
        self._study = job.study
        # What a worker left that died with this trial is no part of its outputs.
        shutil.rmtree(trial_place(job, digest_of(params)).work_dir, ignore_errors=True)
        self._job = trial_job(job, params)
        mark_beginning(self._job.log_path, job.id)
        self._log = _Follower(self._job.log_path, job.study.metric)
        self._result: JobResult | None = None
        self._waiting: deque[Value] = deque()
        self._thread = threading.Thread(target=self._run, args=(tuple(import_path), grant), daemon=True)
        self._thread.start()

    def next(self) -> Value | None:
        """Wait for the next value of the metric; None when the trial has ended and all were given.

        Whoever is slower than a trial that reports very often is not given all of its values.
        """
        while not self._waiting:
            running = self._thread.is_alive()
            self._waiting += self._log.read()
            if not self._waiting:
                if not running:
                    return None
                self._thread.join(_LOOK_S)
        while len(self._waiting) > _BACKLOG:
            self._waiting.popleft()
        return self._waiting.popleft()

    def result(self) -> JobResult:
        """How it ended."""
        self._thread.join()
        assert self._result is not None  # noqa: S101 - the thread sets it whatever happens
        return self._result

    def values(self, result: JobResult) -> list[Value]:
        """All values of the metric, in order: what was logged, then what is in the trial's metrics files."""
        found: list[Value] = [
            (item.step, item.value) for item in result.metrics if item.name == self._study.metric
        ]
        for name in self._study.metric_files:
            value = _from_file(self._job.work_dir / "out" / name, self._study.metric)
            if value is not None:
                found.append((None, value))
        return found

    def cancel(self) -> None:
        """End its child, if it still runs, and remove its folder."""
        if self._thread.is_alive():
            cancel_path(self._job).touch()
            self._thread.join(_ENDING_S)
        shutil.rmtree(self._job.work_dir, ignore_errors=True)

    def _run(self, import_path: tuple[str, ...], grant: Grant | None) -> None:
        try:
            result = run_in_worker(self._job, import_path, gpus=grant)
        except Exception as error:
            result = JobResult("lost", f"a bug in Fiat: {type(error).__name__}: {error}")
        self._result = result


def reason_of(result: JobResult) -> str:
    """Why a trial failed: the error of its code where that is known, with the line that it came from."""
    error = result.result.get("error")
    if not isinstance(error, Mapping) or not error.get("message") or "class" in error:
        return result.reason
    kind = "" if error.get("type") in _OURS else f"{error.get('type', 'Error')}: "
    place = f" ({Path(str(error['file'])).name}:{error.get('line')})" if error.get("file") else ""
    return f"{kind}{error['message']}{place}"


class _Follower:
    """Reads what is added to a log, for one metric."""

    def __init__(self, path: Path, metric: str) -> None:
        self._path = path
        self._metric = metric
        self._rest = b""
        try:
            self._offset = path.stat().st_size
        except OSError:
            self._offset = 0

    def read(self) -> list[Value]:
        """Values on lines that are new."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                chunk = file.read()
        except OSError:
            return []
        self._offset += len(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        found = []
        for line in lines:
            metric = (
                read_metric(line.decode("utf-8", "replace")) if line.startswith(b"FIAT_METRIC ") else None
            )
            if metric and metric[0] == self._metric:
                found.append((metric[2], metric[1]))
        return found


def _from_file(path: Path, metric: str) -> float | None:
    try:
        if path.is_symlink() or path.stat().st_size > METRICS_BYTES:
            return None
        value = json.loads(path.read_text("utf-8")).get(metric)
        return None if value is None else float(value)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None
