"""kill -9 at seeded moments of the way from a push to its statuses: nothing is lost, nothing is done twice."""

import os
import random
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.faults.runner_tiny import UMBRELLA, Pushed, TinyRunner, tiny_runner
from tests.store.conftest import PostgresCluster, postgres

__all__ = ["postgres"]  # the fixture

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SEED = int(os.environ.get("FIAT_KILL_SEED", "31"))
IN_FLIGHT, PULL_EVERY = 6, 8
BRANCHES = ("main", "release", "next")


@dataclass
class Killer:
    """Pushes and kills.

    Attributes:
        tiny: the runner.
        draw: seeded.
        kills: what was killed so far.
        factors: model factors to choose from on main; empty for none.
    """

    tiny: TinyRunner
    draw: random.Random
    factors: tuple[int, ...] = ()
    kills: list[str] = field(default_factory=list)
    salt: int = 0
    untold: list[Pushed] = field(default_factory=list)
    proposed: str = ""

    def push(self) -> None:
        """A new commit on some branch; one webhook in eight is lost."""
        self.salt += 1
        branch = self.draw.choice(BRANCHES)
        files = {"specs/chain/spec.yaml": self.tiny.chain(self.salt)}
        if branch == "main" and self.factors:
            files |= self.tiny.scale(self.draw.choice(self.factors))
        pushed = self.tiny.push(files, branch, tell=False)
        if self.draw.random() > 1 / 8 and not self.tiny.tell(pushed):
            self.untold.append(pushed)

    def propose(self) -> None:
        """A new head of the one pull request."""
        self.salt += 1
        commit = self.tiny.stage.commit({"specs/chain/spec.yaml": self.tiny.chain(self.salt)}, "a proposal")
        with suppress(OSError):  # its webhook may be lost: what the forge and git say counts
            self.tiny.stage.tell_pull(1, commit, action="synchronize" if self.proposed else "opened")
        self.proposed = commit

    def tell_again(self) -> None:
        """What was not acknowledged is sent again, as somebody at the forge presses the button."""
        self.untold = [pushed for pushed in self.untold if not self.tiny.tell(pushed)]

    def busy(self) -> int:
        """How many told commits are not over."""
        return sum(not self.tiny.is_final(pushed.commit) for pushed in self.tiny.told)

    def kill(self) -> None:
        """Kill the main process, a worker, everything, or PostgreSQL's end; what is killed whole is started again."""
        kinds, weights = ("main", "worker", "all", "server"), [35, 57, 8, 0]
        if self.tiny.database_url:
            weights = [30, 35, 5, 30]
        what = self.draw.choices(kinds, weights)[0]
        workers = self.tiny.workers()
        if what == "server":
            self.kill_backend()
        elif what == "worker" and workers:
            end(self.draw.choice(workers))
        elif what == "all":
            for process in self.tiny.processes():
                end(process)
            self.restart()
        else:
            what = "main"
            self.restart()
        self.kills.append(what)

    def kill_backend(self) -> None:
        """Kill a process of PostgreSQL that serves the runner: the server drops everybody and recovers."""
        mine = (
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        os.kill(int(self.draw.choice(sorted(self.tiny.execute(mine)))[0]), signal.SIGKILL)
        give_up = time.monotonic() + 30
        while True:
            try:
                self.tiny.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                assert time.monotonic() < give_up, "the server does not recover"
                time.sleep(0.05)

    def restart(self) -> None:
        """Kill the main process and start it again."""
        self.tiny.stage.kill()
        self.tiny.stage.start()


def end(process: psutil.Process) -> None:
    with suppress(psutil.Error):
        process.send_signal(signal.SIGKILL)


def kill_and_see(tiny: TinyRunner, kills: int, seed: int, factors: tuple[int, ...] = ()) -> None:
    """Push and kill, then let it end and look at every promise."""
    print(f"FIAT_KILL_SEED={SEED} repeats this")
    killer = Killer(tiny, random.Random(seed), factors)
    stage = tiny.stage
    for branch in BRANCHES:
        # Each branch begins with a commit of its own: a commit on two branches has a change of each.
        tiny.push({}, branch)
    while len(killer.kills) < kills:
        if len(killer.kills) % PULL_EVERY == 0:
            killer.propose()
        elif killer.busy() < IN_FLIGHT:
            killer.push()
        time.sleep(killer.draw.uniform(0.1, 0.5))
        killer.kill()
        killer.tell_again()
    heads = [stage.remote_head(branch) for branch in BRANCHES]
    told = [pushed.commit for pushed in tiny.told]
    stage.wait(lambda: tiny.is_final(killer.proposed, "fiat/pr"), "the pull request's check", 180)
    tiny.wait_final(*told, *heads, timeout_s=180)
    assert tiny.state_of(killer.proposed, "fiat/pr") == "success", tiny.said(killer.proposed, "fiat/pr")
    assert len(stage.forge.world.texts(1)) == 1, "one comment a pull request and spec, whatever happens"
    tiny.check_world()
    stage.stop()
    tiny.check_no_orphans()
    tiny.check_database()
    tiny.check_ledger(kills)
    for head in heads:
        assert tiny.state_of(head) == "success", (tiny.said(head, UMBRELLA), stage.log)
    for pushed in tiny.told:
        said = stage.description(pushed.commit, UMBRELLA)
        overtaken = "superseded by" in said or "has moved on to" in said
        assert tiny.state_of(pushed.commit) == "success" or overtaken, said
    print(f"{len(tiny.pushed)} pushes, {len(tiny.told)} told, killed: {killer.kills}")
    assert {"main", "worker"} <= set(killer.kills)


def test_seventy_kills_on_sqlite_lose_nothing_double_nothing_and_leave_the_right_model(
    tmp_path: Path,
) -> None:
    with tiny_runner(tmp_path, limits={"attempts": 60}) as tiny:
        tiny.watch_results()
        tiny.add_models(1, 2)
        tiny.stage.start()
        for factor in (1, 2):
            first = tiny.push(tiny.scale(factor) | {"specs/chain/spec.yaml": tiny.chain(f"first{factor}")})
            tiny.wait_final(first.commit)
            assert tiny.deployed_factor() == factor
        kill_and_see(tiny, 70, SEED, factors=(1, 2))
        wanted = tiny.stage.run_git("show", f"{tiny.stage.remote_head('main')}:specs/scale/spec.yaml")
        assert f"by: {tiny.deployed_factor():.0f}" in wanted


def test_thirty_kills_on_postgresql_lose_nothing_and_double_nothing(
    tmp_path: Path, postgres: PostgresCluster
) -> None:
    with tiny_runner(tmp_path, database_url=postgres.new_database(), limits={"attempts": 60}) as tiny:
        tiny.watch_results()
        tiny.stage.commit({"README.md": "a repository"}, "begin")
        tiny.stage.start()
        kill_and_see(tiny, 30, SEED + 1)
