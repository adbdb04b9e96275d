"""The course of a study: which trials there are, which comes next, what each said. Knows nothing of Ray."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fiat.builtin.study_job import trial_place
from fiat.builtin.study_ledger import Ledger, Trial
from fiat.builtin.study_line import TrialLine, trial_text
from fiat.builtin.study_sampler import Choosing, Sampler
from fiat.builtin.study_verdict import best_of, number_text, params_text
from fiat.ports.compute import Job
from fiat.spec.search_space import n_combinations

_KEEP_EVERY_S = 1.0
_LAST_LINES = 5


@dataclass
class _Live:
    """A trial that runs: what it said before it went on, and when that was last written down."""

    trial: Trial
    earlier: tuple[tuple[int | None, float], ...]
    kept_at_s: float


@dataclass
class Machine:
    """What the trials of this attempt used, all of them together.

    Attributes:
        peak_memory_bytes: largest memory of one trial.
        gpus: ids of all GPUs that any was given.
        usage: largest of each number, see `JobResult.usage`.
        mend: what to do on the machine, when it can run no trial at all.
        reason: why it can't.
    """

    peak_memory_bytes: int = 0
    gpus: set[str] = field(default_factory=set)
    usage: dict[str, float] = field(default_factory=dict)
    mend: str = ""
    reason: str = ""


class Course:
    """All trials of a study from its first attempt on. Not thread-safe: Tune's loop alone asks and tells."""

    def __init__(self, job: Job, clock: Callable[[], float] = time.monotonic) -> None:
        """Read what earlier attempts left.

        Args:
            job: with a study.
            clock: seconds that only grow.
        """
        assert job.study is not None  # noqa: S101 - only studies have a course
        study = self.study = job.study
        self.machine = Machine()
        self.over = False
        self._job = job
        self._clock = clock
        self._ledger = Ledger(study.ledger)
        self._trials = {trial.digest: trial for trial in self._ledger.trials()}
        self._live: dict[str, _Live] = {}
        if not any(trial.state in ("done", "stopped") for trial in self._trials.values()):
            # None was good: whatever made them all fail may be mended by now.
            self._trials = {key: _again(trial) for key, trial in self._trials.items()}
        self.n_earlier = sum(trial.state != "running" for trial in self._trials.values())
        self._unended = [key for key, trial in self._trials.items() if trial.state == "running"]
        self._sampler = Sampler(study.space, Choosing(study.sampler, study.mode, study.seed, study.trials))
        self._n_all = study.trials
        if study.sampler == "grid":
            self._n_all = n_combinations(study.space, study.trials)

    @property
    def trials(self) -> list[Trial]:
        """All trials, by number."""
        return sorted(self._trials.values(), key=lambda trial: trial.number)

    @property
    def n_all(self) -> int:
        """How many trials there will be in all."""
        return max(self._n_all, self.n_earlier)

    def has_more(self) -> bool:
        """Whether another trial is to be begun."""
        return not (self.over or self.machine.mend) and len(self._trials) - len(self._unended) < self.n_all

    def next(self) -> Trial | None:
        """Begin a trial: first those that were begun earlier and did not end, then others; None when there are no more."""
        if not self.has_more():
            return None
        if self._unended:
            trial = self._trials[self._unended.pop(0)]
        else:
            params = self._sampler.next(self.trials)
            if params is None:
                self._n_all = len(self._trials)
                return None
            number = max((known.number for known in self._trials.values()), default=0) + 1
            trial = Trial(number, params)
        self._live[trial.digest] = _Live(trial, trial.values, self._clock())
        self._keep(replace(trial, state="running"))
        return trial

    def take(self, digest: str, said: Mapping[str, object]) -> None:
        """Add values of a running trial."""
        live = self._live[digest]
        live.trial = replace(
            live.trial, values=_joined(live.earlier, live.trial.values, _pairs(said["values"]))
        )
        live.earlier = ()
        self._trials[digest] = live.trial
        if self._clock() - live.kept_at_s >= _KEEP_EVERY_S:
            live.kept_at_s = self._clock()
            self._keep(live.trial)

    def stop(self, digest: str) -> None:
        """A trial was ended for being poor."""
        live = self._live.pop(digest)
        self._end(replace(live.trial, state="stopped"))

    def end(self, digest: str, said: Mapping[str, object]) -> None:
        """A trial ended by itself.

        Args:
            digest: which.
            said: see `StudyTrial`.
        """
        live = self._live.pop(digest)
        self._add_usage(said)
        if said["state"] == "cancelled" or said["mend"]:
            self.machine.mend = str(said["mend"] or "")
            self.machine.reason = str(said["reason"])
            return  # neither is the fault of the trial: it has not ended
        values = _joined(live.earlier, (), _pairs(said["values"]))
        reason = str(said["reason"])
        if said["state"] == "done" and not values:
            reason = self._silent(said)
        self._end(
            replace(
                live.trial,
                state="failed" if reason else "done",
                values=values,
                seconds=float(str(said["seconds"])),
                reason=reason,
                resumed=str(said["resumed"]),
                observed=_mapping(said["observed"]),
            )
        )

    def lose(self, digest: str) -> None:
        """The worker of a trial died, again and again."""
        live = self._live.pop(digest)
        self._end(replace(live.trial, state="failed", reason="the worker that ran it died"))

    def _end(self, trial: Trial) -> None:
        self._keep(trial)
        best = best_of(self.trials, self.study.mode)
        line = TrialLine(
            trial.number,
            self.n_all,
            trial.state,
            number_of(trial.value),
            number_of(best.value if best else None),
        )
        value = f": {self.study.metric} {number_text(trial.value)}" if trial.value is not None else ""
        why = f" ({trial.reason})" if trial.reason else ""
        sentence = f"[fiat] trial {trial.number} {trial.state}{value}{why}; {params_text(trial.params)}"
        self.say(trial_text(line), sentence, *self._last_lines(trial))

    def say(self, *lines: str) -> None:
        """Add lines to the log of the study."""
        text = "".join(f"{line}\n" for line in lines)
        with open(self._job.log_path, "ab") as file:
            file.write(text.encode("utf-8", "replace"))

    def _last_lines(self, trial: Trial) -> Sequence[str]:
        """The end of the log of a trial that failed: its folder of logs is not what people look at first."""
        if trial.state != "failed":
            return ()
        lines = _tail(trial_place(self._job, trial.digest).log_path)
        return [f"  trial {trial.number} | {line}" for line in lines[-_LAST_LINES:]]

    def _keep(self, trial: Trial) -> None:
        self._trials[trial.digest] = trial
        self._ledger.write(trial)

    def _silent(self, said: Mapping[str, object]) -> str:
        names = said["metrics"]
        logged = ", ".join(map(str, names)) if isinstance(names, list) and names else "nothing"
        return f"it did not log {self.study.metric}, which the search is after; it logged {logged}"

    def _add_usage(self, said: Mapping[str, object]) -> None:
        machine = self.machine
        machine.peak_memory_bytes = max(machine.peak_memory_bytes, int(str(said["peak_memory_bytes"])))
        gpus, usage = said["gpus"], _mapping(said["usage"])
        machine.gpus |= set(map(str, gpus)) if isinstance(gpus, list | tuple) else set()
        for name, number in usage.items():
            machine.usage[name] = max(machine.usage.get(name, 0.0), float(str(number)))


def number_of(value: float | None) -> float:
    """A value, NaN for none."""
    return float("nan") if value is None else value


def _again(trial: Trial) -> Trial:
    return replace(trial, state="running", reason="")


def _joined(
    earlier: tuple[tuple[int | None, float], ...],
    before: tuple[tuple[int | None, float], ...],
    new: tuple[tuple[int | None, float], ...],
) -> tuple[tuple[int | None, float], ...]:
    """Values of a trial that went on from a checkpoint: those before it, then the new ones."""
    first = new[0][0] if new else None
    if first is not None:
        earlier = tuple(pair for pair in earlier if pair[0] is not None and pair[0] < first)
        return (*earlier, *before, *new)
    return (*before, *new)


def _pairs(value: object) -> tuple[tuple[int | None, float], ...]:
    assert isinstance(value, list | tuple)  # noqa: S101 - as `StudyTrial` wrote it
    return tuple((step, float(number)) for step, number in value)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _tail(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
