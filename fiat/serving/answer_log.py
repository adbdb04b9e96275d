"""The logs of a server's models: opened when a manifest asks for one, changed with its plan, closed with the server."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fiat.serving.loaded import LoadedVersion
from fiat.serving.log_buffer import LabelLog, PredictionLog
from fiat.serving.log_pipe import LogPipe, writer_command
from fiat.serving.release import LogPlan

_END_S = 5.0


@dataclass(frozen=True)
class AnswerLog:
    """What writes down one model's requests and labels.

    Attributes:
        plan: what is kept.
        pipe: to the writer.
        predictions: takes requests.
        labels: takes labels.
    """

    plan: LogPlan
    pipe: LogPipe
    predictions: PredictionLog
    labels: LabelLog


class AnswerLogs:
    """Logs of the models. Of the event loop.

    Args:
        worker: number of this process.
        clock: seconds since 1970.
    """

    def __init__(self, worker: int, clock: Callable[[], float]) -> None:
        self._worker, self._clock = worker, clock
        self._logs: dict[str, AnswerLog] = {}
        self._dropped: dict[str, int] = {}
        self._ending: list[tuple[str, LogPipe, threading.Thread]] = []

    def of(self, model: str) -> AnswerLog | None:
        """The log of a model; None when it has none."""
        return self._logs.get(model)

    def follow(self, model: str, plan: LogPlan | None, folder: Path | None) -> None:
        """Bring a model's log to a plan.

        Args:
            model: its name.
            plan: what is kept; None ends the log.
            folder: of the service; None has no log.
        """
        old = self._logs.get(model)
        if plan is None or folder is None:
            self._end(model)
        elif old is None or (old.plan.keep_s, old.plan.max_bytes) != (plan.keep_s, plan.max_bytes):
            self._end(model)
            command = writer_command(folder, self._worker, keep_s=plan.keep_s, max_bytes=plan.max_bytes)
            pipe = LogPipe(command)
            self._logs[model] = self._over(pipe, plan)
        elif old.plan != plan:
            # Who samples and redacts is the buffer; the writer goes on.
            self._logs[model] = self._over(old.pipe, plan)

    def learn(self, model: str, loaded: LoadedVersion) -> None:
        """Make a version known to the model's log, before its first request is offered."""
        log = self._logs.get(model)
        if log is not None:
            log.predictions.learn(
                loaded.version.digest,
                inputs=[tensor.name for tensor in loaded.info.inputs],
                features=loaded.info.features,
                layout=loaded.info.layout,
            )

    def flush(self) -> None:
        """Send what waits; twice a second."""
        for log in self._logs.values():
            log.pipe.flush()
        self._bury()

    def dropped(self, model: str) -> int:
        """Predictions and labels that were not written down."""
        log = self._logs.get(model)
        ending = sum(pipe.dropped for name, pipe, _ in self._ending if name == model)
        return self._dropped.get(model, 0) + ending + (log.pipe.dropped if log else 0)

    def close(self) -> None:
        """Send what waits and end the writers, all at once."""
        for model in tuple(self._logs):
            self._end(model)
        for _, _, thread in self._ending:
            thread.join(2 * _END_S)
        self._bury()

    def _end(self, model: str) -> None:
        log = self._logs.pop(model, None)
        if log is not None:
            # Its writer writes all its files first: the event loop must not wait for that.
            thread = threading.Thread(target=log.pipe.close, args=(_END_S,), name=f"log {model}", daemon=True)
            thread.start()
            self._ending.append((model, log.pipe, thread))

    def _bury(self) -> None:
        ended = [item for item in self._ending if not item[2].is_alive()]
        for model, pipe, _ in ended:
            self._dropped[model] = self._dropped.get(model, 0) + pipe.dropped
        self._ending = [item for item in self._ending if item not in ended]

    def _over(self, pipe: LogPipe, plan: LogPlan) -> AnswerLog:
        return AnswerLog(
            plan, pipe, PredictionLog(pipe, plan, clock=self._clock), LabelLog(pipe, clock=self._clock)
        )
