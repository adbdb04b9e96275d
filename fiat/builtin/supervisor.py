"""The supervisor: one small warm process a worker, which forks a runner for every job.

Program: `python -I -S -c "... from fiat.builtin import supervisor; supervisor.main()"`; see `job_child.py` for
the client. It imports light parts of the standard library only, has one thread, and nothing of the
worker's memory or environment: so forking it is cheap and safe. A Python started for every job would cost
about 15 ms before the command begins; a fork of this process costs about 2 ms.

It reads messages of one byte from its control socket (descriptor 0), each with the job's own socket and, when
the byte is `C`, the descriptor that the command shall read; one more is kept open as long as anything of the job
lives, for the lock on it. The runner reads the request from the job's socket and answers there, so the supervisor
never waits for anybody.

Who dies, and what then: the client dies -> the jobs' sockets close and each runner kills its job; a runner is
killed -> its job's first process gets a signal from the kernel (PR_SET_PDEATHSIG) and what remains falls to
this process, which kills it; this process is killed -> the runners go on, as they need it no more.
"""

import array
import contextlib
import ctypes
import gc
import json
import os
import select
import signal
import socket
import traceback
from collections.abc import Iterable
from typing import Any

from fiat.builtin import job_tree
from fiat.builtin.job_log import JobLog
from fiat.builtin.job_runner import run_command

_SET_PDEATHSIG = 1
_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, value: int) -> None:
    """Source: prctl(2)."""
    ctypes.CDLL(None, use_errno=True).prctl(option, ctypes.c_ulong(value), 0, 0, 0)


def receive_fds(control: socket.socket) -> tuple[bytes, list[int]]:
    """Read one message with its descriptors; (b"", []) at the end."""
    fds = array.array("i")
    data, ancillary, _, _ = control.recvmsg(1, socket.CMSG_LEN(3 * fds.itemsize), socket.MSG_CMSG_CLOEXEC)
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    return data, list(fds)


def _read_request(link: socket.socket) -> dict[str, Any]:
    """The request: one line of JSON. A wish to cancel may follow at once; it is left for the runner to hear."""
    data = bytearray()
    while not data.endswith(b"\n"):
        seen = link.recv(1 << 18, socket.MSG_PEEK)
        if not seen:
            raise EOFError("the client has gone")
        data += link.recv(seen.find(b"\n") + 1 or len(seen))
    request: dict[str, Any] = json.loads(data)
    return request


def _run(word: bytes, fds: list[int]) -> None:
    """In the forked runner: do one job and answer."""
    os.setsid()
    _prctl(_SET_CHILD_SUBREAPER, 1)
    link = socket.socket(fileno=fds[0])
    request = _read_request(link)
    stdin_fd = fds[1] if word == b"C" else os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    own_pid = os.getpid()

    def tie() -> None:
        if request.get("detached"):
            return  # it looks after itself, and ends in order what is below it
        _prctl(_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != own_pid:
            os._exit(127)

    try:
        answer = run_command(request, link, stdin_fd, tie)
    except Exception as error:
        job_tree.kill_descendants()
        log = JobLog(request["log"])
        log.take(traceback.format_exc().encode())
        log.close()
        answer = {"state": "lost", "reason": f"a bug in Fiat's supervisor: {error!r}; see the log"}
    with contextlib.suppress(OSError):  # nobody may be left to hear it
        link.sendall(json.dumps(answer).encode() + b"\n")


def _reap(runners: dict[int, list[int]]) -> None:
    """Bury ended runners, kill whatever one that was killed has left to us, and let go of what was held for them."""
    free: list[int] = []
    with contextlib.suppress(ChildProcessError):
        while pid := os.waitpid(-1, os.WNOHANG)[0]:
            free += runners.pop(pid, [])
        if any(pid not in runners for pid in job_tree.children(os.getpid())):
            job_tree.kill_descendants(spare=runners)
    _close(free)


def _close(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)


def main() -> None:
    """Serve until the control socket closes."""
    control = socket.socket(fileno=os.dup(0))
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)  # else runners would keep the control socket open behind our death
    wake_read, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _prctl(_SET_CHILD_SUBREAPER, 1)
    gc.freeze()
    poll = select.poll()
    poll.register(control.fileno(), select.POLLIN)
    poll.register(wake_read, select.POLLIN)
    runners: dict[int, list[int]] = {}  # with the descriptors that are kept open for each
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if wake_read in ready:
            os.read(wake_read, 4096)
            _reap(runners)
        if control.fileno() not in ready:
            continue
        word, fds = receive_fds(control)
        if not word:
            return
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                signal.set_wakeup_fd(-1)
                control.close()
                _close(fd for held in runners.values() for fd in held)  # they are not this job's
                _run(word, fds)
                code = 0
            except EOFError:
                pass
            finally:
                os._exit(code)
        passed = 2 if word == b"C" else 1
        runners[pid] = fds[passed:]
        _close(fds[:passed])
