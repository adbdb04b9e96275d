"""The program that starts the workers of a step on one machine: `python -m fiat.builtin.gang_launch OPTIONS -- ARGV`.

They meet on loopback, so they also work in a sandbox without the network. The first worker prints to the step's log;
what the others print goes to files in the work folder. When one fails all are ended, its last lines are printed, and
this program ends as it did; whatever the workers leave running its runner ends, as of any job.
"""

import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fiat import journal
from fiat.builtin.compute_machine import visible_gpus
from fiat.builtin.gang_door import hold_port
from fiat.builtin.gang_log import last_lines, log_path
from fiat.builtin.gang_seat import FOLDER, Seat, gpus_of, make_home, seated_argv, seated_env
from fiat.builtin.gang_worker import Worker

SUMMARY = "summary.json"
"""File in the folder of the workers: `failed` (rank or null), `ended` (ranks that had ended well by then), `metrics` of
those behind the first one, and `seen`: what their results say of files."""
_ADDRESS = "127.0.0.1"
_GRACE_S = 2.0
_NOT_STARTED = 127  # as shells say


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
        self._workers: list[Worker] = []
        self._poll = select.poll()
        self._stopped = False
        self._held: socket.socket | None = None
        self._ended: list[int] = []

    def run(self) -> int:
        """Follow all to their end.

        Returns:
            What `subprocess` calls a return code: of the first worker that failed, else 0.
        """
        failed = self._follow()
        for worker in self._workers:
            worker.close()
        if failed is not None and self._stopped:
            return failed.code or 1  # it did not fail by itself
        if failed is not None:
            self._tell(failed)
        self._summarize(failed)
        return failed.code or 1 if failed is not None else 0

    def start(self) -> None:
        """Start all.

        Raises:
            OSError: the program is not there, or can't be run.
        """
        signal.signal(signal.SIGTERM, self._hear_end)
        door = socket.socket()
        door.bind((_ADDRESS, 0))
        port = door.getsockname()[1]
        if self._store:
            door.listen()
        else:
            door.close()
            self._held = hold_port(_ADDRESS, port)
        gpus = tuple(part for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part)
        for rank in range(self._size):
            make_home(self._work_dir, rank)
            local = (0, 1) if gpus else (rank, self._size)
            seat = Seat(rank, self._size, *local, _ADDRESS, port, self._threads)
            env = seated_env(os.environ, seat, self._work_dir) | visible_gpus(gpus_of(gpus, rank, self._size))
            if self._store:
                env["FIAT_STORE_FD"] = str(door.fileno())
            passed = (door.fileno(),) if self._store and rank == 0 else ()
            argv = seated_argv(self._argv, rank, self._work_dir)
            self._workers.append(Worker(rank, argv, env, self._work_dir, self._poll, passed))
        door.close()

    def _follow(self) -> Worker | None:
        """Wait until all have ended, which they do when one of them fails; that one."""
        failed: Worker | None = None
        kill_at: float | None = None
        while any(worker.code is None for worker in self._workers):
            left_s = None if kill_at is None else max(0.0, kill_at - time.monotonic())
            ready = {fd for fd, _ in self._poll.poll(None if left_s is None else left_s * 1000 + 1)}
            ended = [worker for worker in self._workers if worker.look(ready)]
            self._look_at_losses()
            wrong = [worker for worker in ended if worker.code]
            if wrong and failed is None:
                self._ended = [worker.rank for worker in self._workers if worker.code == 0]
                failed = min(wrong, key=lambda worker: worker.written_at(self._result))
                self._send_all(signal.SIGTERM)
                kill_at = time.monotonic() + _GRACE_S
            elif kill_at is not None and time.monotonic() >= kill_at:
                self._send_all(signal.SIGKILL)
                kill_at = time.monotonic() + 0.2
        return failed

    def _look_at_losses(self) -> None:
        """Say again what makes the runner end the job: it reads the first worker's lines only."""
        lost = [worker for worker in self._workers if worker.log is not None and worker.log.lost_loss]
        metric = lost[0].log.lost_metric if lost and lost[0].log is not None else None
        if self._stop_on_nan and metric is not None:
            self._stop_on_nan = False
            name, number, step = metric
            sys.stdout.write(f"[fiat] worker {lost[0].rank} of {self._size}:\n")
            journal.log(step, **{name: number})

    def _hear_end(self, *_: object) -> None:
        """The runner tells all processes of the job, so each worker has heard it too: give them their time."""
        self._stopped = True

    def _send_all(self, number: int) -> None:
        for worker in self._workers:
            worker.send(number)

    def _summarize(self, failed: Worker | None) -> None:
        behind = [worker for worker in self._workers if worker.log is not None]
        summary = {
            "failed": None if failed is None else failed.rank,
            "ended": self._ended,
            "metrics": [worker.log.metrics for worker in behind if worker.log is not None],
            "seen": [worker.seen(self._result) for worker in behind],
        }
        try:
            (self._work_dir / FOLDER / SUMMARY).write_text(json.dumps(summary), "utf-8")
        except OSError as error:
            sys.stdout.write(f"[fiat] what the other workers logged could not be kept: {error.strerror}\n")

    def _tell(self, failed: Worker) -> None:
        """Print the last lines of a worker, and take what it left for the engine for that of all.

        Of programs nobody knows whether the first one only lost another one that failed: that one's lines are told too.
        """
        told = [failed] if failed.rank else []
        if not failed.rank and self._result is None:
            told = [worker for worker in self._workers if worker.rank and (worker.code or 0) > 0][:1]
        for worker in told:
            sys.stdout.write(f"[fiat] worker {worker.rank} of {self._size} failed; its last lines:\n")
            for line in last_lines(log_path(self._work_dir, worker.rank)):
                sys.stdout.write(f"[worker {worker.rank}] {line}\n")
        sys.stdout.flush()
        if failed.rank and self._result is not None and failed.own(self._result).is_file():
            failed.own(self._result).replace(self._result)


def main(arguments: list[str]) -> int:
    """Start the workers; die of the signal that the first failing one died of."""
    options, _, *argv = arguments
    launcher = Launcher(json.loads(options), argv)
    try:
        launcher.start()
    except OSError as error:
        sys.stderr.write(f"[fiat] could not start the workers: program {argv[0]!r}: {error.strerror}\n")
        return _NOT_STARTED
    code = launcher.run()
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
