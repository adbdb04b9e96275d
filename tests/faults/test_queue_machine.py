"""Any order of events, with kill -9 among them: the promises of the queue hold at every moment and at the end."""

import contextlib
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

sys.path.insert(0, str(Path(__file__).parent.parent / "store"))
from queue_kit import Words, change, check, commit_of, delivery, queued, taking, umbrella, utc_now

from fiat.errors import Fenced, Stalled
from fiat.run.model import Result, Run, StepResult
from fiat.run.queue import QueuedRun
from fiat.run.report import Check
from fiat.store.deliveries import Taking
from fiat.store.fence import Fence
from fiat.store.store import Store, open_store

ATTEMPTS = 3
# What is tried here is the order of events, thousands of them; no disk has to be waited for.
MEMORY = Path("/dev/shm")
Deed = Literal["step", "deploy", "finish", "give back", "beat"]
DEEDS: tuple[Deed, ...] = ("step", "deploy", "finish", "give back", "beat")
WALKS: tuple[tuple[Deed, ...], ...] = ((), ("step",), ("deploy",), ("step", "deploy", "finish"), ("finish",))


class Killed(Exception):
    """The process died in the middle of a transaction."""


class QueueMachine(RuleBasedStateMachine):
    """Deliveries come, workers walk, a sender sends, and each of them may die or freeze between any two statements."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.root = Path(self.folder.name) / ".fiat"
        self.store = self.open()
        self.words = Words()
        self.ids: set[str] = set()
        self.bodies: set[int] = set()
        self.known: list[int] = []
        # All claims that were ever made: a worker may wake up long after it was taken over.
        self.claims: list[QueuedRun] = []
        self.deploying: set[str] = set()
        self.committed: dict[tuple[str, str], int] = defaultdict(int)
        self.ended: dict[str, tuple[str | None, str]] = {}
        self.shown: dict[str, list[tuple[int, Check]]] = defaultdict(list)
        self.on_the_wire: list[int] = []

    def open(self, run: QueuedRun | None = None) -> Store:
        return open_store(self.root, now=utc_now, fence=Fence(run.id, run.fence) if run else None)

    def teardown(self) -> None:
        try:
            self.drain()
        finally:
            self.store.close()
            self.folder.cleanup()

    @initialize()
    def begin(self) -> None:
        self.push(by_git=False, supersede=True, split=True)

    @rule(by_git=st.booleans(), supersede=st.booleans(), split=st.sampled_from([True, True, False]))
    def push(self, by_git: bool, supersede: bool, split: bool) -> None:
        """A commit that was never seen; it may take a while until it is looked at, and a newer one be first."""
        number = len(self.known)
        self.known.append(number)
        if by_git:
            assert self.store.changes.add(change(number), [umbrella(number)])
        else:
            self.tell(number, 0)
        if split:
            self.split(-1, supersede)

    @rule(place=st.integers(0, 20), other=st.integers(0, 2))
    def tell_again(self, place: int, other: int) -> None:
        self.tell(self.known[place % len(self.known)], other)

    def tell(self, number: int, other: int) -> None:
        """The same id again is a redelivery, the same body under another id a replay."""
        told = Taking(delivery(number, id=f"{number} {other}"), taking(number).wanted)
        expected = "again" if told.delivery.id in self.ids else "replay" if number in self.bodies else "new"
        assert self.store.deliveries.take([told]) == [expected]
        self.ids.add(told.delivery.id)
        self.bodies.add(number)

    @rule(place=st.integers(-1, 0), supersede=st.booleans())
    def split(self, place: int, supersede: bool) -> None:
        found = self.store.changes.open()
        if found:
            one = found[place]
            number = int(one.id[-6:])
            runs = [
                queued(number, "a", of=one, group="g", supersede=supersede, priority=1),
                queued(number, "b", of=one),
            ]
            reports = [check(run, "pending", "queued") for run in runs]
            self.store.changes.split(one.id, runs, reports, self.words)

    @rule(worker=st.sampled_from(["w1", "w2"]), deeds=st.sampled_from(WALKS))
    def work(self, worker: str, deeds: tuple[Deed, ...]) -> None:
        run = self.store.queue.claim(worker)
        if run is None:
            return
        assert run.attempt <= ATTEMPTS
        self.claims.append(run)
        record = Run(
            run.id, run.spec, "", "", "", run.commit, "main", False, (), {}, "running", None, "", utc_now()
        )
        with self.open(run) as own:
            own.runs.add(record, again=True)
        for deed in deeds:
            self.do(run, deed)

    @precondition(lambda self: self.claims)
    @rule(place=st.integers(0, 20), deed=st.sampled_from(DEEDS))
    def go_on(self, place: int, deed: Deed) -> None:
        """Any worker that ever had a claim, taken over or not."""
        self.do(self.claims[-1 - place % len(self.claims)], deed)

    def do(self, run: QueuedRun, deed: Deed) -> None:
        with contextlib.suppress(Fenced, Stalled):
            if deed == "beat":
                self.store.queue.beat(run.id, run.fence)
            elif deed == "step":
                self.commit_a_step(run)
            elif deed == "deploy":
                self.store.queue.begin_deploy(run.id, run.fence)
                self.deploying.add(run.id)
            elif deed == "finish":
                reports = [check(run, "success", "judged")]
                self.store.queue.finish(run.id, run.fence, "pass", "judged", reports, self.words)
            elif deed == "give back":
                self.store.queue.give_back(run.id, run.fence, "the worker ends")

    def commit_a_step(self, run: QueuedRun) -> None:
        fingerprint = f"{run.id} step"
        with self.open(run) as own:
            if own.results.find(fingerprint) is None:
                made = Result(
                    fingerprint, "step", run.spec, run.id, {}, {"fence": run.fence}, made_at=utc_now()
                )
                own.save_work(run.id, StepResult("step", "call", "ran", fingerprint=fingerprint), made)
                self.committed[run.id, "step"] += 1
                found = self.store.queue.find(run.id)
                assert found is not None
                assert (found.fence, found.state) == (run.fence, "running"), "only the newest claim commits"
                own.queue.progressed(run.id, run.fence)

    @rule(place=st.integers(0, 5))
    def a_worker_is_taken_over(self, place: int) -> None:
        leases = self.store.queue.leases()
        if leases:
            lease = leases[place % len(leases)]
            run = self.store.queue.find(lease.run)
            assert run is not None
            expected = "cancelled" if run.cancel else "parked" if run.attempt >= ATTEMPTS else "waiting"
            assert self.store.queue.expire(lease, "its worker is gone", ATTEMPTS, self.words) == expected

    @rule(place=st.integers(0, 20), spec=st.sampled_from("ab"))
    def cancel(self, place: int, spec: str) -> None:
        self.store.queue.cancel(
            queued(self.known[place % len(self.known)], spec).id, "ann said so", self.words
        )

    @rule()
    def everything_dies(self) -> None:
        """As kill -9 does: nothing is closed in order, a transaction stays half done."""
        with contextlib.suppress(Killed), self.store.database.write() as transaction:
            transaction.execute("UPDATE queue SET state = 'done', verdict = 'pass', fence = fence + 9")
            transaction.execute("DELETE FROM outbox")
            raise Killed
        self.store.database.close()
        self.store = self.open()
        self.on_the_wire.clear()

    @rule(limit=st.integers(1, 4), heard=st.sampled_from(["yes", "no", "later"]))
    def send(self, limit: int, heard: str) -> None:
        """The forge gets what is due; the sender may hear of it, hear that it failed, or hear only later or never."""
        self.hear()
        for item in self.store.outbox.due(limit):
            assert isinstance(item.report, Check)
            self.shown[item.channel].append((item.id, item.report))
            self.on_the_wire.append(item.id)
            if heard == "no":
                self.store.outbox.later(item.id, 0.0, "502")
        if heard == "yes":
            self.hear()
        elif heard == "no":
            self.on_the_wire.clear()

    def hear(self) -> None:
        for item_id in self.on_the_wire:
            self.store.outbox.sent(item_id, "m")
        self.on_the_wire.clear()

    @invariant()
    def each_delivery_has_its_change_once(self) -> None:
        commits = [one.commit for one in self.store.changes.newest(limit=100)]
        assert sorted(commits) == [commit_of(number) for number in self.known]

    @invariant()
    def no_group_has_two_running_and_no_deploy_is_superseded(self) -> None:
        runs = self.store.queue.newest(limit=100)
        holding = [run for run in runs if run.group and (run.state == "running" or run.phase == "deploy")]
        assert len([run for run in holding if run.state != "done"]) <= 1
        for run in runs:
            if run.id in self.deploying:
                assert run.phase == "deploy"
                assert "superseded" not in run.reason + run.cancel
            if run.state == "done":
                end = run.verdict, run.reason
                assert self.ended.setdefault(run.id, end) == end, "what is over stays as it ended"

    @invariant()
    def each_step_is_committed_once(self) -> None:
        assert set(self.committed.values()) <= {1}

    def drain(self) -> None:
        """Everybody lives from now on: all comes to its end, and the forge shows it."""
        for _ in range(200):
            self.split(0, supersede=True)
            for lease in self.store.queue.leases():
                self.store.queue.expire(lease, "its worker is gone", ATTEMPTS, self.words)
            run = self.store.queue.claim("last")
            if run is not None:
                self.do(run, "finish")
            elif not self.store.changes.open(1):
                break
        self.each_delivery_has_its_change_once()
        self.no_group_has_two_running_and_no_deploy_is_superseded()
        for _ in range(3):
            self.send(1000, "yes")
        self.the_forge_shows_how_it_ended()

    def the_forge_shows_how_it_ended(self) -> None:
        assert self.store.outbox.counts() == {}
        runs = self.store.queue.newest(limit=100)
        assert {run.state for run in runs} == {"done"}
        assert len(self.words.runs) == len(set(self.words.runs)), "each end is said once"
        assert sorted(self.words.changes) == [change(number).id for number in self.known]
        for run in runs:
            last = self.shown[f"{run.commit} fiat/push/{run.spec}"][-1][1]
            assert (last.state, last.description) == (
                "success" if run.verdict == "pass" else "error",
                run.reason,
            )
        for one in self.store.changes.newest(limit=100):
            last = self.shown[f"{one.commit} fiat/push"][-1][1]
            assert (one.state, last.description) == ("done", one.reason)
        newest = max(run.id for run in runs if run.spec == "a")
        assert "superseded" not in str(self.ended[newest][1])
        for history in self.shown.values():
            ids = [item_id for item_id, _ in history]
            assert ids == sorted(ids), "nothing old comes after what is newer"


QueueMachine.TestCase.settings = settings(
    max_examples=200,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    print_blob=True,
)
TestQueue = pytest.mark.slow(QueueMachine.TestCase)
