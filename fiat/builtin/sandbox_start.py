"""Starts a job in bubblewrap: what the forked child executes, and what its parent learns through pipes.

Nothing of the job stands in bubblewrap's own arguments or environment, where a variable such as LD_PRELOAD would act
before the sandbox is there, and other users could read it: both go through descriptors.
"""

import json
import os
import resource
import select
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from fiat.builtin.sandbox_landlock import stay_inside
from fiat.builtin.sandbox_limits import THREADS_EACH
from fiat.builtin.sandbox_seccomp import filter_program

_STARTING_S = 20.0
_MARGIN = 64


class Box:
    """One start of bubblewrap.

    Args:
        request: `argv`, `cwd` and `env` of the command, and `box`: `program` and `options` of bubblewrap.

    Attributes:
        argv: what the child executes, with an empty environment.
    """

    def __init__(self, request: Mapping[str, Any]) -> None:
        options: list[str] = list(request["box"]["options"])
        for name, value in request["env"].items():
            options += ["--setenv", name, value]
        options += ["--chdir", request["cwd"]]
        self._said = b""
        self._status_fd, status = os.pipe2(os.O_CLOEXEC)
        go, self._go_fd = os.pipe2(os.O_CLOEXEC)
        rules = _file("rules", filter_program())
        arguments = _file("options", b"".join(os.fsencode(option) + b"\0" for option in options))
        self._theirs = (status, go, rules, arguments)
        self.argv = [request["box"]["program"], "--args", str(arguments), "--json-status-fd", str(status)]
        self.argv += ["--block-fd", str(go)]
        if os.fstat(rules).st_size:
            self.argv += ["--seccomp", str(rules)]
        self.argv += ["--", *request["argv"]]

    def enter(self) -> None:
        """In the child, just before it executes `argv`."""
        for fd in self._theirs:
            os.set_inheritable(fd, True)
        stay_inside()

    def started(self, processes: int | None) -> None:
        """In the parent, when the child executes: let the command begin.

        Args:
            processes: most processes in the sandbox, which the runner counts. The kernel counts threads, and only
                where the runner is not root; it stops what grows faster than anybody can look.
        """
        for fd in self._theirs:
            os.close(fd)
        first = self._first_process()
        if first and processes is not None:
            most = THREADS_EACH * processes + _MARGIN
            with suppress(OSError, ValueError):
                resource.prlimit(first, resource.RLIMIT_NPROC, (most, most))
        with suppress(OSError):
            os.write(self._go_fd, b"1")
        os.close(self._go_fd)

    def abandoned(self) -> None:
        """In the parent, when the child could not even execute bubblewrap."""
        for fd in (*self._theirs, self._status_fd, self._go_fd):
            os.close(fd)

    def ended(self) -> int | None:
        """In the parent, when bubblewrap has ended.

        Returns:
            The command's exit code, 128 and the signal's number when one killed it; None when it never ran.
        """
        while chunk := os.read(self._status_fd, 4096):
            self._said += chunk
        os.close(self._status_fd)
        for document in _documents(self._said):
            if "exit-code" in document:
                return int(document["exit-code"])
        return None

    def _first_process(self) -> int:
        """The first process in the sandbox, which waits for us; 0 when it could not be made."""
        poll = select.poll()
        poll.register(self._status_fd, select.POLLIN)
        while not (documents := _documents(self._said)):
            if not poll.poll(_STARTING_S * 1000):
                return 0
            chunk = os.read(self._status_fd, 4096)
            if not chunk:
                return 0
            self._said += chunk
        return int(documents[0].get("child-pid", 0))


def _documents(said: bytes) -> Sequence[Mapping[str, Any]]:
    """The whole lines of JSON. Source: bwrap(1), `--json-status-fd`."""
    found = []
    for line in said.split(b"\n")[:-1]:
        with suppress(ValueError):
            found.append(json.loads(line))
    return found


def _file(name: str, content: bytes) -> int:
    """A descriptor, closed on execute, from which this can be read."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
