"""The server of a service as its keeper sees it: started, found again, asked how it is, started anew after a while.

A server holds a lock file open from its birth to its death, so a keeper that comes after a killed one finds it, whatever
had been written down by then.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

from fiat.builtin.service_command import HOST, any_port, port_is_free, server_command
from fiat.builtin.service_health import HealthWatch
from fiat.builtin.service_process import (
    NOBODY,
    ServerRecord,
    clean_environment,
    end_group,
    kill_group,
    lock_holders,
    name_of,
    read_record,
    write_record,
)
from fiat.builtin.service_wanted import ServerWish
from fiat.serving.place import Place

_ADOPT_WAIT_S = 5.0
_LAST_BYTES, _LAST_CHARACTERS = 4096, 200


@dataclass(frozen=True)
class Patience:
    """How long things may take, in seconds.

    Attributes:
        start_s: from the start of a server until it answers.
        hung_s: without an answer until a server that answered before is taken for hung.
        load_s: for a candidate to be loaded by a server that is up.
        first_wait_s: before a server that died is started again; doubles with each death.
        longest_wait_s: what that ends at.
        healthy_s: of life that lets the wait begin anew.
        drain_s: for running requests when a server is asked to end.
    """

    start_s: float = 60.0
    hung_s: float = 15.0
    load_s: float = 120.0
    first_wait_s: float = 0.25
    longest_wait_s: float = 30.0
    healthy_s: float = 60.0
    drain_s: float = 15.0


class Server:
    """Keeps one server alive.

    Args:
        place: of the service.
        program: module of the server, or the path of a script.
        patience: see there.
    """

    def __init__(self, place: Place, program: str, patience: Patience) -> None:
        self._place, self._program, self._patience = place, program, patience
        self._record: ServerRecord | None = None
        self._watch: HealthWatch | None = None
        self._deaths = 0
        self._next_start = 0.0

    @property
    def record(self) -> ServerRecord | None:
        """Of the server that lives, or lived last."""
        return self._record

    @property
    def answers(self) -> bool:
        """Whether it lives and has answered lately."""
        return self._record is not None and self._record.process.alive and self._answered

    def adopt(self) -> bool | None:
        """Find the server that an earlier keeper left.

        Returns:
            True when there is one, None when there never was, False when it died meanwhile.
        """
        record = read_record(self._place.server)
        if record is not None and record.process.alive:
            self._follow(record)
            return True
        if record is not None:
            kill_group(record.process)
        # One that was born right before its keeper was killed is written down nowhere.
        for pid in lock_holders(self._lock):
            with contextlib.suppress(ProcessLookupError):
                kill_group(name_of(os.getpgid(pid)))
        self._wait_unlocked()
        self._record = record
        return False if record is not None and record.process.pid else None

    def turn(self, wish: ServerWish, now_s: float) -> str:
        """Look after it.

        Args:
            wish: how it shall run.
            now_s: seconds since 1970.

        Returns:
            How it died or was ended just now; empty when nothing of the kind happened.
        """
        record = self._record
        if record is None or not record.process.alive:
            return self._raise(wish, now_s)
        if list(record.command) != self._command(wish, record.port):
            self.stop()
            self._next_start = 0.0
            return ""
        return self._hung(record, self._watch, now_s) if self._watch else ""

    def stop(self) -> None:
        """End it in order: what it works on may be finished."""
        if self._record is not None and self._record.process.pid:
            end_group(self._record.process, self._patience.drain_s)
            self._record = replace(self._record, process=NOBODY)
            with contextlib.suppress(OSError):
                write_record(self._place.server, self._record)
        self._forget()

    @property
    def _answered(self) -> bool:
        return self._watch is not None and self._watch.ready

    @property
    def _lock(self) -> Path:
        return self._place.folder / "server.lock"

    def _hung(self, record: ServerRecord, watch: HealthWatch, now_s: float) -> str:
        patience, silent_s = self._patience, watch.silent_s
        if watch.ever and silent_s <= patience.hung_s:
            if now_s - record.started_s >= patience.healthy_s:
                self._deaths = 0
            return ""
        if not watch.ever and silent_s <= patience.start_s:
            return ""
        kill_group(record.process)
        return self._died(f"gave no answer for {silent_s:.0f} s")

    def _raise(self, wish: ServerWish, now_s: float) -> str:
        if self._watch is not None and self._record is not None:
            kill_group(self._record.process)
            return self._died(f"died{self._last_words()}")
        if time.monotonic() >= self._next_start:
            self._start(wish, now_s)
        return ""

    def _last_words(self) -> str:
        """What it printed last, for people who wonder why it died."""
        try:
            with (self._place.logs / "server.log").open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _LAST_BYTES))
                lines = log.read().decode("utf-8", "replace").strip().splitlines()
        except OSError:
            return ""
        return f", its log ends with: {lines[-1][:_LAST_CHARACTERS]}" if lines else ""

    def _died(self, how: str) -> str:
        self._deaths += 1
        patience = self._patience
        wait_s = min(patience.longest_wait_s, patience.first_wait_s * 2 ** (self._deaths - 1))
        self._next_start = time.monotonic() + wait_s
        self._forget()
        return how

    def _start(self, wish: ServerWish, now_s: float) -> None:
        port = self._port(wish)
        command = self._command(wish, port)
        shutil.rmtree(self._place.counts, ignore_errors=True)
        self._place.counts.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with (self._place.logs / "server.log").open("ab") as log:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env=clean_environment(os.environ),
                    start_new_session=True,
                    pass_fds=(lock,),
                )
        except BlockingIOError:
            # Something of the server before is still about.
            self._next_start = time.monotonic() + self._patience.first_wait_s
            return
        finally:
            os.close(lock)
        record = ServerRecord(name_of(process.pid), port, f"http://{HOST}:{port}", tuple(command), now_s)
        self._follow(record)
        write_record(self._place.server, record)

    def _follow(self, record: ServerRecord) -> None:
        self._record = record
        self._watch = HealthWatch(HOST, record.port)
        self._watch.start()

    def _forget(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def _wait_unlocked(self) -> None:
        deadline = time.monotonic() + _ADOPT_WAIT_S
        while lock_holders(self._lock) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _port(self, wish: ServerWish) -> int:
        if wish.port is not None:
            return wish.port
        kept = self._record.port if self._record else 0
        return kept if kept and port_is_free(kept) else any_port()

    def _command(self, wish: ServerWish, port: int) -> list[str]:
        return server_command(self._program, self._place, wish, port)
