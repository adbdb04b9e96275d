"""The program that talks to Ray Serve: `control.py REQUEST.json`. The command line never imports Ray.

It starts Serve where there is none, runs the application with the replicas that are wanted, says how it is, or removes it.
Serve's actors are detached: they stay when this program ends, and end with their Ray.
"""

import json
import logging
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray
from ray import serve
from ray.serve.config import AutoscalingConfig, HTTPOptions, ProxyLocation
from ray.serve.context import _get_global_client

from fiat.builtin.ray_head import connect, knock
from fiat.errors import EnvironmentFault, FiatError
from fiat_ray_serve.replica import Replica
from fiat_ray_serve.task import OUTCOME, ServeTask

_DRAIN_S = 20.0


def run(task: ServeTask) -> dict[str, Any]:
    """Do what the task says.

    Returns:
        `status` of the application, `replicas` that run, `port`, `message`.

    Raises:
        EnvironmentFault: Ray or Serve can't be reached, or the application does not start.
    """
    try:
        knock(task.address)
        connect(task.address)
    except (OSError, RuntimeError, ray.exceptions.RayError) as error:
        raise EnvironmentFault(
            f"Ray at {task.address} can't be reached: {error}", hint="`fiat up`, or look at RAY_ADDRESS"
        ) from error
    if task.verb == "ensure":
        _ensure(task)
    elif task.verb == "remove" and _get_global_client(raise_if_no_controller_running=False):
        serve.delete(task.app)
    return _status(task.app)


def _ensure(task: ServeTask) -> None:
    location = ProxyLocation.HeadOnly if task.host == "127.0.0.1" else ProxyLocation.EveryNode
    port = task.port or _free_port(task.host)
    serve.start(http_options=HTTPOptions(host=task.host, port=port, location=location))
    _check_fits(task)
    replicas: dict[str, Any] = {"num_replicas": task.most}
    if task.fewest != task.most:
        target = max(1.0, task.limits["concurrency"] / 4)
        replicas = {
            "autoscaling_config": AutoscalingConfig(
                min_replicas=task.fewest, max_replicas=task.most, target_ongoing_requests=target
            )
        }
    server: serve.Deployment = serve.deployment(
        name="server",
        max_surge_percent=100,
        max_ongoing_requests=task.limits["concurrency"],
        max_queued_requests=task.limits["queue"],
        graceful_shutdown_timeout_s=_DRAIN_S,
        ray_actor_options={"num_cpus": task.cpus, "num_gpus": task.gpus},
        **replicas,
    )(Replica)
    # Without it each run has a random one, and Serve replaces every replica whatever changed.
    server = server.options(version=task.config_digest(), _internal=True)
    app = server.bind(task.folder, dict(task.limits), max(1, int(task.cpus)))
    try:
        serve.run(app, name=task.app, route_prefix=task.route, blocking=False)
    except (RuntimeError, ValueError, ray.exceptions.RayError) as error:
        found = serve.status().applications.get(task.app)
        said = [item.message for item in found.deployments.values() if item.message] if found else []
        words = (said[0] if said else str(error)).strip().splitlines()
        raise EnvironmentFault(
            f"Ray Serve does not start the server: {words[-1][:300]}",
            hint="`fiat status` tells more; replicas log under Ray's own folder",
        ) from error


def _check_fits(task: ServeTask) -> None:
    """Serve waits for ever for room that no node has."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]  # Ray's own gap
    if not any(node.get("CPU", 0) >= task.cpus and node.get("GPU", 0) >= task.gpus for node in nodes):
        raise EnvironmentFault(
            f"no node of Ray has {task.cpus:g} cores and {task.gpus:g} GPUs for a replica",
            hint="lower `cpus` and `gpus` of the target",
        )


def _status(app: str) -> dict[str, Any]:
    client = _get_global_client(raise_if_no_controller_running=False)
    if client is None:
        return {"status": "ABSENT", "replicas": 0, "port": 0, "message": "Ray Serve does not run"}
    found = serve.status().applications.get(app)
    port = client.http_config.port
    if found is None:
        return {"status": "ABSENT", "replicas": 0, "port": port, "message": "it has no such application"}
    deployments = list(found.deployments.values())
    return {
        "status": str(found.status.value),
        "replicas": sum(
            number
            for item in deployments
            for name, number in item.replica_states.items()
            if str(getattr(name, "value", name)) == "RUNNING"
        ),
        "port": port,
        "message": " ".join(filter(None, [found.message, *(item.message for item in deployments)]))[:500],
    }


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Read the task, do it, and write down how it ended."""
    path = Path(sys.argv[1])
    task = ServeTask(**json.loads(path.read_bytes()))
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    try:
        outcome: Mapping[str, Any] = run(task)
    except FiatError as error:
        outcome = {"fault": error.message, "hint": error.hint}
    draft = path.with_name("outcome.draft")
    draft.write_text(json.dumps(outcome), "utf-8")
    draft.replace(path.with_name(OUTCOME))


if __name__ == "__main__":
    main()
