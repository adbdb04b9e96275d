"""Two runner processes on one PostgreSQL and one folder: two hundred pushes, a restart of the server, each run once."""

import json
import subprocess
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.e2e.hook_words import ZEROS
from tests.e2e.repo_stage import MONA, RepoStage
from tests.e2e.runner_process import RunnerProcess
from tests.e2e.runner_stage import RunnerStage, runner_stage
from tests.faults.runner_tiny import free_port
from tests.store.conftest import PostgresCluster, postgres

__all__ = ["postgres"]  # the fixture

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
REPOSITORIES, BRANCHES = 10, 20
WORKERS = 2
FINAL = ("success", "failure", "error")
SPEC = """\
fiat: 1
name: tiny
params: {{salt: {salt}}}
steps:
  only: {{run: "echo ${{params.salt}} >> {ledger}; echo > {{out.o}}", out: {{o: file}}, code: []}}
"""


@dataclass(frozen=True)
class Pushed:
    """A commit on a branch of its own."""

    repo: RepoStage
    branch: str
    commit: str
    delivery: str = field(default_factory=lambda: str(uuid.uuid4()))


def push_all(repo: RepoStage, ledger: Path) -> list[Pushed]:
    """A commit on each of many branches, pushed at once."""
    stream = []
    for number in range(BRANCHES):
        spec = SPEC.format(salt=f"{repo.name.replace('/', '-')}-{number}", ledger=ledger)
        stream.append(
            f"commit refs/heads/b{number}\ncommitter Mona <mona@example.org> 1700000000 +0000\n"
            f"data 4\nmade\nM 100644 inline spec.yaml\ndata {len(spec)}\n{spec}\n"
        )
    subprocess.run(
        ["git", "-C", str(repo.clone), "fast-import", "--quiet"], input="".join(stream).encode(), check=True
    )
    repo.run_git("push", "-q", repo.address, "refs/heads/*:refs/heads/*")
    said = repo.run_git("for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads")
    return [Pushed(repo, *line.split()) for line in said.splitlines()]


def tell(process: RunnerProcess, pushed: Pushed) -> None:
    """The webhook of a push; sent again with the same id until it is taken, as somebody at the forge would."""
    place = pushed.repo.place
    event, body = place.push(f"refs/heads/{pushed.branch}", pushed.commit, ZEROS, MONA)
    data = json.dumps(body).encode()
    headers = place.headers(event, data, pushed.delivery)
    give_up = time.monotonic() + 60
    while process.ask("POST", f"/webhook/{place.flavour}", data, headers).status != 202:
        assert time.monotonic() < give_up, "the webhook is not taken"
        time.sleep(0.2)


def ask(url: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as server:
        return server.execute(sql).fetchall()


def worker_pids(process: RunnerProcess) -> set[int]:
    """Workers that a runner has now."""
    assert process.process is not None
    found = set()
    for child in psutil.Process(process.process.pid).children():
        with suppress(psutil.NoSuchProcess):
            if "fiat.wiring.worker" in child.cmdline():
                found.add(child.pid)
    return found


def make_repositories(stage: RunnerStage) -> list[RepoStage]:
    stage.entry["branches"] = ["*"]
    return [stage, *(stage.add(f"acme/models-{n}", branches=["*"]) for n in range(1, REPOSITORIES))]


def test_two_runners_do_two_hundred_pushes_once_each_through_a_restart_of_the_server(
    tmp_path: Path, postgres: PostgresCluster
) -> None:
    url, ledger = postgres.new_database(), tmp_path / "ledger"
    with runner_stage(tmp_path, workers=WORKERS) as stage:
        repositories = make_repositories(stage)
        stage.settings |= {"sandbox": {"kind": "none"}, "database": {"env": "DATABASE_URL"}}
        stage.environment["DATABASE_URL"] = url
        port = free_port()
        other = RunnerProcess(tmp_path, {**stage.settings, "listen": {"port": port}}, stage.environment, port)
        stage.start()
        other.start(config="other.yaml")
        try:
            pids: tuple[set[int], set[int]] = (set(), set())
            pushed: list[Pushed] = []
            with ThreadPoolExecutor(16) as pool:
                for repo in repositories:
                    told = push_all(repo, ledger)
                    if not pushed:
                        # The same delivery, fifty times at once, at both.
                        list(pool.map(lambda process: tell(process, told[0]), [stage, other] * 25))  # noqa: B023
                    pushed += told
                    list(pool.map(lambda one: tell(stage if int(one.branch[1:]) % 2 else other, one), told))
                    if repo is repositories[REPOSITORIES // 2]:
                        postgres.restart()

            def over() -> bool:
                for seen, process in zip(pids, (stage, other), strict=True):
                    seen |= worker_pids(process)
                return all(final(one) for one in pushed)

            stage.wait(over, "every commit to be over", 300)
            stage.wait(
                lambda: ask(url, "SELECT 1 FROM outbox WHERE state = 'waiting'") == [], "the last reports"
            )
        finally:
            other.stop()
        stage.stop()
        check(url, ledger, pushed)
        ran = {row[0] for row in ask(url, "SELECT DISTINCT pid FROM runs")}
        assert all(ran & one for one in pids), "one of the two runners did nothing"


def final(one: Pushed) -> bool:
    contexts = one.repo.forge.world.contexts(one.commit)
    return len(contexts) == 2 and all(state in FINAL for state in contexts.values())


def check(url: str, ledger: Path, pushed: list[Pushed]) -> None:
    """Each push is one change, one run, one result, two checks that ended once and well."""
    assert len(pushed) == REPOSITORIES * BRANCHES
    for one in pushed:
        world = one.repo.forge.world
        assert world.contexts(one.commit) == {"fiat/push": "success", "fiat/push/tiny": "success"}
        assert world.unfinished() == []
        assert world.taken_back() == []
    for table in ("changes", "queue"):
        rows = Counter(row[0] for row in ask(url, f"SELECT commit_id FROM {table}"))
        assert rows == Counter(one.commit for one in pushed), table
        assert ask(url, f"SELECT DISTINCT state FROM {table}") == [("done",)]
    assert ask(url, "SELECT COUNT(*) FROM results") == [(len(pushed),)]
    assert ask(url, "SELECT COUNT(*) FROM deliveries") == [(len(pushed),)]
    done = Counter(ledger.read_text().split())
    assert len(done) == len(pushed)
    # What ran while the server restarted may have had to run again, and nothing else.
    assert sum(done.values()) - len(done) <= 2 * WORKERS
