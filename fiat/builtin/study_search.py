"""Between a study and Ray Tune: who is asked for the next trial, who may stop one, who ends them all."""

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any, Literal, Self

from ray.tune import Stopper
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    MedianStoppingRule,
    TrialScheduler,
)
from ray.tune.search import Searcher

from fiat.builtin.gpu_pool import GpuPool
from fiat.builtin.ray_task import cancel_path
from fiat.builtin.study_course import Course
from fiat.builtin.study_gpus import GpuDesk
from fiat.builtin.study_job import trial_place
from fiat.builtin.study_ledger import Trial
from fiat.builtin.study_trainable import GRANT, OBJECTIVE, PARAMS, REPORTS, SAID, grant_text
from fiat.ports.compute import Job

_KEPT_RATIO = 3  # of the trials at each rung one in three goes on
_LONGEST_REPORTS = _KEPT_RATIO**12


class _Ours:
    """What Tune may neither copy nor write down: it would lose its ties to the study, and the ledger remembers."""

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {}


class StudySearch(_Ours, Searcher):
    """Gives Tune the trials of a course, and the course what Tune hears of them.

    Attributes:
        course: that it is of.
        grants: whether each trial is given its GPUs with it.
    """

    def __init__(self, job: Job, course: Course, end: "StudyEnd", pool: GpuPool | None) -> None:
        super().__init__()
        self._job = job
        self._end = end
        self.course = self._course = course
        self.grants = pool is not None
        self._desk = GpuDesk(job, pool)
        self._digests: dict[str, str] = {}

    def suggest(self, trial_id: str) -> Any:
        """The next trial; None while it waits for GPUs, FINISHED when there are no more."""
        # Tune looks for its end in vain while it waits here for the first trial.
        if self._end.stop_all() or not self._course.has_more():
            self._desk.close()
            return Searcher.FINISHED
        if not self._desk.ready():
            return None
        trial = self._course.next()
        if trial is None:
            self._desk.close()
            return Searcher.FINISHED
        self._digests[trial_id] = trial.digest
        grant = self._desk.give(trial.digest)
        return {PARAMS: json.dumps(dict(trial.params)), GRANT: grant_text(grant)}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """A value came; see the base."""
        said = json.loads(result[SAID])
        if "state" not in said:
            self._course.take(self._digests[trial_id], said)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A trial ended, or was ended; see the base."""
        digest = self._digests.get(trial_id)
        if digest is None:
            return
        said = json.loads(result[SAID]) if result else {}
        self._desk.take_back(digest)
        if "state" in said:
            self._course.end(digest, said)
            return
        # Its process may be kept for another trial, which would let the child of this one run on until then.
        end_child(self._job, digest)
        if self._course.over:
            return
        if error:
            self._course.lose(digest)
        elif said:
            self._course.take(digest, said)
            self._course.stop(digest)

    def close(self) -> None:
        """Give back what is still held for trials."""
        self._desk.end()

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger remembers."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see `save`."""


def end_child(job: Job, digest: str) -> None:
    """Ask the child of a trial to end, wherever it runs; nothing when there is none any more."""
    with contextlib.suppress(OSError):
        cancel_path(trial_place(job, digest)).touch()


class StudyEnd(_Ours, Stopper):
    """Ends a study that was cancelled, took too long, or is on a machine that can run none of its trials."""

    def __init__(
        self, job: Job, course: Course, cancelled: Event, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._job = job
        self._course = course
        self._cancelled = cancelled
        self._clock = clock
        limit_s = course.study.timeout_s
        self._end_at_s = None if limit_s is None else clock() + limit_s
        self.timed_out = False

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never ends a single trial."""
        return False

    def stop_all(self) -> bool:
        """Whether all trials shall end; see the base."""
        if self._end_at_s is not None and self._clock() >= self._end_at_s:
            self.timed_out = True
        wanted = self.timed_out or self._cancelled.is_set() or bool(self._course.machine.mend)
        if wanted and not self._course.over:
            self._course.over = True
            for digest in self._course.live:
                end_child(self._job, digest)
        return self._course.over


@dataclass(frozen=True)
class _Earlier:
    """A trial of an earlier attempt, as schedulers know trials."""

    trial_id: str


class _NoTrials:
    """A Tune without live trials, as schedulers ask it."""

    def get_live_trials(self) -> list[object]:
        """None."""
        return []


def make_scheduler(
    stop: Literal["asha", "median", "none"], mode: Literal["max", "min"], earlier: Sequence[Trial]
) -> TrialScheduler:
    """What ends poor trials, having seen the trials of earlier attempts.

    Args:
        stop: which rule.
        mode: whether a large or a small value is good.
        earlier: trials that have ended.
    """
    scheduler: TrialScheduler
    if stop == "asha":
        scheduler = AsyncHyperBandScheduler(
            time_attr=REPORTS,
            metric=OBJECTIVE,
            mode=mode,
            max_t=_LONGEST_REPORTS,
            grace_period=1,
            reduction_factor=_KEPT_RATIO,
            stop_last_trials=False,
        )
    elif stop == "median":
        # A trial that can't be judged yet goes on: Tune would pause it, and our children can't be.
        scheduler = MedianStoppingRule(
            time_attr=REPORTS,
            metric=OBJECTIVE,
            mode=mode,
            grace_period=1,
            min_time_slice=float("inf"),  # type: ignore[arg-type]  # nothing below it holds a trial off for ever
        )
    else:
        return FIFOScheduler()  # type: ignore[no-untyped-call]  # Ray's own gap
    for trial in earlier:
        _replay(scheduler, trial)
    return scheduler


def _replay(scheduler: TrialScheduler, trial: Trial) -> None:
    known: Any = _Earlier(trial.digest)
    tune: Any = _NoTrials()
    scheduler.on_trial_add(tune, known)
    for reports, (_, value) in enumerate(trial.values, 1):
        scheduler.on_trial_result(tune, known, {REPORTS: reports, OBJECTIVE: value})
