"""A job that is a study, as a Ray Tune run. Loaded in the Ray host only."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event

from ray.train.constants import _get_ray_train_session_dir
from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner
from ray.tune.registry import TRAINABLE_CLASS, _global_registry

from fiat.builtin.gpu_pool import GpuPool
from fiat.builtin.job_death import seconds_text
from fiat.builtin.study_course import Course
from fiat.builtin.study_search import StudyEnd, StudySearch, make_scheduler
from fiat.builtin.study_trainable import Assignment, trainable_of
from fiat.builtin.study_verdict import (
    all_observed,
    best_of,
    number_text,
    params_text,
    write_verdict,
)
from fiat.ports.compute import Job, JobResult

_WORKER_DEATHS = 2


def run_study(
    job: Job, import_path: Sequence[str], *, pool: GpuPool | None = None, cancelled: Event
) -> JobResult:
    """Run the trials of a job to their end.

    Args:
        job: with a `study`; its time limit is that of each trial.
        import_path: `sys.path` of whoever submitted it.
        pool: the GPUs of this machine, of which each trial takes what it needs; None leaves them to Ray.
        cancelled: set when it shall end.
    """
    assert job.study is not None  # noqa: S101 - the caller looked
    began_s = time.monotonic()
    course = Course(job)
    if course.n_earlier:
        course.say(f"goes on behind {course.n_earlier} of {course.n_all} trials")
    end = StudyEnd(job, course, cancelled)
    if not cancelled.is_set():
        search = StudySearch(job, course, end, pool if job.resources.gpus > 0 else None)
        try:
            _tune(job, import_path, search, end)
        finally:
            search.close()
    seconds = time.monotonic() - began_s
    if cancelled.is_set():
        return JobResult("cancelled", "cancelled", seconds=seconds)
    return _result(course, end, seconds)


def _tune(job: Job, import_path: Sequence[str], search: StudySearch, end: StudyEnd) -> None:
    course, study = search.course, search.course.study
    trainable = trainable_of(Assignment(job, tuple(import_path), search.grants))
    earlier = [trial for trial in course.trials if trial.state in ("done", "stopped")]
    name = f"study-{job.id}"
    tuner = Tuner(
        trainable,
        tune_config=TuneConfig(
            search_alg=search,
            scheduler=make_scheduler(study.stop, study.mode, earlier),
            num_samples=course.n_all + 1,  # the searcher says when there are no more
            max_concurrent_trials=study.parallel,
            reuse_actors=True,
        ),
        run_config=RunConfig(
            name=name,
            storage_path=str(job.work_dir / "tune"),
            failure_config=FailureConfig(max_failures=_WORKER_DEATHS),
            checkpoint_config=CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            stop=end,
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    finally:
        _global_registry.unregister(TRAINABLE_CLASS, trainable.__name__)  # type: ignore[no-untyped-call]  # Ray's own gap
        for folder in Path(_get_ray_train_session_dir()).glob(f"*/{name}"):
            shutil.rmtree(folder, ignore_errors=True)


def _result(course: Course, end: StudyEnd, seconds: float) -> JobResult:
    study, machine, trials = course.study, course.machine, course.trials
    result = JobResult(
        "failed",
        seconds=seconds,
        peak_memory_bytes=machine.peak_memory_bytes,
        gpus=tuple(sorted(machine.gpus)),
        usage=machine.usage,
        resumed=f"went on behind {course.n_earlier} of {course.n_all} trials" if course.n_earlier else "",
    )
    if machine.mend:
        return replace(result, reason=machine.reason, mend=machine.mend)
    best = best_of(trials, study.mode)
    if end.timed_out:
        n_ended = sum(trial.state != "running" for trial in trials)
        limit = seconds_text(study.timeout_s or 0.0)
        course.say(f"the search ended at its limit of {limit}, after {n_ended} of {course.n_all} trials")
    if best is None:
        return replace(result, reason=_why_none(course, end))
    write_verdict(trials, best, study)
    value = f"{study.metric} {number_text(best.value)}"
    course.say(f"best of {len(trials)}: trial {best.number}, {value}; {params_text(best.params)}")
    return replace(result, state="done", result={"observed": all_observed(trials)})


def _why_none(course: Course, end: StudyEnd) -> str:
    failed = [trial for trial in course.trials if trial.state == "failed"]
    if not failed:
        limit = seconds_text(course.study.timeout_s or 0.0)
        return f"no trial ended within the search's limit of {limit}" if end.timed_out else "no trial was run"
    if len(failed) == 1:
        return f"the only trial failed: {failed[0].reason}"
    reasons = {trial.reason for trial in failed}
    if len(reasons) == 1:
        return f"all {len(failed)} trials failed: {failed[0].reason}"
    return f"all {len(failed)} trials failed; trial {failed[0].number}: {failed[0].reason}"
