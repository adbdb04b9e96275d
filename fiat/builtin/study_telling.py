"""What the log of a study says of its trials: a line for programs and one for people each."""

import math
from pathlib import Path

from fiat.builtin.study_job import trial_place
from fiat.builtin.study_ledger import Trial
from fiat.builtin.study_line import TrialLine, trial_text
from fiat.builtin.study_verdict import number_text, params_text
from fiat.ports.compute import Job

_LAST_LINES = 5
_LAST_BYTES = 1 << 16


class Teller:
    """Writes to the log of one study."""

    def __init__(self, job: Job) -> None:
        assert job.study is not None  # noqa: S101 - only studies have trials
        self._job = job
        self._metric = job.study.metric

    def say(self, *lines: str) -> None:
        """Add lines."""
        text = "".join(f"{line}\n" for line in lines)
        with open(self._job.log_path, "ab") as file:
            file.write(text.encode("utf-8", "replace"))

    def tell_end(self, trial: Trial, best: Trial | None, n_all: int) -> None:
        """Say how a trial ended.

        Args:
            trial: that ended.
            best: of all so far; None when none has a value.
            n_all: how many there will be in all.
        """
        line = TrialLine(trial.number, n_all, trial.state, _number(trial), _number(best))
        value = f": {self._metric} {number_text(trial.value)}" if trial.value is not None else ""
        why = f" ({trial.reason})" if trial.reason else ""
        sentence = f"[fiat] trial {trial.number} {trial.state}{value}{why}; {params_text(trial.params)}"
        self.say(trial_text(line), sentence, *self._last_lines(trial))

    def _last_lines(self, trial: Trial) -> tuple[str, ...]:
        """The end of the log of a trial that failed: people look at the log of the study first."""
        if trial.state != "failed":
            return ()
        lines = _tail(trial_place(self._job, trial.digest).log_path)
        return tuple(f"  trial {trial.number} | {line}" for line in lines[-_LAST_LINES:])


def silent_text(metric: str, logged: object) -> str:
    """Why a trial without the metric failed, with the names of what it logged."""
    names = ", ".join(map(str, logged)) if isinstance(logged, list) and logged else "nothing"
    return f"it did not log {metric}, which the search is after; it logged {names}"


def endless_text(metric: str, value: float) -> str:
    """Why a trial whose last value is no number failed."""
    return f"its last {metric} is {value}, and no trial can be chosen by that"


def _number(trial: Trial | None) -> float:
    return math.nan if trial is None or trial.value is None else trial.value


def _tail(path: Path) -> list[str]:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - _LAST_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
