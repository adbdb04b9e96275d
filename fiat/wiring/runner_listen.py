"""Where a runner listens, and the key of its pages' sessions."""

import errno
import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path

from fiat.errors import EnvironmentFault


def session_key(store: Path) -> bytes:
    """The key that signs sessions of the pages: made once, kept in a file that only this account reads.

    Raises:
        EnvironmentFault: the store's folder can't be made or written.
    """
    path = store / "session.key"
    try:
        return _read_or_make(path)
    except OSError as error:
        raise EnvironmentFault(
            f"can't make {path}: {error.strerror}", hint="set `store` to a folder that this account may write"
        ) from error


def _read_or_make(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
    return path.read_bytes()


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        EnvironmentFault: the address is taken or not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            hint = "does a runner run already? Else set listen.port to a free one"
        elif error.errno in (errno.EACCES, errno.EPERM):
            hint = "set listen.port to one above 1023, and let a proxy have the small one"
        else:
            hint = "set listen.host to an address of this machine, such as 127.0.0.1"
        raise EnvironmentFault(f"can't listen on {host}:{port}: {error.strerror}", hint=hint) from None
    listener.listen(1024)
    return listener
