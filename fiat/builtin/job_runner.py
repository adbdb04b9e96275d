"""Runs one command to its end. Lives in a process of its own, forked by the supervisor.

The process is a *subreaper*: whatever the command starts, also daemons that leave their parent and their
session, stays below it, can be counted and can be killed. Its link to the client is its lifeline: when the
client dies, in whatever way, the link closes and everything ends.
"""

import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from fiat.builtin.job_death import oom_kills
from fiat.builtin.job_log import LOG_BYTES, JobLog
from fiat.builtin.job_spawn import ChildFault, spawn
from fiat.builtin.job_watch import Runner
from fiat.builtin.sandbox_limits import Usage
from fiat.builtin.sandbox_start import Box
from fiat.redaction import Redactor


def run_command(
    request: Mapping[str, Any], link: socket.socket, stdin_fd: int, tie: Callable[[], None]
) -> dict[str, Any]:
    """Run one command to its end.

    Args:
        request: `argv`, `cwd`, `env`, `log`; may have `timeout_s`, `memory_bytes`, `owner_pid`, `cancel_path`
            (a file that means cancel once it exists), `detached` (the link is no lifeline), `measured` (False
            for a process that stays for long and has no limits), `secrets` (values to mask), `notes` (for the
            beginning of the log), `limits` (see `Usage`, and `log_bytes`), `box` (see `Box`) and `stop_on_nan` (a
            loss that is no number any more ends it).
        link: to the client; any byte means cancel, its end means kill.
        stdin_fd: what the command reads.
        tie: binds the child's life to this process, called in the child.

    Returns:
        JSON values: `state`, `reason`, `exit_code`, `seconds`, `peak_memory_bytes`, `metrics`, `unmade` (its sandbox
        could not be made), `lost_loss` (it was ended for that).
    """
    limits = request.get("limits") or {}
    cap = min(LOG_BYTES, limits.get("log_bytes") or LOG_BYTES)
    redactor = Redactor(request.get("secrets", ()))
    log = JobLog(request["log"], log_bytes=cap, redactor=redactor)
    for sentence in request.get("notes", ()):
        log.note(sentence)
    usage = Usage(request)
    box = Box(request) if request.get("box") else None
    before = oom_kills()
    started = time.monotonic()
    try:
        pid, out_fd = spawn(request, stdin_fd, tie, usage, box)
    except ChildFault as fault:
        log.note(str(fault))
        log.close()
        return {"state": "failed", "reason": str(fault), "exit_code": 127}
    os.close(stdin_fd)
    runner = Runner(request, link, pid, out_fd, log, usage, boxed=box is not None)
    status = runner.watch()
    seconds = time.monotonic() - started
    inner = box.ended() if box is not None else None
    state, reason, code = runner.verdict(_unboxed(status, inner), before)
    unmade = box is not None and inner is None and code is not None and not runner.was_ended
    if unmade:
        state, reason = "failed", f"could not start in its sandbox: {log.last_line or reason}"
    if reason:
        log.note(reason)
    log.close()
    if log.fault and reason:
        reason += f"; its log could not be written: {log.fault}"
    return {
        "state": state,
        "reason": redactor.text(reason),
        "exit_code": 127 if unmade else code,
        "seconds": seconds,
        "peak_memory_bytes": runner.peak_bytes,
        "metrics": log.metrics,
        "unmade": unmade,
        "lost_loss": runner.lost_its_loss,
    }


def _unboxed(status: int, inner: int | None) -> int:
    """The wait status that the command itself ended with: a sandbox says 128 and the signal's number, as shells do."""
    if inner is None or not os.WIFEXITED(status) or inner - 128 not in signal.valid_signals():
        return status
    return inner - 128
