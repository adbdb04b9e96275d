"""The course of a study: which trials there are, which comes next, what each said. Knows nothing of Ray."""

import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from fiat.builtin.study_curve import Curve, Value
from fiat.builtin.study_job import trial_place
from fiat.builtin.study_ledger import Ledger, Trial
from fiat.builtin.study_log import said_before
from fiat.builtin.study_machine import Machine
from fiat.builtin.study_reads import Reads
from fiat.builtin.study_sampler import Choosing, Sampler
from fiat.builtin.study_telling import Teller, endless_text, silent_text
from fiat.builtin.study_verdict import best_of
from fiat.builtin.view_text import count
from fiat.ports.compute import Job
from fiat.spec.search_space import n_combinations

_KEEP_EVERY_S = 1.0


@dataclass
class _Live:
    """A trial that runs.

    Attributes:
        trial: as it was begun.
        earlier: what it had said before its child began.
        curve: what it has said up to now.
        began_at_s: by the clock of the course.
        began_s: seconds since 1970.
        kept_at_s: when that was last written down.
        seconds: how long its child has run, as that said last; None when it said nothing.
    """

    trial: Trial
    earlier: Curve
    curve: Curve
    began_at_s: float
    began_s: float
    kept_at_s: float
    fresh: bool = True
    seconds: float | None = None

    def add(self, values: list[Value], *, begins: bool) -> None:
        """Add what it says; a child that begins goes on from a checkpoint, or anew."""
        if begins or self.fresh:
            self.earlier, self.fresh = self.curve, False
            self.curve = self.earlier.before(values[0][0])
        self.curve.add(values)

    def place_of(self, values: list[Value], *, begins: bool) -> int:
        """How many there will be with these."""
        known = self.curve.before(values[0][0]) if begins or self.fresh else self.curve
        return known.n_reports + len(values)

    def standing(self, now_s: float) -> Trial:
        """The trial with its curve, and how long it ran."""
        seconds = now_s - self.began_at_s if self.seconds is None else self.seconds
        return replace(_with(self.trial, self.curve), seconds=seconds)


