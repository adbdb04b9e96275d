"""How a job that ended on a node that does not see the store is told at home, with what it made."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import ray

from fiat.builtin.ray_desk_door import WORDS, patiently
from fiat.builtin.ray_travel_follow import Follower
from fiat.builtin.ray_travel_outputs import Inputs, output_items
from fiat.builtin.ray_travel_paths import told_result
from fiat.builtin.ray_travel_send import PATIENCE_S, Home, send_outputs
from fiat.ports.compute import JobResult


def deliver(
    home: Home, follower: Follower, inputs: Inputs, base: Path, root: str, result: JobResult
) -> JobResult:
    """Bring home what a job made, and give its result in the words of home.

    Args:
        home: of the job.
        follower: it has sent the rest afterwards.
        inputs: of the job.
        base: its scratch folder here.
        root: the checkout at home.
        result: how it ended here.

    Raises:
        OSError: the disk refused.
        Torn: something changed on its way.
        RayError: the way home is cut.
    """
    follower.finish()
    if result.state == "done":
        items, fault = output_items(base, inputs, home.most_bytes)
        fault = fault or _missed(home, root, result)
        if fault:
            result = JobResult("failed", fault, seconds=result.seconds, metrics=result.metrics)
        elif items:
            send_outputs(home, base, items)
    return told_result(result, home.back)


def _missed(home: Home, root: str, result: JobResult) -> str:
    """Why its result would be another one at home: it looked for a file that is there and did not travel."""
    seen = result.result.get("observed")
    names = seen.get("absent") if isinstance(seen, Mapping) else None
    if not isinstance(names, list) or not names:
        return ""
    has = home.desk.has.options(concurrency_group=WORDS)
    asked = partial(has.remote, root, list(map(str, names)))
    found: tuple[str, ...] = patiently(lambda: ray.get(asked(), timeout=PATIENCE_S), PATIENCE_S)
    if not found:
        return ""
    return (
        f"looked for {found[0]}, which git ignores or which is too large for code, so that it did not travel; "
        "name it as data or as an input of the step"
    )
