"""The app on a real port of loopback, in a thread of the test."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from fiat.web.app import FiatApi
from fiat.web.listener import GuardedConnection, make_server


@contextmanager
def served(
    app: FiatApi, listener: socket.socket, connection: type[GuardedConnection] = GuardedConnection
) -> Iterator[str]:
    """Serve an app on a bound socket; gives the address. See `listening` for one."""
    server = make_server(app, connection)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < until, "the server did not start"
        time.sleep(0.01)
    try:
        yield address_of(listener)
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


def listening() -> socket.socket:
    """A socket on a free port of loopback."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)  # whoever connects before the server runs waits
    return listener


def address_of(listener: socket.socket) -> str:
    """Its URL."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}"
