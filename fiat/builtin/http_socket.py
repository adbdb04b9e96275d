"""A socket with two clocks: one for standing still, one for the whole exchange."""

import io
import socket
import ssl
from collections.abc import Callable

from fiat.errors import EnvironmentFault


class TimedSocket:
    """What `http.client` needs of a socket, with limits that a slow peer can't get around a byte at a time.

    Args:
        raw: a connected socket.
        idle_timeout_s: most seconds without a byte.
        clock: monotonic seconds.
    """

    def __init__(self, raw: socket.socket, idle_timeout_s: float, clock: Callable[[], float]) -> None:
        self._raw, self._idle_s, self._clock = raw, idle_timeout_s, clock
        self._deadline = clock() + idle_timeout_s

    def limit(self, seconds: float) -> None:
        """From now on the exchange may take so many seconds."""
        self._deadline = self._clock() + seconds

    def secure(self, host: str, ca_file: str = "") -> None:
        """Speak TLS and check that the certificate is the host's.

        Args:
            host: whose certificate it must be.
            ca_file: PEM file of the authorities to trust; empty for the system's.

        Raises:
            OSError: the handshake failed or the certificate is not to be trusted (ssl.SSLError is one).
            EnvironmentFault: the file of authorities can't be read.
        """
        try:
            context = ssl.create_default_context(cafile=ca_file or None)
        except OSError as error:
            raise EnvironmentFault(
                f"the certificate authorities in {ca_file} can't be read: {error.strerror or error}"
            ) from error
        self._wait()
        self._raw = context.wrap_socket(self._raw, server_hostname=host)

    def sendall(self, data: bytes) -> None:
        """Send everything."""
        self._wait()
        self._raw.sendall(data)

    def recv_into(self, buffer: memoryview | bytearray) -> int:
        """Receive some bytes; 0 at the end.

        Raises:
            TimeoutError: nothing came for too long, or the exchange takes too long.
        """
        self._wait()
        return self._raw.recv_into(buffer)

    def makefile(self, mode: str = "rb") -> io.BufferedReader:
        """A reader on top of this socket."""
        return io.BufferedReader(_Stream(self), 64 * 1024)

    def close(self) -> None:
        """`http.client` lets go of the socket before the body is read: `end` closes it."""

    def end(self) -> None:
        """Close the connection."""
        self._raw.close()

    def _wait(self) -> None:
        left = self._deadline - self._clock()
        if left <= 0:
            raise TimeoutError("the exchange takes too long")
        self._raw.settimeout(min(self._idle_s, left))


class _Stream(io.RawIOBase):
    def __init__(self, timed: TimedSocket) -> None:
        super().__init__()
        self._timed = timed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]  # all that BufferedReader gives
        return self._timed.recv_into(buffer)
