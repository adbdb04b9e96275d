"""What user code is given as `run`: metrics, checkpoints, its seed and device, the workers beside it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fiat.builtin.child_gang import Gang, gang_of
from fiat.errors import SpecError
from fiat.journal import log


class RunHandle:
    """What a function is given as `run`.

    Attributes:
        seed: `params.seed` of the spec, 0 when it has none.
        work_dir: scratch folder of this step; gone when it ends.
    """

    def __init__(self, seed: int, work_dir: Path, gang: Gang) -> None:
        self.seed = seed
        self.work_dir = work_dir
        self._gang = gang

    @property
    def device(self) -> str:
        """`cuda` when this step was given GPUs, else `cpu`."""
        return "cuda" if os.environ.get("CUDA_VISIBLE_DEVICES") else "cpu"

    @property
    def rank(self) -> int:
        """Which of the step's workers this is, from 0."""
        return self._gang.rank

    @property
    def workers(self) -> int:
        """How many workers share the step."""
        return self._gang.size

    def log(self, step: int | None = None, /, **metrics: float) -> None:
        """Record metrics; see `fiat.log`."""
        log(step, **metrics)

    def checkpoint(self, state: object) -> None:
        """Not there yet.

        Raises:
            SpecError: always in this version.
        """
        raise SpecError("run.checkpoint is not built yet in this version", hint="leave it out for now")


def make_handle(request: Mapping[str, Any]) -> RunHandle:
    """The handle of a request; see `fiat.builtin.child`."""
    return RunHandle(request["seed"], Path(os.environ.get("HOME", ".")), gang_of())
