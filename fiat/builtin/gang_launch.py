"""The program that starts the workers of a step on one machine: `python -m fiat.builtin.gang_launch OPTIONS -- ARGV`.

They meet on loopback, so they also work in a sandbox without the network. The first worker prints to the step's log;
what the others print goes to files in the work folder. When one fails all are ended, its last lines are printed, and
this program ends as it did; whatever the workers leave running its runner ends, as of any job.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiat import journal
from fiat.builtin.compute_machine import visible_gpus
from fiat.builtin.gang_log import last_lines, log_path
from fiat.builtin.gang_seat import FOLDER, Seat, gpus_of, make_home, seated_argv, seated_env
from fiat.builtin.job_log import JobLog
from fiat.builtin.loss_watch import loss_fault

SUMMARY = "summary.json"
"""File in the folder of the workers: `failed` (rank or null) and `metrics` of those behind the first one."""
_GRACE_S = 2.0
_CHUNK_BYTES = 1 << 18
_NOT_STARTED = 127  # as shells say


@dataclass
class _Worker:
    rank: int
    process: subprocess.Popen[bytes]
    exit_fd: int
    out_fd: int = -1
    log: JobLog | None = None
    code: int | None = None


class Launcher:
    """Starts workers and follows them to their end.

    Args:
        options: `workers`, `threads`, `work_dir`, `result` (file that a worker may write, or null), `store`
            (whether the workers take over a listening socket, as `child_gang.joined` does) and `stop_on_nan`.
        argv: what each worker runs.
    """

    def __init__(self, options: dict[str, Any], argv: Sequence[str]) -> None:
        self._size: int = options["workers"]
        self._threads: int = options["threads"]
        self._work_dir = Path(options["work_dir"])
        self._result = Path(options["result"]) if options["result"] else None
        self._store: bool = options["store"]
        self._stop_on_nan: bool = options["stop_on_nan"]
        self._argv = argv
        self._workers: list[_Worker] = []
        self._poll = select.poll()
        self._stopped = False
        self._kill_at: float | None = None

    def run(self) -> int:
        """Run all to their end.

        Returns:
            What `subprocess` calls a return code: of the first worker that failed, else 0.
        """
        signal.signal(signal.SIGTERM, self._hear_end)
        self._start()
        failed: _Worker | None = None
        while any(worker.code is None for worker in self._workers):
            left_s = None if self._kill_at is None else max(0.0, self._kill_at - time.monotonic())
            ready = {fd for fd, _ in self._poll.poll(None if left_s is None else left_s * 1000 + 1)}
            ended = [worker for worker in self._workers if self._look(worker, ready)]
            wrong = [worker for worker in ended if worker.code]
            if wrong and failed is None:
                failed = min(wrong, key=self._written_at)
                self._end_all(signal.SIGTERM)
                self._kill_at = time.monotonic() + _GRACE_S
            elif self._kill_at is not None and time.monotonic() >= self._kill_at:
                self._end_all(signal.SIGKILL)
                self._kill_at = time.monotonic() + 0.2
        self._finish(failed)
        return failed.code or 1 if failed is not None else 0

    def _start(self) -> None:
        door = socket.socket()
        door.bind(("127.0.0.1", 0))
        port = door.getsockname()[1]
        if self._store:
            door.listen()
        else:
            door.close()
        gpus = tuple(part for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part)
        for rank in range(self._size):
            make_home(self._work_dir, rank)
            local = (0, 1) if gpus else (rank, self._size)
            seat = Seat(rank, self._size, *local, "127.0.0.1", port, self._threads)
            env = seated_env(os.environ, seat, self._work_dir)
            env |= visible_gpus(gpus_of(gpus, rank, self._size))
            if self._store:
                env["FIAT_STORE_FD"] = str(door.fileno())
            passed = (door.fileno(),) if self._store and rank == 0 else ()
            self._workers.append(self._start_one(rank, env, passed))
        door.close()

    def _start_one(self, rank: int, env: dict[str, str], passed: tuple[int, ...]) -> _Worker:
        process = subprocess.Popen(
            seated_argv(self._argv, rank, self._work_dir),
            env=env,
            stdout=subprocess.PIPE if rank else None,
            stderr=subprocess.STDOUT if rank else None,
            pass_fds=passed,
            process_group=0,
        )
        worker = _Worker(rank, process, os.pidfd_open(process.pid))
        self._poll.register(worker.exit_fd, select.POLLIN)
        if process.stdout is not None:
            worker.out_fd = process.stdout.fileno()
            worker.log = JobLog(str(log_path(self._work_dir, rank)))
            self._poll.register(worker.out_fd, select.POLLIN)
        return worker

    def _look(self, worker: _Worker, ready: set[int]) -> bool:
        """Take what a worker printed; whether it has ended just now."""
        if worker.out_fd in ready and worker.log is not None:
            chunk = os.read(worker.out_fd, _CHUNK_BYTES)
            if chunk:
                worker.log.take(chunk)
                self._look_at_losses(worker, worker.log)
            else:
                self._poll.unregister(worker.out_fd)
        if worker.exit_fd not in ready or worker.code is not None:
            return False
        self._poll.unregister(worker.exit_fd)
        worker.code = worker.process.wait()
        return True

    def _look_at_losses(self, worker: _Worker, log: JobLog) -> None:
        """Say again what makes the runner end the job: it reads the first worker's lines only."""
        if self._stop_on_nan and log.lost_loss:
            self._stop_on_nan = False
            name, number, step = next(metric for metric in log.metrics if loss_fault(*metric))
            sys.stdout.write(f"[fiat] worker {worker.rank} of {self._size}:\n")
            sys.stdout.flush()
            journal.log(step, **{name: number})

    def _hear_end(self, *_: object) -> None:
        """The runner tells all processes of the job, so each worker has heard it too: give them their time."""
        self._stopped = True

    def _end_all(self, number: int) -> None:
        for worker in self._workers:
            if worker.code is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(worker.process.pid, number)

    def _finish(self, failed: _Worker | None) -> None:
        metrics = []
        for worker in self._workers[1:]:
            assert worker.log is not None  # noqa: S101 - only the first one has none
            self._drain(worker, worker.log)
            worker.log.close()
            metrics.append(worker.log.metrics)
        if failed is not None and not self._stopped:
            self._tell(failed)
        by_itself = failed is not None and not self._stopped
        summary = {"failed": failed.rank if failed and by_itself else None, "metrics": metrics}
        (self._work_dir / FOLDER / SUMMARY).write_text(json.dumps(summary), "utf-8")

    def _drain(self, worker: _Worker, log: JobLog) -> None:
        os.set_blocking(worker.out_fd, False)
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(worker.out_fd, _CHUNK_BYTES):
                log.take(chunk)

    def _tell(self, failed: _Worker) -> None:
        """Print the last lines of a worker, and take what it left for the engine for that of all."""
        if failed.rank == 0:
            return
        sys.stdout.write(f"[fiat] worker {failed.rank} of {self._size} failed; its last lines:\n")
        for line in last_lines(log_path(self._work_dir, failed.rank)):
            sys.stdout.write(f"[worker {failed.rank}] {line}\n")
        sys.stdout.flush()
        own = self._own_result(failed.rank)
        if own is not None and self._result is not None and own.is_file():
            own.replace(self._result)

    def _written_at(self, worker: _Worker) -> tuple[int, int]:
        """When a worker that ended wrote down how: of several that ended together the first one is the cause."""
        own = self._own_result(worker.rank)
        try:
            return (own.stat().st_mtime_ns, worker.rank) if own is not None else (0, worker.rank)
        except OSError:  # it had no time to write anything, so it was killed: nobody else's end does that
            return 0, worker.rank

    def _own_result(self, rank: int) -> Path | None:
        if self._result is None or rank == 0:
            return self._result
        return self._work_dir / FOLDER / str(rank) / self._result.name


def main(arguments: list[str]) -> int:
    """Start the workers; die of the signal that the first failing one died of."""
    options, _, *argv = arguments
    try:
        code = Launcher(json.loads(options), argv).run()
    except OSError as error:
        sys.stderr.write(f"[fiat] could not start the workers: program {argv[0]!r}: {error.strerror}\n")
        return _NOT_STARTED
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
