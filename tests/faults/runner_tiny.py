"""A runner with specs that cost next to nothing: a chain of shell steps, and a model that is copied, judged and deployed.

The chain's steps write into a ledger outside of the store whenever they are executed, so that a test sees what was done
twice; and a trigger of the database itself writes down each result that is committed.
"""

import fcntl
import socket
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnx
import psutil
import psycopg
from onnx import TensorProto, helper

from fiat.store.store import Store, open_store
from tests.e2e.repo_stage import FINAL, MONA
from tests.e2e.runner_stage import Answer, RunnerStage, runner_stage

UMBRELLA, CHAIN, MODEL = "fiat/push", "fiat/push/chain", "fiat/push/scale"
STEPS = ("one", "two", "three")
_WITNESS = ("CREATE TABLE witness (fingerprint TEXT, run TEXT, step TEXT)",)
_SQLITE_TRIGGERS = tuple(
    f"CREATE TRIGGER witness_{word} AFTER {event} ON results BEGIN "
    "INSERT INTO witness VALUES (new.fingerprint, new.run, new.step); END"
    for word, event in (("insert", "INSERT"), ("update", "UPDATE OF body"))
)
_POSTGRES_TRIGGERS = (
    """CREATE FUNCTION witness_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO witness VALUES (new.fingerprint, new.run, new.step); RETURN NULL; END $$""",
    "CREATE TRIGGER witness AFTER INSERT OR UPDATE OF body ON results FOR EACH ROW EXECUTE FUNCTION witness_it()",
)


@dataclass(frozen=True)
class Pushed:
    """A commit that was pushed.

    Attributes:
        commit: its hash.
        branch: where to.
        before: what the branch was at before.
        delivery: id of the webhook that tells of it.
    """

    commit: str
    branch: str
    before: str
    delivery: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass
