"""kill -9 and SIGSTOP on everybody who uses the store, at random moments: nothing is lost, doubled or out of order."""

import contextlib
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "store"))
import queue_town
from queue_kit import Words, check, commit_of, queued
from queue_town import STEPS, Town, trying

from fiat.store.store import Store
from tests.store.conftest import PostgresCluster, postgres

__all__ = ["postgres"]  # the fixture

SEED = int(os.environ.get("FIAT_TEST_SEED", "20261121"))
ROLES = ("door", "worker 1", "worker 2", "worker 3", "sender")
KILLS, FREEZES, BACKEND_KILLS = 100, 8, 20
ATTEMPTS = 1_000
LEASE_S = 0.5


@dataclass
class Keeper:
    """Starts the processes again and again, splits changes, and takes runs from workers that don't beat."""

    town: Town
    store: Store
    living: dict[str, BaseProcess] = field(default_factory=dict)
    words: Words = field(default_factory=Words)
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    def keep(self) -> None:
        server = multiprocessing.get_context("forkserver")
        for role in ROLES:
            if role not in self.living or not self.living[role].is_alive():
                self.living[role] = server.Process(
                    target=queue_town.live, args=(self.town, role), daemon=True
                )
                self.living[role].start()
        trying(self._look)

    def _look(self) -> None:
        for one in self.store.changes.open():
            run = queued(int(one.id[-6:]), of=one)
            self.store.changes.split(one.id, [run], [check(run, "pending", "queued")], self.words)
        now = time.monotonic()
        pids = {process.pid for process in self.living.values()}
        for lease in self.store.queue.leases():
            beat, since = self._seen.get(lease.run, (-1, now))
            since = since if beat == lease.beat else now
            self._seen[lease.run] = lease.beat, since
            if int(lease.worker.rpartition(":")[2]) not in pids or now - since > LEASE_S:
                self.store.queue.expire(lease, "its worker is gone", ATTEMPTS, self.words)

    def begin(self) -> None:
        """Until all have started, which takes a moment the first time."""
        while not self.town.notes("forge"):
            self.keep_for(0.1)

    def keep_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.keep()
            time.sleep(0.01)

    def hit(self, role: str, how: int) -> None:
        process = self.living[role]
        with contextlib.suppress(ProcessLookupError):
            if process.is_alive() and process.pid:
                os.kill(process.pid, how)

    def finish(self) -> None:
        """No more pushes; all that were answered come to their end."""
        (self.town.folder / "closed").touch()
        until = time.monotonic() + 60
        while time.monotonic() < until:
            self.keep_for(0.2)
            acked = len(set(self.town.notes("acked")))
            over = [one for one in self.store.changes.newest(limit=10_000) if one.state == "done"]
            if len(over) >= acked and not self.store.outbox.counts() and not self.store.queue.leases():
                break
        for process in self.living.values():
            process.kill()
            process.join()

    def verify(self) -> int:
        """The promises; gives how many pushes there were."""
        assert self.town.notes("errors") == []
        acked = [int(line) for line in self.town.notes("acked")]
        changes = self.store.changes.newest(limit=10_000)
        commits = Counter(one.commit for one in changes)
        assert set(commits.values()) == {1}
        assert {commit_of(number) for number in acked} <= set(commits)
        runs = self.store.queue.newest(limit=10_000)
        assert len(runs) == len(changes)
        assert {(run.state, run.verdict) for run in runs} == {("done", "pass")}
        for run in runs:
            steps = self.store.runs.find(run.id).steps
            assert [(step.name, step.state) for step in steps] == [(step, "ran") for step in STEPS]
        # One row each by its key; that the first one to commit was kept is told by the fences, which only grow.
        for run in runs:
            fences = [self.store.results.find(f"{run.id} {step}").parts["fence"] for step in STEPS]  # type: ignore[union-attr]
            assert fences == sorted(fences)  # type: ignore[type-var]
        shown: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
        for line in self.town.notes("forge"):
            item_id, channel, state, text = line.split("\t")
            shown[channel].append((int(item_id), state, text))
        for one in changes:
            assert shown[f"{one.commit} fiat/push"][-1][1:] == ("success", "digits: judged")
            assert shown[f"{one.commit} fiat/push/digits"][-1][1:] == ("success", "judged")
        return len(acked)


def settle(keeper: Keeper, chance: random.Random, strikes: list[tuple[str, int]]) -> int:
    keeper.begin()
    for role, how in strikes:
        keeper.keep_for(chance.uniform(0.0, 0.1))
        keeper.hit(role, how)
        if how == signal.SIGSTOP:
            # Long enough to be taken over; on SQLite it may hold the whole store until it wakes up.
            until = time.monotonic() + chance.uniform(0.2, 2 * LEASE_S)
            while time.monotonic() < until:
                time.sleep(0.02)
            keeper.hit(role, signal.SIGCONT)
    keeper.finish()
    pushes = keeper.verify()
    print(f"FIAT_TEST_SEED={SEED}: {pushes} pushes through {len(strikes)} strikes")
    return pushes


def strikes_of(chance: random.Random) -> list[tuple[str, int]]:
    found = [(chance.choice(ROLES), int(signal.SIGKILL)) for _ in range(KILLS)]
    found += [(chance.choice(ROLES[1:]), int(signal.SIGSTOP)) for _ in range(FREEZES)]
    chance.shuffle(found)
    return found


@pytest.fixture(autouse=True)
def nursery() -> None:
    multiprocessing.get_context("forkserver").set_forkserver_preload(["queue_town", "psycopg"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_whoever_is_killed_or_frozen_every_push_comes_to_its_one_end(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    cluster: PostgresCluster | None = request.getfixturevalue("postgres") if kind == "postgres" else None
    town = Town(tmp_path, cluster.new_database() if cluster else None)
    chance = random.Random(SEED)
    with town.open() as store:
        assert settle(Keeper(town, store), chance, strikes_of(chance)) > 20
        if kind == "sqlite":
            assert store.database.read("PRAGMA integrity_check") == [("ok",)]


@pytest.mark.slow
def test_connections_that_the_server_cuts_at_any_moment_cost_nothing(
    tmp_path: Path,
    postgres: PostgresCluster,
) -> None:
    town = Town(tmp_path, postgres.new_database())
    chance = random.Random(SEED)
    with town.open() as store, psycopg.connect(town.url or "", autocommit=True) as axe:
        keeper = Keeper(town, store)
        keeper.begin()
        cut = 0
        for _ in range(BACKEND_KILLS):
            keeper.keep_for(chance.uniform(0.05, 0.25))
            cut += len(
                axe.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                ).fetchall()
            )
        keeper.finish()
        assert keeper.verify() > 10
        assert cut > BACKEND_KILLS
