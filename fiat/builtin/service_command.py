"""How a server is called, and the port that it is given."""

import socket
import sys
from collections.abc import Sequence

from fiat.builtin.service_wanted import ServerWish
from fiat.serving.place import Place

HOST = "127.0.0.1"


def server_command(program: str, place: Place, wish: ServerWish, port: int) -> list[str]:
    """Command line of a server."""
    run: Sequence[str] = (program,) if program.endswith(".py") else ("-m", program)
    limits = wish.limits
    options = {
        "release": place.manifest,
        "host": HOST,
        "port": port,
        "workers": wish.workers,
        "body-bytes": limits.body_bytes,
        "concurrency": limits.concurrency,
        "queue": limits.queue,
        "timeout-s": limits.timeout_s,
        "batch-rows": limits.batch_rows,
        "drain-s": limits.drain_s,
    }
    return [
        sys.executable,
        *run,
        *(word for name, value in options.items() for word in (f"--{name}", str(value))),
    ]


def port_is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def any_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
