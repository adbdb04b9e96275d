"""Where several workers meet: a port that is free, kept until the first of them listens there."""

import contextlib
import socket


def find_port(address: str) -> int:
    """A port that is free on this machine now.

    Args:
        address: where the others will look for it; it need not be one of this machine's own, such as when it leads here
            from outside only.
    """
    with _socket(address) as door:
        try:
            door.bind((address, 0))
        except OSError:
            door.bind(("", 0))
        return int(door.getsockname()[1])


def hold_port(address: str, port: int) -> socket.socket:
    """Keep the kernel from giving the port to somebody who asks for any, until it is closed.

    A first worker takes seconds until it listens. It can listen there all the same, since torch asks as `listen_at` does.

    Source: socket(7), SO_REUSEADDR: only a socket that listens already is in the way.
    """
    held = _socket(address)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with contextlib.suppress(OSError):  # then it is as free as it was
        held.bind((address, port))
    return held


def listen_at(address: str, port: int) -> int | None:
    """The descriptor of a socket that listens at this address alone; None when it is not one of this machine's own."""
    door = _socket(address)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind((address, port))
        door.listen()
    except OSError:
        door.close()
        return None
    return door.detach()


def _socket(address: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
