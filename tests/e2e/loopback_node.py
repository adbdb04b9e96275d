"""Program: one node of a Ray cluster, on loopback only: `python loopback_node.py FOLDER CPUS [ADDRESS]`.

Without an address it is the head. It writes `FOLDER/address` when it is up, and ends when its standard input does.
"""

import sys
from pathlib import Path

from ray._private.node import Node
from ray._private.parameter import RayParams


class LoopbackNode(Node):
    """A node without a dashboard; see `fiat.builtin.ray_head.LoopbackHead`."""

    def start_api_server(self, *, include_dashboard: bool | None, raise_on_failure: bool) -> None:
        """Start none."""
        self._webui_url = ""


def main(folder: Path, cpus: int, address: str | None) -> None:
    """Start it, say so, and wait for the end."""
    params = RayParams(
        node_ip_address="127.0.0.1",
        gcs_address=address,
        gcs_server_port=None if address else 0,
        num_cpus=cpus,
        num_gpus=0,
        object_store_memory=160 << 20,
        temp_dir=None if address else str(folder / "r"),
        include_dashboard=False,
        include_log_monitor=False,  # type: ignore[arg-type]  # Ray declares a str and means a bool
        no_monitor=True,
    )
    node = LoopbackNode(params, head=address is None, shutdown_at_exit=False, spawn_reaper=True)
    draft = folder / "address.draft"
    draft.write_text(f"{node.gcs_address} {node.unique_id}")
    draft.rename(folder / "address")
    sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