class Course:
    """All trials of a study from its first attempt on. Not thread-safe: Tune's loop alone asks and tells."""

    def __init__(
        self,
        job: Job,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Read what earlier attempts left.

        Args:
            job: with a study.
            clock: seconds that only grow.
            wall_clock: seconds since 1970, as the disk counts.
        """
        assert job.study is not None  # noqa: S101 - only studies have a course
        study = self.study = job.study
        self.machine = Machine()
        self.over = False
        self._job = job
        self._clock = clock
        self._wall_clock = wall_clock
        self._ledger = Ledger(study.ledger)
        self._teller = Teller(job)
        assert job.command is not None  # noqa: S101 - a study is of user code
        self._reads = Reads(job.command.cwd, study.code)
        self.edited = self._reads.edited()
        self._trials = {trial.digest: trial for trial in self._ledger.trials()}
        self._forget_stale()
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
        ends = self.over or self.machine.mend or self.edited
        return not ends and len(self._trials) - len(self._unended) < self.n_all

    def next(self) -> Trial | None:
        """Begin a trial: first those that were begun earlier and did not end, then others; None when there are no more."""
        if not self.has_more():
            return None
        if self._unended:
            trial = self._trials[self._unended.pop(0)]
            curve = self._said_before(trial)
        else:
            params = self._sampler.next(self.trials)
            if params is None:
                self._n_all = len(self._trials)
                return None
            number = max((known.number for known in self._trials.values()), default=0) + 1
            trial, curve = Trial(number, params), Curve()
        now_s = self._clock()
        self._live[trial.digest] = _Live(trial, curve, curve, now_s, self._wall_clock(), now_s)
        self._keep(replace(trial, state="running"))
        return trial

    def take(self, digest: str, said: Mapping[str, object]) -> None:
        """Add values of a running trial."""
        live = self._live[digest]
        live.add(_pairs(said["values"]), begins=bool(said.get("begins")))
        if "seconds" in said:
            live.seconds = float(str(said["seconds"]))
        now_s = self._clock()
        if now_s - live.kept_at_s >= _KEEP_EVERY_S:
            live.kept_at_s = now_s
            self._keep(replace(live.standing(now_s), state="running"))

    def place_of(self, digest: str, said: Mapping[str, object]) -> int:
        """How many values a running trial has said with these, also before it went on from a checkpoint."""
        return self._live[digest].place_of(_pairs(said["values"]), begins=bool(said.get("begins")))

    def stop(self, digest: str) -> None:
        """A trial was ended for being poor."""
        live = self._live.pop(digest)
        self._end(live, replace(live.standing(self._clock()), state="stopped"))

    def end(self, digest: str, said: Mapping[str, object]) -> None:
        """A trial ended by itself.

        Args:
            digest: which.
            said: see `StudyTrial`.
        """
        live = self._live.pop(digest)
        self.machine.add(said)
        if said["mend"]:
            return  # it is not the fault of the trial, which has not ended
        curve = self._whole_curve(live, said)
        reason = str(said["reason"])
        if said["state"] == "done" and not reason:
            reason = self._why_useless(curve, said["metrics"])
        ended = replace(
            _with(live.trial, curve),
            state="failed" if reason else "done",
            seconds=float(str(said["seconds"])),
            reason=reason,
            resumed=str(said["resumed"]),
            observed=_mapping(said["observed"]),
        )
        self._end(live, ended)

    def _whole_curve(self, live: _Live, said: Mapping[str, object]) -> Curve:
        values, known = _pairs(said["values"]), live.curve if said.get("begins") else live.earlier
        if not values:
            # It had a checkpoint of its end: there was nothing left to do, and nothing more to say.
            return known if self._job.checkpoints else Curve()
        curve = known.before(values[0][0])
        curve.add(values, int(str(said.get("n_reports", 0))))
        return curve

    def _said_before(self, trial: Trial) -> Curve:
        """What an unended trial said; what it said last is only in its log."""
        known = Curve(trial.values, trial.n_reports)
        logged = said_before(trial_place(self._job, trial.digest).log_path, self.study.metric)
        return logged if logged.n_reports >= known.n_reports else known

    def lose(self, digest: str) -> None:
        """The worker of a trial died, again and again."""
        live = self._live.pop(digest)
        lost = live.standing(self._clock())
        self._end(live, replace(lost, state="failed", reason="the worker that ran it died"))

    def _why_useless(self, curve: Curve, logged: object) -> str:
        """Why a trial that went well has no value to go by; empty when it has one."""
        if not curve.values:
            return silent_text(self.study.metric, logged)
        last = curve.values[-1][1]
        return "" if math.isfinite(last) else endless_text(self.study.metric, last)

    def _end(self, live: _Live, trial: Trial) -> None:
        self.edited = self._reads.edited()
        if self.edited:
            return  # nobody knows which code it ran: it has not ended
        trial = replace(trial, reads=self._reads.seen(trial.observed, live.began_s))
        self._keep(trial)
        if trial.state == "done" and self._job.checkpoints:
            # Nobody goes on from there, and those of all trials together would fill a disk.
            shutil.rmtree(self._job.checkpoints / trial.digest, ignore_errors=True)
        self._teller.tell_end(trial, best_of(self.trials, self.study.mode), self.n_all)

    def say(self, sentence: str) -> None:
        """Add a line to the log of the study."""
        self._teller.say(f"[fiat] {sentence}")

    def _forget_stale(self) -> None:
        """When a file that trials read has changed, those run again, and anew; of some nobody knows what they read."""
        if all(self._reads.same(trial.reads) for trial in self._trials.values()):
            return
        stale = [
            trial for trial in self._trials.values() if not trial.reads or not self._reads.same(trial.reads)
        ]
        for trial in stale:
            self._trials[trial.digest] = Trial(trial.number, trial.params)
            if self._job.checkpoints:
                shutil.rmtree(self._job.checkpoints / trial.digest, ignore_errors=True)
        self.say(f"files that earlier trials read have changed since: {count(len(stale), 'trial')} run anew")

    def _keep(self, trial: Trial) -> None:
        self._trials[trial.digest] = trial
        self._ledger.write(trial)


def _again(trial: Trial) -> Trial:
    return replace(trial, state="running", reason="", reads={})


def _with(trial: Trial, curve: Curve) -> Trial:
    values = curve.values
    return replace(trial, values=values, n_reports=curve.n_reports if curve.n_reports > len(values) else 0)


def _pairs(value: object) -> list[Value]:
    assert isinstance(value, list | tuple)  # noqa: S101 - as `StudyTrial` wrote it
    return [(step, float(number)) for step, number in value]


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
