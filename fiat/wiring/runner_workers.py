"""The worker processes of a runner: started, rung for, started again when they end, and let go."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Container, Mapping
from contextlib import suppress

from fiat.wiring.runner_settings import RunnerSettings
from fiat.wiring.worker import URL_VARIABLE

_NOT_SOONER_S = 2.0
_LEAVE_S = 30.0


class Workers:
    """So many processes as the settings say.

    Args:
        settings: of the runner; its address is known.
        environment: of the workers.
        log: hears of their ends.
    """

    def __init__(
        self, settings: RunnerSettings, environment: Mapping[str, str], log: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._log = log
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * settings.workers
        self._born_s = [0.0] * settings.workers

    def keep(self) -> None:
        """Start those that are missing; one that ends at once is not started more often than every other second."""
        for index, process in enumerate(self._processes):
            if process is not None and process.poll() is None:
                continue
            if process is not None:
                self._log(f"worker {process.pid} ended ({process.returncode}); starting another")
                self._processes[index] = None
            if time.monotonic() - self._born_s[index] >= _NOT_SOONER_S:
                self._born_s[index] = time.monotonic()
                self._processes[index] = self._start()

    def ring(self) -> None:
        """There may be something to claim."""
        for process in self._living():
            if process.stdin is not None:
                with suppress(OSError, ValueError):
                    os.set_blocking(process.stdin.fileno(), False)
                    process.stdin.write(b"\n")

    def end_frozen(self, pids: Container[int]) -> None:
        """End workers that were stopped while they kept everybody from the store."""
        for process in self._living():
            if process.pid in pids:
                self._log(f"worker {process.pid} stands still with the store locked and is ended")
                process.kill()

    def stop(self) -> None:
        """Let them give back what they do, and wait for their ends."""
        processes = [process for process in self._processes if process is not None]
        for process in processes:
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()
        give_up_s = time.monotonic() + _LEAVE_S
        for process in processes:
            try:
                process.wait(max(0.1, give_up_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def count(self) -> int:
        """How many live."""
        return len(self._living())

    def _living(self) -> "list[subprocess.Popen[bytes]]":
        return [process for process in self._processes if process is not None and process.poll() is None]

    def _start(self) -> "subprocess.Popen[bytes]":
        words = [sys.executable, "-m", "fiat.wiring.worker", str(self._settings.path.absolute())]
        if self._settings.insecure:
            words.append("--insecure-dev")
        return subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            bufsize=0,
            env={**self._environment, URL_VARIABLE: self._settings.url},
            start_new_session=True,
        )
