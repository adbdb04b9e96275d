"""Start a Ray of our own on this machine, on loopback only, or connect to one that is there."""

import logging
import socket
from pathlib import Path

import ray
from ray._private.node import Node
from ray._private.parameter import RayParams

OBJECT_STORE_BYTES = 80 * 1024 * 1024


class LoopbackHead(Node):
    """A Ray head with the processes that jobs need, and no more: GCS, raylet, its agents and workers.

    Ray's command line and `ray.init()` replace 127.0.0.1 by the address of the network interface and let
    their ports listen there; a node that is made with 127.0.0.1 keeps to it, workers included.
    Source: `ray._private.services.resolve_ip_for_localhost`, Ray 2.60.
    """

    def start_api_server(self, *, include_dashboard: bool | None, raise_on_failure: bool) -> None:
        """Start no dashboard: Ray starts its process even when it is told not to include it."""
        self._webui_url = ""


def start_head(temp_dir: Path, cpus: float, gpus: int | None) -> LoopbackHead:
    """Start a head; the environment must already hold the token's path (see `ray_launch.host_env`).

    Args:
        temp_dir: private folder (0700) with a short name, for Ray's sockets and logs.
        cpus: CPU cores to give out; Ray counts whole ones.
        gpus: GPUs to give out; None lets Ray look for them.
    """
    params = RayParams(
        node_ip_address="127.0.0.1",
        gcs_server_port=0,
        num_cpus=max(1, int(cpus)),
        num_gpus=gpus,
        object_store_memory=OBJECT_STORE_BYTES,
        temp_dir=str(temp_dir / "r"),  # Ray opens its folder to everybody (0777); ours around it stays shut
        include_dashboard=False,
        include_log_monitor=False,  # type: ignore[arg-type]  # Ray declares a str and means a bool
        no_monitor=True,
    )
    # On Linux this starts no reaper: the kernel kills Ray's processes when this one dies (PR_SET_PDEATHSIG).
    return LoopbackHead(params, head=True, shutdown_at_exit=False, spawn_reaper=True)


def knock(address: str) -> None:
    """Find out quickly that nobody listens: Ray itself tries for a minute and a half.

    Raises:
        OSError: nobody does; addresses that are not `host:port` are left to Ray.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=10).close()


def connect(address: str) -> None:
    """Become a driver of the Ray at this address, quietly.

    Raises:
        ConnectionError: nothing answers there.
    """
    logging.getLogger("ray").setLevel(logging.ERROR)
    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=True)
