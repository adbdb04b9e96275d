"""The scoring program on Ray: `python -m fiat.builtin.batch_ray REQUEST.json`, blocks spread over actors by Ray Data.

Ray moves the names of blocks and nothing else: each actor loads the session once, reads a block from the disk that all
nodes share, and writes its answers there. So what is done stays done when Ray, a node or this program ends.
"""

import socket
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import ray

from fiat.builtin.batch_job import BatchTask, run_program
from fiat.builtin.batch_score import ScorePlan, Scorer
from fiat.builtin.batch_stage import Block
from fiat.builtin.compute_machine import count_cpus
from fiat.builtin.ray_head import connect, knock, start_head
from fiat.errors import EnvironmentFault

_RETRIES = 3


class ScoringActor:
    """What Ray Data keeps on a node: a loaded model."""

    def __init__(self, plan: dict[str, Any]) -> None:
        if not Path(plan["work"]).is_dir():
            raise EnvironmentFault(
                f"{socket.gethostname()} does not see {plan['work']}",
                hint="put the output on a disk that all nodes of the cluster share",
            )
        self._scorer = Scorer(ScorePlan(**plan))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Score blocks: columns with their fields in, how many rows each has out."""
        names = list(batch)
        for values in zip(*(batch[name] for name in names), strict=True):
            fields = {name: _plain(value) for name, value in zip(names, values, strict=True)}
            self._scorer.score(Block(**fields))
        return {"n_rows": batch["n_rows"]}


def score_with_ray(task: BatchTask, blocks: Sequence[Block]) -> None:
    """Score blocks on as many actors as there is room for.

    Raises:
        EnvironmentFault: Ray can't be reached, or scoring failed on it.
    """
    room = _actors(task, len(blocks))
    quiet = ray.data.DataContext.get_current()
    quiet.enable_progress_bars = False
    quiet.print_on_execution_start = False
    try:
        rows = ray.data.from_items([asdict(block) for block in blocks], override_num_blocks=len(blocks))
        scored = rows.map_batches(
            ScoringActor,
            fn_constructor_args=(asdict(task.plan()),),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=room),
            num_cpus=task.cpus,
            num_gpus=task.gpus or None,
            max_restarts=_RETRIES,
            max_task_retries=_RETRIES,
        )
        for _ in scored.iter_rows():
            pass
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        raise EnvironmentFault(
            f"scoring failed on Ray: {str(cause).strip().splitlines()[-1][:300]}",
            hint="what was scored is kept: deploy again",
        ) from error


def _actors(task: BatchTask, n_blocks: int) -> int:
    has: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray's own gap
    fits = [int(has.get("CPU", 0) // task.cpus)] if task.cpus else []
    fits += [int(has.get("GPU", 0) // task.gpus)] if task.gpus else []
    room = min(fits, default=1)
    if room < 1:
        raise EnvironmentFault(
            f"no actor with {task.cpus:g} cores and {task.gpus:g} GPUs fits on Ray, which has {has.get('CPU', 0):g} and "
            f"{has.get('GPU', 0):g}",
            hint="lower `cpus` and `gpus` of the target",
        )
    return max(1, min(room, n_blocks, task.actors or room))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _score(task: BatchTask, blocks: Sequence[Block]) -> None:
    address = task.ray
    try:
        if not address:
            address = start_head(Path(task.temp_dir), count_cpus(), task.given).gcs_address
        else:
            knock(address)
        connect(address)
    except (OSError, RuntimeError, ray.exceptions.RayError) as error:
        raise EnvironmentFault(
            f"Ray can't be {'reached' if task.ray else 'started'}: {error}",
            hint="FIAT_COMPUTE=local scores without Ray",
        ) from error
    score_with_ray(task, blocks)


def main() -> None:
    """Score on Ray."""
    run_program(_score, here=lambda _: True)


if __name__ == "__main__":
    main()
