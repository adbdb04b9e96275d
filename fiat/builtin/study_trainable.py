"""What Ray Tune runs: an actor that holds the resources of one trial at a time and follows its child.

Loaded in Ray workers and in the Ray host.
"""

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.tune import PlacementGroupFactory, Trainable

from fiat.builtin.gpu_place import Grant
from fiat.builtin.ray_travel import Place, settled
from fiat.builtin.study_attempt import Attempt, reason_of
from fiat.builtin.study_curve import Value, thinned
from fiat.builtin.study_ledger import digest_of
from fiat.errors import EnvironmentFault
from fiat.ports.compute import Job, JobResult

OBJECTIVE, REPORTS, SAID = "objective", "training_iteration", "said"
PARAMS, GRANT = "params", "grant"
_LEAST_CPUS = 0.001
"""Tune takes no trial that asks for nothing."""
_MEND_DISK = "make room there and run again: trials that have ended are kept"


@dataclass(frozen=True)
class Assignment:
    """What all trials of a study have in common.

    Attributes:
        job: of the study.
        import_path: `sys.path` of whoever submitted it.
        granted: each trial is given GPUs by the machine's ledger, and Ray need not count them.
    """

    job: Job
    import_path: tuple[str, ...]
    granted: bool


class StudyTrial(Trainable):
    """One trial after another. A subclass names the study: see `trainable_of`."""

    assignment: Assignment
    _attempt: Attempt | None = None
    _place: Place | None = None
    _last: float = math.nan
    _begins: bool = True
    _began_at_s: float = 0.0

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> PlacementGroupFactory:
        """What each trial holds: all of its workers' resources, in one place."""
        return PlacementGroupFactory([bundle_of(cls.assignment.job, granted=cls.assignment.granted)])

    def setup(self, config: dict[str, Any]) -> None:
        """Nothing yet: Tune may give the trial to another process before it asks this one for a step."""
        self._stack = ExitStack()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Be ready for the next trial."""
        self._end()
        return True

    def step(self) -> dict[str, Any]:
        """Begin the trial if it has not begun, and wait for its next value, or for its end.

        Raises:
            RuntimeError: the child was lost, or ended by somebody else; Tune starts the trial again.
        """
        try:
            attempt = self._attempt or self._begin(self.config)
        except EnvironmentFault as fault:
            return self._told(_report(JobResult("failed", fault.message, mend=fault.hint), []))
        except OSError as error:
            reason = f"node {os.uname().nodename} could not lay out a trial: {error}"
            return self._told(_report(JobResult("failed", reason, mend=_MEND_DISK), []))
        value = attempt.next()
        if value is not None:
            seconds = time.monotonic() - self._began_at_s
            said = {"values": [value], "begins": self._begins, "seconds": seconds}
            self._last, self._begins = value[1], False
            return {OBJECTIVE: value[1], SAID: json.dumps(said)}
        result = attempt.result()
        if result.state in ("lost", "cancelled"):
            self._end()
            raise RuntimeError(result.reason)
        said = _report(result, attempt.values(result))
        self._end()
        return self._told({**said, "begins": self._begins})

    def cleanup(self) -> None:
        """End the child, and this process's work for the study."""
        self._end()
        self._stack.close()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: the user's code keeps its own."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: see `save_checkpoint`."""

    def _begin(self, config: Mapping[str, Any]) -> Attempt:
        """Start the trial's child; the first time also get what all trials read onto this node.

        Where the store is not seen, checkpoints come with that: they are fetched for each trial, which may have made them on
        another node.

        Raises:
            EnvironmentFault: this node can't take it.
        """
        job = self.assignment.job
        if self._place is not None and job.checkpoints and self._place.job.work_dir != job.work_dir:
            self._place = None
            self._stack.close()
        params, grant = json.loads(config[PARAMS]), read_grant(config[GRANT])
        if self._place is None:
            found = settled(job, self.assignment.import_path, trial=digest_of(params))
            self._place = self._stack.enter_context(found)
        self._last, self._begins, self._began_at_s = math.nan, True, time.monotonic()
        self._attempt = Attempt(self._place.job, params, self._place.import_path, grant)
        return self._attempt

    def _end(self) -> None:
        if self._attempt is not None:
            self._attempt.cancel()
            self._attempt = None

    def _told(self, said: Mapping[str, object]) -> dict[str, Any]:
        """The last result of a trial, as Tune takes it."""
        return {OBJECTIVE: self._last, SAID: json.dumps(said), "done": True}


def bundle_of(job: Job, *, granted: bool) -> dict[str, float]:
    """What Ray keeps for one trial.

    Args:
        job: of the study.
        granted: its GPUs come from the machine's ledger.
    """
    need = job.resources
    bundle = {"CPU": max(_LEAST_CPUS, need.cpus * need.workers)}
    if not granted:
        bundle["GPU"] = need.gpus * need.workers
    if need.memory_bytes is not None:
        bundle["memory"] = float(need.memory_bytes * need.workers)
    return bundle


def _report(result: JobResult, values: Sequence[Value]) -> dict[str, object]:
    """How a trial ended, as JSON."""
    return {
        "state": result.state,
        "reason": "" if result.state == "done" else reason_of(result),
        "seconds": result.seconds,
        "values": thinned(values),
        "n_reports": len(values),
        "observed": result.result.get("observed", {}),
        "resumed": result.resumed,
        "peak_memory_bytes": result.peak_memory_bytes,
        "gpus": result.gpus,
        "usage": dict(result.usage),
        "mend": result.mend,
        "metrics": sorted({metric.name for metric in result.metrics}),
    }


def grant_text(grant: Grant | None) -> str:
    """The GPUs of a trial as Tune takes them, which writes down what it is given."""
    if grant is None:
        return ""
    return json.dumps({"workers": grant.workers, "claim": str(grant.claim)})


def read_grant(text: str) -> Grant | None:
    """What `grant_text` wrote."""
    if not text:
        return None
    said = json.loads(text)
    return Grant(tuple(map(tuple, said["workers"])), Path(said["claim"]))


def trainable_of(assignment: Assignment) -> type[StudyTrial]:
    """The class of the trials of one study. Tune knows classes by name, so each has its own."""
    return type(f"Trials of {assignment.job.id}", (StudyTrial,), {"assignment": assignment})
