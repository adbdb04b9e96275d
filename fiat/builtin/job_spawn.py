"""Turn a fork of the runner into the user's command: its own session, its environment, nothing of ours."""

import os
import signal
from collections.abc import Callable, Mapping
from typing import Any

from fiat.builtin.sandbox_limits import Usage
from fiat.builtin.sandbox_start import Box

_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


class ChildFault(Exception):
    """The command could not be started at all."""


def _become(request: Mapping[str, Any], stdin_fd: int, out_fd: int, usage: Usage, box: Box | None) -> None:
    """In the forked child: turn into the command. Returns never, raises OSError when it can't."""
    os.setsid()
    os.dup2(stdin_fd, 0)
    os.dup2(out_fd, 1)
    os.dup2(out_fd, 2)
    usage.impose()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, *_IGNORED_BY_PYTHON):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.chdir(request["cwd"])
    if box is not None:
        box.enter()
        os.execve(box.argv[0], box.argv, {})  # noqa: S606 (bubblewrap itself must not meet the job's variables)
    os.execvpe(request["argv"][0], request["argv"], request["env"])  # noqa: S606 (the user's own command)


def spawn(
    request: Mapping[str, Any], stdin_fd: int, tie: Callable[[], None], usage: Usage, box: Box | None
) -> tuple[int, int]:
    """Start the command.

    Args:
        request: `argv`, `cwd` and `env`; may have `limits`.
        stdin_fd: what the command reads.
        tie: called in the child first; binds its life to ours.
        usage: its limits.
        box: the sandbox that it is started in, None for none.

    Returns:
        (process id, descriptor to read what it prints).

    Raises:
        ChildFault: its folder or its program is missing or can't be used.
    """
    out_read, out_write = os.pipe2(os.O_CLOEXEC)
    fault_read, fault_write = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            tie()
            _become(request, stdin_fd, out_write, usage, box)
        except OSError as error:
            os.write(fault_write, (error.strerror or str(error)).encode())
        finally:
            os._exit(127)
    os.close(out_write)
    os.close(fault_write)
    with open(fault_read, "rb") as file:
        fault = file.read().decode("utf-8", "replace")
    if fault:
        os.waitpid(pid, 0)
        os.close(out_read)
        if box is not None:
            box.abandoned()
        there = os.access(request["cwd"], os.X_OK)
        what = f"program {request['argv'][0]!r}" if there else f"folder {request['cwd']!r}"
        raise ChildFault(f"could not start: {what}: {fault}")
    if box is not None:
        box.started((request.get("limits") or {}).get("processes"))
    return pid, out_read
