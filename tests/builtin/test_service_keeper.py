"""The keeper is killed before each of its steps towards the disk: what servers follow is always what was decided."""

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from fiat.builtin.service_events import append_events, events_path, read_events
from fiat.builtin.service_keeper import Keeper
from fiat.builtin.service_ledger import manifest_of, read_ledger
from fiat.builtin.service_server import Patience, Server
from fiat.builtin.service_shelf import rotate
from fiat.builtin.service_wanted import Candidate, ServerWish, Wanted, write_wanted
from fiat.serving.counts import Counts, VersionCounts, WorkerCounts
from fiat.serving.place import Place
from fiat.serving.release import read_manifest
from fiat.serving.rollout_plan import RolloutPlan, Stage
from fiat.testing.moments import killed_at

PLAN = RolloutPlan((Stage("step", 10, 1, 5), Stage("step", 100, 1, 5)))


class QuietServer:
    """A server that is up and does what it is told at once."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.requests = 0
        self.answers = True

    def adopt(self) -> bool:
        return True

    def turn(self, wish: ServerWish, now_s: float) -> str:
        """Tell counts as a server does that follows the manifest."""
        self.place.counts.mkdir(exist_ok=True)
        manifest = read_manifest(self.place.manifest)
        self.requests += 20
        counts = Counts(requests=self.requests)
        versions = tuple(VersionCounts(v.name, v.digest, "ready", counts=counts) for v in manifest.versions)
        WorkerCounts(0, 1, 1.0, now_s, manifest.serial, 0, 0, 0, 0, {"m": versions}).write(self.place.counts)
        return ""

    def stop(self) -> None:
        self.answers = False


def keeper_at(place: Place, clock: Callable[[], float]) -> Keeper:
    return Keeper(place, cast(Server, QuietServer(place)), Patience(), clock)


def ask(place: Place, serial: int) -> None:
    version = Candidate(f"{serial}", f"d{serial}.dir", f"releases/d{serial}.dir", serial)
    (place.releases / f"d{serial}.dir").mkdir(parents=True, exist_ok=True)
    write_wanted(place.wanted, Wanted(serial, "m", version, PLAN))


def run(place: Place, turns: int, began_s: float) -> None:
    ticks = itertools.count()
    keeper = keeper_at(place, lambda: began_s + next(ticks) * 0.1)
    keeper.begin()
    for _ in range(turns):
        keeper.turn()


def place_with_one(folder: Path) -> Place:
    place = Place(folder)
    place.folder.mkdir()
    place.logs.mkdir()
    ask(place, 1)
    run(place, 4, 1000.0)
    ledger = read_ledger(place.rollout)
    assert ledger is not None
    assert ledger.stable is not None
    return place


@pytest.mark.slow
def test_killed_at_any_step_servers_follow_what_was_decided_and_nothing_is_told_twice(tmp_path: Path) -> None:
    for moment in itertools.count(1, 7):
        place = place_with_one(tmp_path / f"service{moment}")
        ask(place, 2)
        ending = killed_at(lambda at=place: run(at, 30, 2000.0), moment)  # type: ignore[misc]
        assert read_manifest(place.manifest).versions, f"killed at step {moment}"
        run(place, 40, 3000.0)
        ledger = read_ledger(place.rollout)
        assert ledger is not None
        assert read_manifest(place.manifest) == manifest_of(ledger), f"killed at step {moment}"
        assert (ledger.moving, ledger.stable and ledger.stable.name) == (None, "2"), (
            f"killed at step {moment}"
        )
        told = [(event.n, event.kind) for event in read_events(place.folder)]
        expected = ["loading", "promoted", "loading", "stage", "stage", "promoted"]
        assert told == list(enumerate(expected, start=1)), f"killed at step {moment}"
        if ending == "done":
            assert moment > 100
            return
        assert ending == "killed"


def test_a_full_disk_holds_decisions_up_and_loses_none(tmp_path: Path) -> None:
    place = place_with_one(tmp_path / "service")
    ask(place, 2)
    keeper = keeper_at(place, lambda: 2000.0)
    keeper.begin()
    before = place.rollout.read_bytes()
    # A folder where the draft would be: every write of the ledger fails.
    (place.folder / "unfinished.rollout.json").mkdir()
    for _ in range(2):
        with pytest.raises(OSError):
            keeper.turn()
    assert place.rollout.read_bytes() == before
    (place.folder / "unfinished.rollout.json").rmdir()
    for _ in range(4):
        keeper.turn()
    ledger = read_ledger(place.rollout)
    assert ledger is not None
    assert ledger.moving is not None
    assert ledger.moving.rollout is not None


def test_what_nobody_needs_is_swept_and_what_somebody_needs_is_not(tmp_path: Path) -> None:
    place = place_with_one(tmp_path / "service")
    for name in ("d0.dir", "d1.dir+1", "unfinished.x", "d1.dir.sig", "d0.dir.sig"):
        path = place.releases / name
        if name.endswith(".sig"):
            path.write_text("signed")
        else:
            path.mkdir()
    keeper = keeper_at(place, time.time)
    keeper.begin()
    keeper.turn()
    assert {path.name for path in place.releases.iterdir()} == {"d1.dir", "d1.dir.sig"}


def test_events_are_numbered_bounded_and_survive_a_line_that_was_cut_off(tmp_path: Path) -> None:
    place = place_with_one(tmp_path / "service")
    (first, *_) = read_events(place.folder)
    path = events_path(place.folder)
    with path.open("a") as file:
        file.write('{"n": 3, "at')
    third = replace(first, n=3, sentence="again")
    append_events(place.folder, [third])
    append_events(place.folder, [third])
    assert [event.n for event in read_events(place.folder)] == [1, 2, 3]
    assert read_events(place.folder, after=2) == (third,)
    for n in range(4, 40):
        append_events(place.folder, [replace(first, n=n, sentence="x" * 50_000)])
    assert path.stat().st_size < (1 << 20) + 100_000
    numbers = [event.n for event in read_events(place.folder)]
    assert numbers == list(range(numbers[0], 40))


def test_a_log_that_is_large_moves_aside_and_its_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    with path.open("ab") as log:
        log.write(b"x" * 2000)
        log.flush()
        rotate(tmp_path, most_bytes=1000)
        log.write(b"next")
    assert path.read_bytes() == b"next"
    assert (tmp_path / "server.log.1").stat().st_size == 2000
