"""How the desk of a Ray is opened by the driver and found by workers, and what runs beside it. Loaded with Ray only."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import ray
from ray.exceptions import ActorUnavailableError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from fiat.builtin.ray_desk import Desk
from fiat.data.dvc_carry import Carrier
from fiat.ports.compute import Job

NAME = "fiat-desk"
REMOTE = "remote"
"""Of calls that wait for the store's remote: as long as these take, the others must be answered."""
WORDS = "words"
"""Of calls that are short and keep jobs alive: they wait for nobody who reads or writes files."""
_AT_ONCE = 16
_AGAIN_S = 0.2
_GROUPS = {REMOTE: 2, WORDS: 8}
T = TypeVar("T")
_OF_THE_MACHINE = ("path", "glob", "dvc", "sql")


def open_desk() -> tuple[str, Any]:
    """Start the desk of this driver, on its own node.

    Returns:
        The id of the node, and the desk: whoever drops it closes it.
    """
    home: str = ray.get_runtime_context().get_node_id()
    options: dict[str, Any] = {"name": NAME, "num_cpus": 0, "max_concurrency": _AT_ONCE, "max_restarts": -1}
    remote: Any = ray.remote  # Ray's types lack the groups, which can't be named later
    actor = remote(concurrency_groups=_GROUPS)(Desk)
    desk = actor.options(**options, scheduling_strategy=_at(home)).remote(sys.executable)
    return home, desk


def beside_store(job: Job, home: str) -> dict[str, Any]:
    """Options for a task that must run where the store is, because it reads files of that machine; {} for others.

    Args:
        job: what is submitted.
        home: id of the node.
    """
    if job.task is None or job.task.kind != "data":
        return {}
    source = job.task.params.get("source")
    if isinstance(source, Mapping) and not any(source.get(kind) for kind in _OF_THE_MACHINE):
        return {}
    has: dict[str, float] = next((node["Resources"] for node in _nodes() if node["NodeID"] == home), {})
    options: dict[str, Any] = {"scheduling_strategy": _at(home)}
    # A node that gives no cores away, as the head of a cluster, still reads its own files.
    options["num_cpus"] = min(job.resources.cpus, has.get("CPU", 0.0))
    if job.resources.memory_bytes is not None:
        options["memory"] = min(job.resources.memory_bytes, int(has.get("memory", 0)))
    return options


def _nodes() -> list[dict[str, Any]]:
    return list(ray.nodes())  # type: ignore[no-untyped-call]  # Ray's own gap


def _at(node: str) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node, soft=False)


def equip_desk(carrier: Carrier, *, wait_s: float = 0.0) -> None:
    """Tell the desk of this driver, if it has one, how large files travel.

    Said again before each job: a desk that was killed is started again, and knows nothing.

    Args:
        carrier: how.
        wait_s: how long to wait until it has heard: it may still be starting, and be asked by a node at once.
    """
    desk = find_desk()
    if desk is None:
        return
    heard = desk.equip.options(concurrency_group=WORDS).remote(carrier)
    if wait_s:
        ray.wait([heard], timeout=wait_s)


def patiently(work: Callable[[], T], patience_s: float) -> T:
    """Do what asks the desk, and again while a desk that was killed is being started anew.

    Args:
        work: may be done twice.
        patience_s: for how long.

    Raises:
        RayError: the desk is not there again by then, or the way to it is cut.
    """
    give_up_at = time.monotonic() + patience_s
    while True:
        try:
            return work()
        except ActorUnavailableError:
            if time.monotonic() >= give_up_at:
                raise
            time.sleep(_AGAIN_S)


def find_desk() -> Any | None:
    """The desk of the driver that this worker works for; None where it has none."""
    try:
        return ray.get_actor(NAME)
    except ValueError:
        return None
