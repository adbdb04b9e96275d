"""Watches one started command to its end: what it prints, what it uses, and everything that may end it."""

import os
import resource
import select
import signal
import socket
import time
from collections.abc import Mapping
from typing import Any

from fiat.builtin import job_tree
from fiat.builtin.batch_mark import read_mark
from fiat.builtin.job_death import exit_sentence, seconds_text, size_text
from fiat.builtin.job_log import JobLog
from fiat.builtin.sandbox_limits import Usage

TICK_S = 0.1
TIMEOUT_GRACE_S = 5.0
CANCEL_GRACE_S = 2.0
NAN_GRACE_S = 2.0
_CHUNK_BYTES = 1 << 18
_PATIENCE_S = 4.0


class Runner:
    """Watches one started command.

    Args:
        request: see `run_command`.
        link: to the client.
        pid: of the command, or of the sandbox around it.
        out_fd: what it prints.
        log: where that goes.
        usage: what it may use.
        boxed: whether a sandbox is around it, whose own processes are to be left alone as long as it runs.
    """

    def __init__(
        self,
        request: Mapping[str, Any],
        link: socket.socket,
        pid: int,
        out_fd: int,
        log: JobLog,
        usage: Usage,
        *,
        boxed: bool,
    ) -> None:
        self._request = request
        self._usage = usage
        self._boxed = boxed
        self._log_bytes = (request.get("limits") or {}).get("log_bytes")
        self._link = link
        self._pid = pid
        self._out_fd = out_fd
        self._log = log
        self._ending = ""
        self._reason = ""
        self._kill_at: float | None = None
        self._interval_s = TICK_S
        self._poll = select.poll()
        self._owner_fd = -1

    def watch(self) -> int:
        """Follow the command until it has ended; everything below it is killed afterwards.

        Returns:
            Its wait status.
        """
        signal.signal(signal.SIGTERM, lambda *_: self._stop("cancelled", "cancelled", CANCEL_GRACE_S))
        started = time.monotonic()
        child_fd = os.pidfd_open(self._pid)
        for fd in (child_fd, self._out_fd, self._link.fileno()):
            self._poll.register(fd, select.POLLIN)
        self._watch_owner()
        timeout_s = self._request.get("timeout_s")
        end_at = None if timeout_s is None else started + timeout_s
        tick_at = started + TICK_S
        while True:
            times = [t for t in (tick_at, end_at, self._kill_at) if t is not None]
            ready = {fd for fd, _ in self._poll.poll(max(0.0, min(times) - time.monotonic()) * 1000 + 1)}
            self._hear(ready)
            if child_fd in ready:
                break
            now = time.monotonic()
            if end_at is not None and now >= end_at:
                end_at = None
                limit = seconds_text(timeout_s or 0)
                self._stop("failed", f"ran longer than its limit of {limit}", TIMEOUT_GRACE_S)
            if now >= tick_at:
                self._tick()
                tick_at = time.monotonic() + self._interval_s
            if self._kill_at is not None and now >= self._kill_at:
                self._kill()
                self._kill_at = now + 0.2
        os.close(child_fd)
        status = os.waitpid(self._pid, 0)[1]
        self._finish()
        return status

    def verdict(self, status: int, before: tuple[int | None, int | None]) -> tuple[str, str, int | None]:
        """(state, reason, exit code) of the ended command."""
        reason, code = exit_sentence(status, before)
        if self._ending:
            return self._ending, self._reason, code
        if reason:
            return "failed", self._usage.why_it_failed() or reason + self._at_batch(reason), code
        return "done", "", code

    @property
    def was_ended(self) -> bool:
        """Whether we ended it, and not it itself."""
        return bool(self._ending)

    @property
    def lost_its_loss(self) -> bool:
        """Whether it was ended for a loss that was no number any more."""
        return bool(self._reason) and self._reason == self._log.lost_loss

    @property
    def peak_bytes(self) -> int:
        """Largest memory that was seen, of the tree or of one ended process in it."""
        return max(self._usage.peak_bytes, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)

    def _watch_owner(self) -> None:
        owner = self._request.get("owner_pid")
        if not owner:
            return
        try:
            self._owner_fd = os.pidfd_open(owner)
            self._poll.register(self._owner_fd, select.POLLIN)
        except OSError:
            self._stop("cancelled", "the process that owned it has ended", 0)

    def _hear(self, ready: set[int]) -> None:
        if self._out_fd in ready:
            chunk = os.read(self._out_fd, _CHUNK_BYTES)
            if chunk:
                self._log.take(chunk)
                if self._lost_loss():
                    self._stop("failed", self._log.lost_loss, NAN_GRACE_S)
                if self._log_bytes is not None and self._log.taken_bytes > self._log_bytes:
                    self._stop("failed", f"printed more than its limit of {size_text(self._log_bytes)}", 0)
            else:
                self._poll.unregister(self._out_fd)
        if self._link.fileno() in ready:
            word = self._link.recv(64)
            if word:
                self._stop("cancelled", "cancelled", CANCEL_GRACE_S)
            else:
                self._poll.unregister(self._link.fileno())
                if not self._request.get("detached"):
                    self._stop("cancelled", "the worker that ran it has ended", 0)
        if self._owner_fd in ready:
            self._poll.unregister(self._owner_fd)
            self._stop("cancelled", "the process that owned it has ended", 0)

    def _at_batch(self, reason: str) -> str:
        """Where a training was when memory ran out, as the end of the sentence; empty for another reason."""
        if " of memory" not in reason and "out-of-memory" not in reason:
            return ""
        batch = read_mark(self._request["env"].get("HOME", ""))
        return f", in {batch}" if batch else ""

    def _lost_loss(self) -> bool:
        """Whether a loss is no number any more, which shall end it, and nothing else does."""
        return bool(self._log.lost_loss and self._request.get("stop_on_nan") and not self._ending)

    def _stop(self, state: str, reason: str, grace_s: float) -> None:
        """Begin the end: SIGTERM to all, SIGKILL after a grace; a second call can only shorten the grace."""
        kill_at = time.monotonic() + grace_s
        if not self._ending:
            self._ending, self._reason = state, reason
            if grace_s:
                self._log.note(f"{reason}: stopping")
                # The sandbox's own processes would end at once, and with them the command's time to save its work.
                top = self._pid if self._boxed else os.getpid()
                job_tree.send(job_tree.descendants(top), signal.SIGTERM)
        self._kill_at = kill_at if self._kill_at is None else min(self._kill_at, kill_at)

    def _kill(self) -> None:
        if self._boxed:  # the first process of a sandbox takes all others with it, faster than they can fork
            job_tree.send(job_tree.children(self._pid), signal.SIGKILL)
        job_tree.send(job_tree.descendants(os.getpid()), signal.SIGKILL)

    def _tick(self) -> None:
        """Ten times a second, but for a small part of the time only: reap orphans, look at limits and cancel."""
        began = time.monotonic()
        cancel_path = self._request.get("cancel_path")
        if cancel_path and not self._ending and os.access(cancel_path, os.F_OK):
            self._stop("cancelled", "cancelled", CANCEL_GRACE_S)
        while True:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if dead is None or dead.si_pid == self._pid:
                break
            os.waitpid(dead.si_pid, 0)
        if not self._request.get("measured", True):
            self._interval_s = 1.0
            return
        exceeded = self._usage.exceeded(job_tree.descendants(os.getpid()), own=2 if self._boxed else 0)
        if exceeded:
            self._stop("failed", exceeded + self._at_batch(exceeded), 0)
        self._interval_s = max(TICK_S, self._usage.patience * (time.monotonic() - began))

    def _finish(self) -> None:
        """Kill what the command left behind and read what is still in the pipe."""
        left = job_tree.kill_descendants(_PATIENCE_S)
        os.set_blocking(self._out_fd, False)
        try:
            while chunk := os.read(self._out_fd, _CHUNK_BYTES):
                self._log.take(chunk)
        except BlockingIOError:
            pass  # somebody outside the tree holds the pipe
        os.close(self._out_fd)
        if self._lost_loss():  # it said so with its last words
            self._ending, self._reason = "failed", self._log.lost_loss
        if (
            left and not self._ending and not self._boxed
        ):  # there the sandbox's own first process is among them
            self._log.note(f"{left} process{'es' * (left > 1)} that it left running killed")
