"""Between a study and Ray Tune: who is asked for the next trial, who may stop one, who ends them all."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from threading import Event
from typing import Any

from ray.tune import Stopper
from ray.tune.search import Searcher

from fiat.builtin.gpu_pool import GpuPool
from fiat.builtin.job_tree import start_ticks
from fiat.builtin.ray_task import cancel_path
from fiat.builtin.study_course import Course
from fiat.builtin.study_gpus import GpuDesk
from fiat.builtin.study_job import trial_place
from fiat.builtin.study_scheduler import Uncopied
from fiat.builtin.study_trainable import GRANT, PARAMS, SAID, grant_text
from fiat.ports.compute import Job

MEND_DISK = "make room on that disk and run again: trials that have ended are kept"


class StudySearch(Uncopied, Searcher):
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
        trial = None
        with self._writing():
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
            with self._writing():
                self._course.take(self._digests[trial_id], said)

    def place_of(self, trial_id: str, result: Mapping[str, Any]) -> int:
        """How many values a trial has said up to a result; see `study_scheduler.PlaceOf`."""
        return self._course.place_of(self._digests[trial_id], json.loads(result[SAID]))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A trial ended, or was ended; see the base."""
        digest = self._digests.pop(trial_id, None)
        if digest is None:
            return
        said = json.loads(result[SAID]) if result else {}
        self._desk.take_back(digest)
        if "state" not in said:
            # Its process may be kept for another trial, which would let the child of this one run on until then.
            end_child(self._job, digest)
        with self._writing():
            self._close_trial(digest, said, error=error)

    def _close_trial(self, digest: str, said: Mapping[str, Any], *, error: bool) -> None:
        if "state" in said:
            self._course.end(digest, said)
        elif self._course.over or (error and owner_gone(self._job)):
            return  # it has not ended: all of the study does
        elif error:
            self._course.lose(digest)
        elif said:
            self._course.take(digest, said)
            self._course.stop(digest)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """A disk that refuses ends the study: Tune would only try the trial again."""
        try:
            yield
        except OSError as error:
            self._course.machine.break_down(unwritten(error), MEND_DISK)

    def close(self) -> None:
        """Give back what is still held for trials."""
        self._desk.end()

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger remembers."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see `save`."""


def unwritten(error: OSError) -> str:
    """What is said when the disk refused."""
    return f"the search can't be written down: {error}"


def owner_gone(job: Job) -> bool:
    """Whether the process that wants the study has ended, of which we may hear later than the children do."""
    return bool(job.owner_pid) and not start_ticks(job.owner_pid)


def end_child(job: Job, digest: str) -> None:
    """Ask the child of a trial to end, wherever it runs; nothing when there is none any more."""
    with contextlib.suppress(OSError):
        cancel_path(trial_place(job, digest)).touch()


class StudyEnd(Uncopied, Stopper):
    """Ends a study that was cancelled, took too long, lost its code, or is on a machine that can't go on with it."""

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
        course = self._course
        wanted = self.timed_out or self._cancelled.is_set() or course.machine.mend or course.edited
        if wanted and not self._course.over:
            self._course.over = True
            for digest in self._course.live:
                end_child(self._job, digest)
        return self._course.over