class TinyRunner:
    """A runner, its world, and what was pushed.

    Attributes:
        stage: the program, git and the forge.
        ledger: one line an execution of a step of the chain: `step salt run`.
        database_url: of PostgreSQL, empty for SQLite.
        told: pushes that the runner answered with 2xx.
        pushed: every push.
    """

    stage: RunnerStage
    ledger: Path
    database_url: str = ""
    told: list[Pushed] = field(default_factory=list)
    pushed: list[Pushed] = field(default_factory=list)

    # What is pushed.

    def chain(
        self,
        salt: object,
        *,
        sleep_s: float = 0.05,
        first_s: float | None = None,
        name: str = "chain",
        code: str = "",
    ) -> str:
        """Text of a spec of three steps, each made of the one before; whose `salt` makes all of it new.

        Args:
            salt: part of everything that is made.
            sleep_s: how long each step takes.
            first_s: how long the first execution of the first step takes; left out: as long as any.
            name: of the spec.
            code: pattern of the files that the steps are made of.
        """
        lines = ["fiat: 1", f"name: {name}", f"params: {{salt: {salt}}}", "steps:"]
        before = ""
        for step in STEPS:
            lock = self.ledger.with_name(f"lock-{name}-{step}-{salt}")
            taken = f"exec 9>{lock}; flock -n 9 || echo overlap {salt} $FIAT_RUN >> {self.ledger}"
            noted = f"echo {step} {salt} $FIAT_RUN >> {self.ledger}"
            made = f"cat {{{before}.o}} > {{out.o}}; " if before else ""
            takes = f"sleep {sleep_s}"
            if first_s is not None and step == STEPS[0]:
                takes = f"if mkdir {lock}.once 2>/dev/null; then sleep {first_s}; else {takes}; fi"
            command = f"{taken}; {noted}; {takes}; {made}echo {step} {salt} >> {{out.o}}"
            lines += [f"  {step}:", f'    run: "{command}"', "    out: {o: file}"]
            lines += [f'    code: ["{code}"]' if code else "    code: []"]
            before = step
        return "\n".join(lines) + "\n"

    def scale(self, by: int, *, sleep_s: float = 0) -> dict[str, str]:
        """A spec that deploys the model that multiplies by a number, after so long a training, and what it needs."""
        rows = "".join(f"{number},{number}.5,{number}.0\n" for number in range(40))
        spec = (
            f"fiat: 1\nname: scale\nparams: {{by: {by}}}\n"
            "data: {rows: {source: {path: specs/scale/rows.csv}, label: y, split: {train: 1, test: 1, key: id}}}\n"
            'train: {run: "sleep SECONDS; cp specs/scale/${params.by}.onnx {out.model}", code: ["specs/scale/*.onnx"]}\n'
            "evaluate: {metrics: [mae]}\n"
            "deploy: {shelf: {to: directory, path: models}}\n"
        ).replace("SECONDS", str(sleep_s))
        return {"specs/scale/spec.yaml": spec, "specs/scale/rows.csv": "id,x,y\n" + rows}

    def add_models(self, *factors: int) -> None:
        """Put models into the clone; the next commit has them."""
        folder = self.stage.clone / "specs" / "scale"
        folder.mkdir(parents=True, exist_ok=True)
        for factor in factors:
            (folder / f"{factor}.onnx").write_bytes(scaling_model(factor))

    def deployed_factor(self) -> float | None:
        """What the deployed model multiplies by; None while there is none."""
        path = self.stage.shelf / "models" / "scale" / "model.onnx"
        if not path.exists():
            return None
        (weight,) = onnx.load(str(path)).graph.initializer
        return float(onnx.numpy_helper.to_array(weight)[0])

    def push(self, files: Mapping[str, str], branch: str = "main", *, tell: bool = True) -> Pushed:
        """Commit and push; and tell the runner."""
        stage = self.stage
        before = stage.remote_head(branch)
        commit = stage.commit(files, f"for {branch}")
        stage.run_git("push", "-q", "--force", stage.address, f"HEAD:refs/heads/{branch}")
        pushed = Pushed(commit, branch, before)
        self.pushed.append(pushed)
        if tell:
            self.tell(pushed)
        return pushed

    def tell(self, pushed: Pushed) -> bool:
        """Send the webhook of a push, as often as you like with one id; gives whether it was taken."""
        try:
            answer = self.answer_to(pushed)
        except OSError:
            return False
        if answer.status not in (200, 202):
            return False
        if pushed not in self.told:
            self.told.append(pushed)
        return True

    def answer_to(self, pushed: Pushed) -> Answer:
        """The runner's answer to the webhook of a push."""
        event, body = self.stage.place.push(f"refs/heads/{pushed.branch}", pushed.commit, pushed.before, MONA)
        return self.stage.tell(event, body, delivery=pushed.delivery)

    # What came of it.

    def state_of(self, commit: str, context: str = UMBRELLA) -> str:
        """The state that the forge shows."""
        return self.stage.forge.world.last(commit, context)

    def is_final(self, commit: str, context: str = UMBRELLA) -> bool:
        """Whether the forge shows a final state."""
        return self.state_of(commit, context) in FINAL

    def wait_final_of(self, commit: str, timeout_s: float = 90.0) -> None:
        """Wait until a commit as a whole stands final, whatever else is open."""
        self.stage.wait(lambda: self.is_final(commit), f"{commit[:8]} to be over", timeout_s)

    def wait_final(self, *commits: str, timeout_s: float = 90.0) -> None:
        """Wait until commits, and every check that they have, stand final, and nothing waits to be sent."""

        def over() -> bool:
            open_ones = {commit for commit, _ in self.stage.forge.world.unfinished()}
            return (
                all(self.is_final(commit) and commit not in open_ones for commit in commits)
                and self.execute("SELECT id FROM outbox WHERE state = 'waiting'") == []
            )

        self.stage.wait(over, f"{[commit[:8] for commit in commits]} to be over", timeout_s)

    def wait_executed(self, step: str, salt: str, timeout_s: float = 60.0) -> None:
        """Wait until a step of a chain has begun."""
        self.stage.wait(lambda: self.executions()[step, salt], f"{step} of {salt} to begin", timeout_s)

    def looks(self) -> int:
        """How often git was asked for something over HTTP."""
        return sum("info/refs" in asked.path for asked in list(self.stage.git.asked))

    def look(self, *, since: int | None = None) -> None:
        """Wait until the runner, which looks once a second, has looked at git, and has split what it saw.

        Args:
            since: git had been asked so often before; left out: now.
        """
        wanted = (self.looks() if since is None else since) + 2
        time.sleep(2.2)
        self.stage.wait(lambda: self.looks() >= wanted, "a look at git", 30)
        still = "SELECT id FROM changes WHERE state = 'new'"
        self.stage.wait(lambda: not self.execute(still), "every change to be split", 30)

    def generation(self) -> int:
        """Number of the newest deploy of the model."""
        return int((self.stage.shelf / "models" / ".scale" / "generation").read_text().split()[0])

    def deploying(self) -> psutil.Process:
        """The worker that deploys; waits for it."""
        pids: list[int] = []

        def begun() -> bool:
            rows = self.execute("SELECT worker FROM queue WHERE state = 'running' AND phase = 'deploy'")
            pids[:] = [int(str(row[0]).split(":")[1]) for row in rows]
            return len(pids) == 1

        self.stage.wait(begun, "a deploy to begin", 60)
        return psutil.Process(pids[0])

    @contextmanager
    def target_held(self) -> Iterator[None]:
        """Hold the lock of the deployed model, as another deploy would: who deploys now waits in the middle of it."""
        shelf = self.stage.shelf / "models" / ".scale"
        shelf.mkdir(parents=True, exist_ok=True)
        with (shelf / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the runner's database."""
        if self.database_url:
            with psycopg.connect(self.database_url, autocommit=True) as server:
                found = server.execute(sql)
                return found.fetchall() if found.description else []
        file = sqlite3.connect(self.stage.store / "store.db", timeout=30)
        try:
            with file:
                return file.execute(sql).fetchall()
        finally:
            file.close()

    def open_store(self) -> Store:
        """A connection of the test's own, as another process of the runner would have it."""
        return open_store(self.stage.store, url=self.database_url or None, now=lambda: datetime.now(UTC))

    def watch_results(self) -> None:
        """Make the tables, before the runner does, with a witness of everything that is committed to `results`."""
        self.open_store().close()
        for sql in (*_WITNESS, *(_POSTGRES_TRIGGERS if self.database_url else _SQLITE_TRIGGERS)):
            self.execute(sql)

    def executions(self) -> Counter[tuple[str, str]]:
        """How often each (step, salt) of a chain was executed."""
        lines = self.ledger.read_text().splitlines() if self.ledger.exists() else []
        return Counter((line.split()[0], line.split()[1]) for line in lines)

    def said(self, commit: str, context: str) -> list[tuple[str, str, str]]:
        """Everything that the forge was told in a context: (state, description, link)."""
        return [
            (seen.state, seen.description, seen.url)
            for seen in self.stage.forge.world.seen
            if (seen.commit, seen.context) == (commit, context)
        ]

    # Promises.

    def check_world(self) -> None:
        """No check is open, none was taken back, none ended in two ways; nothing is left to be sent."""
        world = self.stage.forge.world
        assert world.unfinished() == []
        assert not world.taken_back(), [self.said(*key) for key in world.taken_back()]
        for commit, context in {(seen.commit, seen.context) for seen in world.seen}:
            ends = {state for state in world.states(commit, context) if state in FINAL}
            assert len(ends) == 1, self.said(commit, context)

    def check_database(self) -> None:
        """Each acknowledged push made one change; a commit has at most one run of a spec; no result came twice."""
        self.check_ends()
        changes = Counter(row[0] for row in self.execute("SELECT commit_id FROM changes"))
        for pushed in self.told:
            assert changes[pushed.commit] == 1, f"{pushed} made {changes[pushed.commit]} changes"
        assert max(changes.values(), default=0) <= 1, changes
        runs = Counter(self.execute("SELECT commit_id, spec FROM queue"))
        assert max(runs.values(), default=0) <= 1, runs

    def check_ends(self) -> None:
        """Nothing is open in the database, and no result was committed twice."""
        if not self.database_url:
            assert self.execute("PRAGMA integrity_check") == [("ok",)]
        assert self.execute("SELECT id, state FROM queue WHERE state <> 'done'") == []
        assert self.execute("SELECT id, state FROM changes WHERE state <> 'done'") == []
        assert self.execute("SELECT id FROM runs WHERE state = 'running'") == []
        twice = "SELECT fingerprint, COUNT(*) FROM witness GROUP BY fingerprint HAVING COUNT(*) > 1"
        assert self.execute(twice) == []

    def check_ledger(self, kills: int) -> None:
        """Nothing ran twice at a time; and what ran again was no more than what was killed."""
        done = self.executions()
        assert not [key for key in done if key[0] == "overlap"], done
        assert sum(done.values()) - len(done) <= kills, done

    def processes(self) -> list[psutil.Process]:
        """Every process that the runner has, or that it left behind: their home is below the test's folder."""
        mine = str(self.stage.folder)
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                home = process.environ().get("HOME", "")
                served = home.startswith(str(self.stage.git.folder))
                if home.startswith(mine) and not served and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def workers(self) -> list[psutil.Process]:
        """Worker processes that live."""
        found = []
        for process in self.processes():
            with suppress(psutil.Error):
                if "fiat.wiring.worker" in process.cmdline():
                    found.append(process)
        return found

    def check_no_orphans(self, within_s: float = 15.0) -> None:
        """After the end of the runner nothing of it is left."""
        give_up = time.monotonic() + within_s
        while left := self.processes():
            assert time.monotonic() < give_up, [process.cmdline() for process in left]
            time.sleep(0.1)


@contextmanager
def tiny_runner(
    folder: Path, *, workers: int = 2, database_url: str = "", flavour: str = "github", **settings: Any
) -> Iterator[TinyRunner]:
    """A world with such a runner, not started yet. Its code runs without a sandbox, so that it can write the ledger."""
    with runner_stage(folder, workers=workers, flavour=flavour) as stage:
        stage.settings["sandbox"] = {"kind": "none"}
        stage.entry["branches"] = ["*"]
        stage.settings.update(settings)
        if database_url:
            stage.environment["DATABASE_URL"] = database_url
            stage.settings["database"] = {"env": "DATABASE_URL"}
        yield TinyRunner(stage, folder / "ledger", database_url)


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def scaling_model(factor: int) -> bytes:
    """An ONNX model of one multiplication."""
    graph = helper.make_graph(
        [helper.make_node("Mul", ["features", "factor"], ["y"])],
        "scale",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor("factor", TensorProto.FLOAT, [1], [float(factor)])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(made.SerializeToString())
