"""The course of a study: which trials there are, which comes next, what each said. Knows nothing of Ray."""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from fiat.builtin.study_ledger import Ledger, Trial
from fiat.builtin.study_sampler import Choosing, Sampler
from fiat.builtin.study_telling import Teller, silent_text
from fiat.builtin.study_verdict import best_of
from fiat.ports.compute import Job
from fiat.spec.search_space import n_combinations

_KEEP_EVERY_S = 1.0
_LAST_LINES = 5

Values = tuple[tuple[int | None, float], ...]


@dataclass
class _Live:
    """A trial that runs: what it said before it went on and since then, and when that was last written down."""

    trial: Trial
    earlier: Values
    began_at_s: float
    kept_at_s: float
    fresh: Values = ()

    def add(self, values: Values) -> None:
        """Add what it says; when that begins again, it went on from a checkpoint."""
        last, first = self.fresh[-1:], values[:1]
        if last and first and last[0][0] is not None and (first[0][0] or 0) <= last[0][0]:
            self.earlier, self.fresh = _joined(self.earlier, self.fresh), ()
        self.fresh += values
        self.trial = replace(self.trial, values=_joined(self.earlier, self.fresh))


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
        self._teller = Teller(job)
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
        self._ledger.write_about(job.id, self.n_all)

    @property
    def trials(self) -> list[Trial]:
        """All trials, by number."""
        return sorted(self._trials.values(), key=lambda trial: trial.number)

    @property
    def live(self) -> tuple[str, ...]:
        """Digests of the trials that run."""
        return tuple(self._live)

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
        now_s = self._clock()
        self._live[trial.digest] = _Live(trial, trial.values, now_s, now_s)
        self._keep(replace(trial, state="running"))
        return trial

    def take(self, digest: str, said: Mapping[str, object]) -> None:
        """Add values of a running trial."""
        live = self._live[digest]
        live.add(_pairs(said["values"]))
        self._trials[digest] = live.trial
        if self._clock() - live.kept_at_s >= _KEEP_EVERY_S:
            live.kept_at_s = self._clock()
            self._keep(live.trial)

    def stop(self, digest: str) -> None:
        """A trial was ended for being poor."""
        live = self._live.pop(digest)
        self._end(replace(live.trial, state="stopped", seconds=self._clock() - live.began_at_s))

    def end(self, digest: str, said: Mapping[str, object]) -> None:
        """A trial ended by itself.

        Args:
            digest: which.
            said: see `StudyTrial`.
        """
        live = self._live.pop(digest)
        self._add_usage(said)
        if said["mend"]:
            self.machine.mend, self.machine.reason = str(said["mend"]), str(said["reason"])
            return  # it is not the fault of the trial, which has not ended
        values = _joined(live.earlier, _pairs(said["values"]))
        reason = str(said["reason"])
        if said["state"] == "done" and not values:
            reason = silent_text(self.study.metric, said["metrics"])
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
        if trial.state == "done" and self._job.checkpoints:
            # Nobody goes on from there, and those of all trials together would fill a disk.
            shutil.rmtree(self._job.checkpoints / trial.digest, ignore_errors=True)
        self._teller.tell_end(trial, best_of(self.trials, self.study.mode), self.n_all)

    def say(self, sentence: str) -> None:
        """Add a line to the log of the study."""
        self._teller.say(f"[fiat] {sentence}")

    def _keep(self, trial: Trial) -> None:
        self._trials[trial.digest] = trial
        self._ledger.write(trial)

    def _add_usage(self, said: Mapping[str, object]) -> None:
        machine = self.machine
        machine.peak_memory_bytes = max(machine.peak_memory_bytes, int(str(said["peak_memory_bytes"])))
        gpus, usage = said["gpus"], _mapping(said["usage"])
        machine.gpus |= set(map(str, gpus)) if isinstance(gpus, list | tuple) else set()
        for name, number in usage.items():
            machine.usage[name] = max(machine.usage.get(name, 0.0), float(str(number)))


def _again(trial: Trial) -> Trial:
    return replace(trial, state="running", reason="")


def _joined(earlier: Values, fresh: Values) -> Values:
    """Values of a trial that went on from a checkpoint: those before it, then the new ones."""
    first = fresh[0][0] if fresh else None
    if first is None:
        return fresh
    return (*(pair for pair in earlier if pair[0] is not None and pair[0] < first), *fresh)


def _pairs(value: object) -> Values:
    assert isinstance(value, list | tuple)  # noqa: S101 - as `StudyTrial` wrote it
    return tuple((step, float(number)) for step, number in value)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
