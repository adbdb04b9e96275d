"""What this process tells of itself, and what its siblings told last."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fiat.serving.answer_log import AnswerLogs
from fiat.serving.app import Application
from fiat.serving.counts import VersionCounts, WorkerCounts, read_workers
from fiat.serving.fleet import Fleet
from fiat.serving.served import ModelState

_MOST_GONE = 3
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Census:
    """Counts of a worker.

    Args:
        worker: its number.
        workers: how many there are.
        clock: seconds since 1970.
        fleet: its models.
        logs: where requests are written down.
    """

    def __init__(
        self, worker: int, workers: int, clock: Callable[[], float], fleet: Fleet, logs: AnswerLogs
    ) -> None:
        self._worker, self._workers, self._clock = worker, workers, clock
        self._fleet, self._logs = fleet, logs
        self._started_at = clock()
        self._app: Application | None = None
        self._folders: dict[str, Path] = {}
        self._written: dict[Path, WorkerCounts] = {}

    def attend(self, app: Application) -> None:
        """Count what an app does."""
        self._app = app

    def place(self, model: str, folder: Path) -> None:
        """Write a model's counts to a folder, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folders[model] = folder

    def own(self, models: Mapping[str, ModelState] | None = None) -> WorkerCounts:
        """What this process tells, of some models or of all."""
        chosen = self._fleet.models if models is None else models
        app = self._app
        return WorkerCounts(
            worker=self._worker,
            pid=os.getpid(),
            started_at=self._started_at,
            written_at=self._clock(),
            serial=max((state.serial for state in chosen.values()), default=0),
            memory_bytes=_memory_bytes(),
            in_flight=app.in_flight if app else 0,
            queued=app.predictor.gate.queued if app else 0,
            log_dropped=sum(self._logs.dropped(model) for model in chosen),
            versions={name: _versions(state) for name, state in chosen.items()},
        )

    def everybody(self) -> Sequence[WorkerCounts]:
        """What this process tells, and what its siblings told last."""
        found = {self._worker: self.own()}
        for folder in dict.fromkeys(self._folders.values()):
            for item in read_workers(folder):
                if item.worker == self._worker or item.worker >= self._workers:
                    continue
                known = found.get(item.worker)
                versions = {**known.versions, **item.versions} if known else item.versions
                found[item.worker] = replace(item, versions=versions)
        return list(found.values())

    def write(self) -> None:
        """Write the counts that changed since the last time."""
        groups: dict[Path, dict[str, ModelState]] = {}
        for name, state in self._fleet.models.items():
            if name in self._folders:
                groups.setdefault(self._folders[name], {})[name] = state
        for folder, models in groups.items():
            counts = self.own(models)
            before = self._written.get(folder)
            if before is None or _apart_from_clock(counts) != _apart_from_clock(before):
                counts.write(folder)
                self._written[folder] = counts


def _apart_from_clock(counts: WorkerCounts) -> WorkerCounts:
    return replace(counts, written_at=0.0, memory_bytes=counts.memory_bytes >> 20)


def _versions(state: ModelState) -> tuple[VersionCounts, ...]:
    found = []
    served = state.served.versions if state.served else {}
    for running in served.values():
        version, tally = running.loaded.version, running.loaded.tally
        found.append(
            VersionCounts(version.name, version.digest, "ready", "", running.loaded.load_s, tally.counts())
        )
    known = {item.digest for item in found}
    found += [
        VersionCounts(version.name, version.digest, "loading")
        for version in state.loading
        if version.digest not in known
    ]
    found += [
        VersionCounts(item.version.name, item.version.digest, "failed", item.reason) for item in state.refused
    ]
    for gone in list(state.gone.values())[-_MOST_GONE:]:
        version = gone.version
        if version.digest not in known:
            found.append(
                VersionCounts(version.name, version.digest, "draining", "", gone.load_s, gone.tally.counts())
            )
    return tuple(found)


def _memory_bytes() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE_BYTES
