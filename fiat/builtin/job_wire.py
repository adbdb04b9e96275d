"""Messages between Fiat's own processes of one user: a length, then a pickle, over a Unix socket.

Never given to user code: the sockets lie in folders of mode 0700 or have no name at all.
"""

import pickle
import socket
import struct
from typing import Any

_LENGTH = struct.Struct("!Q")


def send_message(sock: socket.socket, message: object) -> None:
    """Send one message; one thread at a time.

    Raises:
        OSError: the other side has gone.
    """
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    sock.sendall(_LENGTH.pack(len(data)) + data)


def receive_message(sock: socket.socket) -> Any:
    """Receive one message.

    Raises:
        EOFError: the other side has gone.
    """
    (size,) = _LENGTH.unpack(_receive(sock, _LENGTH.size))
    return pickle.loads(_receive(sock, size))  # noqa: S301 (both ends are Fiat, see above)


def _receive(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        try:
            chunk = sock.recv(min(size - len(data), 1 << 20))
        except ConnectionError as error:
            raise EOFError(str(error)) from None
        if not chunk:
            raise EOFError("closed")
        data += chunk
    return bytes(data)
