"""A job that is a study, as a Ray Tune run. Loaded in the Ray host only."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event

import ray
from ray.train import constants
from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner, registry
from ray.tune.execution import class_cache

from fiat.builtin.gpu_pool import GpuPool
from fiat.builtin.gpu_queue import shape
from fiat.builtin.job_death import seconds_text, size_text
from fiat.builtin.study_course import Course
from fiat.builtin.study_ledger import Ledger
from fiat.builtin.study_scheduler import make_scheduler
from fiat.builtin.study_search import MEND_DISK, StudyEnd, StudySearch, unwritten
from fiat.builtin.study_telling import Teller
from fiat.builtin.study_trainable import Assignment, StudyTrial, bundle_of, trainable_of
from fiat.builtin.study_verdict import (
    all_observed,
    best_of,
    number_text,
    params_text,
    write_verdict,
)
from fiat.ports.compute import Job, JobResult

_WORKER_DEATHS = 2
_ROUNDING = 1e-6
_EDITED = (
    "its code was edited while it ran ({} changed): trials of the code before are kept for it; run again"
)


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
    if pool is not None:
        _share_environment()
    try:
        with Ledger(job.study.ledger).held(cancelled, lambda: _say_that_it_waits(job)) as ours:
            if not ours:
                return JobResult("cancelled", "cancelled before it started")
            return _run_alone(job, import_path, pool, cancelled)
    except OSError as error:
        return JobResult("failed", unwritten(error), mend=MEND_DISK)


def _share_environment() -> None:
    """Let Tune's actors have the environment of all workers, as in a Ray of our own these have Tune's settings anyway.

    With variables of their own Ray starts Python twice for each of them, and takes no process that it has. Where a later
    Ray has no such names, that is how it stays. Source: ray.tune.execution.class_cache, Ray 2.60.
    """
    for name in ("DEFAULT_ENV_VARS", "ENV_VARS_TO_PROPAGATE"):
        variables = getattr(class_cache, name, None)
        if isinstance(variables, dict | set):
            variables.clear()


def _say_that_it_waits(job: Job) -> None:
    Teller(job).say("[fiat] another run does the same search: this one goes on when that has ended")


def _run_alone(job: Job, import_path: Sequence[str], pool: GpuPool | None, cancelled: Event) -> JobResult:
    began_s = time.monotonic()
    course = Course(job)
    if course.n_earlier:
        course.say(f"goes on behind {course.n_earlier} of {course.n_all} trials")
    end = StudyEnd(job, course, cancelled)
    if course.has_more() and not cancelled.is_set():
        grants = pool if job.resources.gpus > 0 else None
        if not (n_places := _n_places(job, grants)):
            return _too_much(job)
        n_asked = course.study.parallel
        if n_places < min(n_asked, course.n_all):
            course.say(f"{n_places} of {n_asked} trials at a time: this Ray has no room for more")
        search = StudySearch(job, course, end, grants)
        try:
            # More would be chosen before those that they could learn from have ended.
            _tune(job, import_path, search, end, n_places=min(n_asked, n_places))
        finally:
            search.close()
    seconds = time.monotonic() - began_s
    if cancelled.is_set():
        return JobResult("cancelled", "cancelled", seconds=seconds)
    return _result(course, end, seconds)


def _n_places(job: Job, pool: GpuPool | None) -> int:
    """How many trials this Ray could hold at a time, were there nothing else on it."""
    need = {name: amount for name, amount in bundle_of(job, granted=pool is not None).items() if amount}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]  # Ray's own gap
    n_places = sum(
        min(int(has.get(name, 0.0) / amount + _ROUNDING) for name, amount in need.items()) for has in nodes
    )
    if pool is None:
        return n_places
    share, count = shape(job.resources)
    return min(n_places, len(pool.ids) * int(1 / share + _ROUNDING) // count)


def _too_much(job: Job) -> JobResult:
    """No node could ever take a trial: Tune would wait for one without end."""
    need = job.resources
    words = [f"{need.cpus * need.workers:g} CPU cores"]
    if need.gpus:
        words.append(f"{need.gpus * need.workers:g} GPUs")
    if need.memory_bytes is not None:
        words.append(f"{size_text(need.memory_bytes * need.workers)} of memory")
    return JobResult(
        "failed",
        f"no node of this Ray has what one trial asks for: {', '.join(words)}",
        mend="ask for less in `train.resources`; all `workers` of a trial run on one node",
    )


def _tune(job: Job, import_path: Sequence[str], search: StudySearch, end: StudyEnd, *, n_places: int) -> None:
    course, study = search.course, search.course.study
    # The trials need not be told of the code.
    own = replace(job, study=replace(study, code={}))
    trainable = trainable_of(Assignment(own, tuple(import_path), search.grants))
    earlier = [trial for trial in course.trials if trial.state in ("done", "stopped")]
    name = f"study-{job.id}"
    tuner = Tuner(
        trainable,
        tune_config=TuneConfig(
            search_alg=search,
            scheduler=make_scheduler(study.stop, study.mode, earlier, search.place_of),
            num_samples=course.n_all + 1,  # the searcher says when there are no more
            max_concurrent_trials=n_places,
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
        _forget(trainable, name)


def _forget(trainable: type[StudyTrial], name: str) -> None:
    """Remove what Tune keeps of a study until Ray ends: the class, with all that its trials are told, and folders.

    Ray has no public way to do it: where a later Ray has no such names, both stay until it ends.
    """
    known = getattr(registry, "_global_registry", None)
    if known is not None:
        known.unregister(registry.TRAINABLE_CLASS, trainable.__name__)
    session = getattr(constants, "_get_ray_train_session_dir", None)
    for folder in Path(session()).glob(f"*/{name}") if session is not None else ():
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
    if course.edited:
        return replace(result, reason=_EDITED.format(course.edited))
    best = best_of(trials, study.mode)
    n_ended = sum(trial.state != "running" for trial in trials)
    if end.timed_out and n_ended < course.n_all:
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
    if not failed and end.timed_out:
        limit = seconds_text(course.study.timeout_s or 0.0)
        return f"no trial ended within the search's limit of {limit}"
    if not failed:
        return (
            f"no trial has a value of {course.study.metric} to go by" if course.trials else "no trial was run"
        )
    if len(failed) == 1:
        return f"the only trial failed: {failed[0].reason}"
    reasons = {trial.reason for trial in failed}
    if len(reasons) == 1:
        return f"all {len(failed)} trials failed: {failed[0].reason}"
    return f"all {len(failed)} trials failed; trial {failed[0].number}: {failed[0].reason}"
