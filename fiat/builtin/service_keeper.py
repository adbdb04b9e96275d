"""The keeper of a service: one small program that keeps its server alive and moves traffic as was asked.

Program: `python -m fiat.builtin.service_keeper FOLDER [--server MODULE] [--patience JSON]`. It may be killed at any
moment: what it decided is on disk before anything follows from it, its server lives on, and the next keeper finds both.
"""

import argparse
import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

from fiat.builtin.service_document import write_durably
from fiat.builtin.service_drive import Drive
from fiat.builtin.service_events import append_events
from fiat.builtin.service_ledger import Ledger, manifest_of, read_ledger, write_ledger
from fiat.builtin.service_moves import died, settled, take, with_event
from fiat.builtin.service_process import keeper_of, name_of
from fiat.builtin.service_server import Patience, Server
from fiat.builtin.service_shelf import rotate, sweep
from fiat.builtin.service_wanted import Wanted, read_wanted
from fiat.errors import FiatError
from fiat.serving.place import Place
from fiat.serving.release import read_manifest, write_manifest

PROGRAM = "fiat.serving.main"
_TURN_S = 0.1
_TIDY_EVERY_S = 2.0
_LOCK_TRIES = 20
Move = Callable[[Ledger], Ledger]


class Keeper:
    """Follows what is asked for.

    Args:
        place: of the service.
        server: looks after its process.
        patience: how long a candidate may take to load.
        clock: seconds since 1970.
    """

    def __init__(
        self, place: Place, server: Server, patience: Patience, clock: Callable[[], float] = time.time
    ) -> None:
        self._place, self._server, self._clock = place, server, clock
        self._drive = Drive(place, patience)
        self._ledger = Ledger()
        self._wanted: Wanted | None = None
        self._read_at: tuple[int, int] | None = None
        self._tidied = 0.0

    def begin(self) -> None:
        """Find out how far things are.

        Raises:
            FiatError: what is on disk can't be read.
            OSError: the disk refused.
        """
        self._ledger = read_ledger(self._place.rollout) or self._ledger
        append_events(self._place.folder, self._ledger.events)
        self._write_manifest()
        if self._server.adopt() is False:
            self._move(partial(died, now_s=self._clock(), how="died while nobody kept it"))

    def turn(self) -> bool:
        """Do what is to do now.

        Returns:
            Whether to go on.

        Raises:
            OSError: the disk refused; nothing that was decided is lost, and the next turn tries again.
        """
        if not self._place.folder.is_dir():
            self._server.stop()
            return False
        self._look_at_wanted()
        wanted = self._wanted
        if wanted is None:
            return True
        if wanted.stop:
            self._server.stop()
            told, about = "the service was stopped", self._ledger.stable
            move = partial(with_event, now_s=self._clock(), kind="stopped", sentence=told, about=about)
            self._move(move)
            return False
        faults = []
        # A full disk holds decisions up, but not the care for the server.
        for work in (self._take, self._serve, self._judge, self._tidy):
            try:
                work(wanted)
            except OSError as error:
                faults.append(error)
        if faults:
            raise faults[0]
        return True

    def _take(self, wanted: Wanted) -> None:
        self._move(partial(take, wanted=wanted, now_s=self._clock()))

    def _serve(self, wanted: Wanted) -> None:
        if manifest_of(self._ledger) is None:
            self._server.stop()
        elif how := self._server.turn(wanted.server, self._clock()):
            self._move(partial(died, now_s=self._clock(), how=how))

    def _judge(self, wanted: Wanted) -> None:
        self._move(partial(self._drive.move, server=self._server, wish=wanted.server, now_s=self._clock()))

    def _look_at_wanted(self) -> None:
        try:
            found = self._place.wanted.stat()
        except FileNotFoundError:
            return
        seen = (found.st_mtime_ns, found.st_ino)
        if seen != self._read_at:
            self._wanted = read_wanted(self._place.wanted)
            self._read_at = seen

    def _move(self, move: Move) -> None:
        """Take a step: on disk first, then known here, then followed by servers."""
        after = settled(self._ledger, move)
        if after is not self._ledger:
            write_ledger(self._place.rollout, after)
            self._ledger = after
            append_events(self._place.folder, after.events)
            self._write_manifest()

    def _write_manifest(self) -> None:
        manifest = manifest_of(self._ledger)
        if manifest is None:
            self._place.manifest.unlink(missing_ok=True)
            return
        with contextlib.suppress(FiatError):
            if read_manifest(self._place.manifest) == manifest:
                return
        write_manifest(self._place.manifest, manifest)

    def _tidy(self, _: Wanted) -> None:
        if time.monotonic() - self._tidied < _TIDY_EVERY_S:
            return
        self._tidied = time.monotonic()
        _sign(self._place)
        # Somebody may have changed what servers follow: what was decided stands.
        self._write_manifest()
        rotate(self._place.logs)
        sweep(self._place, self._ledger)


def main(arguments: list[str]) -> int:
    """Keep a service until it is stopped or its folder is gone."""
    parser = argparse.ArgumentParser(prog="service_keeper")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--server", default=PROGRAM)
    parser.add_argument("--patience", type=json.loads, default={})
    asked = parser.parse_args(arguments)
    place = Place(asked.folder.absolute())
    if os.fork():
        return 0
    os.setsid()
    with _lock(place) as held:
        if not held:
            return 0
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        patience = Patience(**asked.patience)
        keeper = Keeper(place, Server(place, asked.server, patience), patience)
        with contextlib.suppress(OSError):  # a full disk: it is tried again, and the server is cared for
            _sign(place)
        try:
            keeper.begin()
        except (OSError, FiatError) as error:
            _say(str(error))
            return 3
        _run(keeper)
    return 0


def _run(keeper: Keeper) -> None:
    told = ""
    while True:
        try:
            if not keeper.turn():
                return
            told = ""
        except (OSError, FiatError) as error:
            # A full disk or a broken file ends no server: it is said once, and tried again.
            if str(error) != told:
                told = str(error)
                _say(told)
            time.sleep(1.0)
        time.sleep(_TURN_S)


def _sign(place: Place) -> None:
    """Show that this keeper moves."""
    name = name_of(os.getpid())
    if keeper_of(place) != name:
        write_durably(place.keeper, asdict(name))
    os.utime(place.keeper)


def _say(sentence: str) -> None:
    with contextlib.suppress(OSError):  # its log lies on the same disk, which may be full
        print(f"{time.strftime('%FT%TZ', time.gmtime())} {sentence}", flush=True)


@contextlib.contextmanager
def _lock(place: Place) -> Iterator[bool]:
    descriptor = os.open(place.folder / "keeper.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.05)
            else:
                yield True
                return
        yield False
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
