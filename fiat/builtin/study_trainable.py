"""What Ray Tune runs: an actor that holds the resources of one trial at a time and follows its child.

Loaded in Ray workers and in the Ray host.
"""

import json
import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.tune import PlacementGroupFactory, Trainable

from fiat.builtin.gpu_pool import Grant
from fiat.builtin.ray_travel import settled
from fiat.builtin.study_attempt import Attempt
from fiat.ports.compute import Job, JobResult

OBJECTIVE, REPORTS, SAID = "objective", "training_iteration", "said"
PARAMS, GRANT = "params", "grant"


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
    _attempt: Attempt
    _last: float

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> PlacementGroupFactory:
        """What each trial holds: all of its workers' resources, in one place."""
        need = cls.assignment.job.resources
        bundle = {"CPU": need.cpus * need.workers}
        if not cls.assignment.granted:
            bundle["GPU"] = need.gpus * need.workers
        if need.memory_bytes is not None:
            bundle["memory"] = need.memory_bytes * need.workers
        return PlacementGroupFactory([bundle])

    def setup(self, config: dict[str, Any]) -> None:
        """Get what all trials read onto this node, once, and begin the first trial of this process."""
        self._stack = ExitStack()
        place = self._stack.enter_context(settled(self.assignment.job, self.assignment.import_path))
        self._job, self._import_path = place.job, place.import_path
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin the next trial."""
        self._attempt.cancel()
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Wait for the next value, or for the end.

        Raises:
            RuntimeError: the child was lost; Tune starts the trial again.
        """
        value = self._attempt.next()
        if value is not None:
            self._last = value[1]
            return {OBJECTIVE: value[1], SAID: json.dumps({"values": [value]})}
        result = self._attempt.result()
        if result.state == "lost":
            raise RuntimeError(result.reason)
        said = self._report(result)
        self._attempt.cancel()
        return {OBJECTIVE: self._last, SAID: json.dumps(said), "done": True}

    def cleanup(self) -> None:
        """End the child, and this process's work for the study."""
        self._attempt.cancel()
        self._stack.close()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: the user's code keeps its own."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: see `save_checkpoint`."""

    def _begin(self, config: Mapping[str, Any]) -> None:
        self._last = math.nan
        params, grant = json.loads(config[PARAMS]), read_grant(config[GRANT])
        self._attempt = Attempt(self._job, params, self._import_path, grant)

    def _report(self, result: JobResult) -> dict[str, object]:
        """How the trial ended, as JSON."""
        return {
            "state": result.state,
            "reason": result.reason,
            "seconds": result.seconds,
            "values": self._attempt.values(result),
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
