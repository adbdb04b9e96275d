"""One story of the queue, told by loops that go on after any fault, and what must be true at its end."""

import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "store"))
from queue_kit import Words, check, commit_of, queued, taking, utc_now

from fiat.errors import EnvironmentFault, Fenced, Stalled
from fiat.run.model import Result, Run, StepResult
from fiat.run.queue import Change, QueuedRun
from fiat.run.report import Check
from fiat.store.database import Backend, Database, Row, Value
from fiat.store.fence import Fence
from fiat.store.scopes import Scope
from fiat.store.store import Store

PUSHES = (1, 2, 3)
STEPS = ("data", "train")
TICKS = 400


@dataclass
class Story:
    """Three pushes: the second one supersedes the group's run of the first, the third one's is cancelled.

    Attributes:
        connect: makes a connection to the store.
        root: folder of the store.
    """

    connect: Callable[[], Backend]
    root: Path
    forge: dict[str, list[tuple[int, Check]]] = field(default_factory=lambda: defaultdict(list))
    committed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    words: Words = field(default_factory=Words)
    claims: list[QueuedRun] = field(default_factory=list)
    faults: int = 0
    _backend: Backend | None = None
    _stores: list[Store] = field(default_factory=list)
    _hand: QueuedRun | None = None
    _acked: set[int] = field(default_factory=set)

    def live(self) -> None:
        """Everybody does what is to be done until nothing is; a fault is what it costs, never the end."""
        for _ in range(TICKS):
            try:
                self._backend = self._backend or self.connect()
                if not self._tick():
                    return
            except EnvironmentFault:
                self.faults += 1
            except (Fenced, Stalled):
                self._hand = None
        raise AssertionError("the story does not come to its end")

    def close(self) -> None:
        for store in self._stores:
            store.close()
        if self._backend is not None:
            self._backend.close()

    def store(self, run: QueuedRun | None = None) -> Store:
        assert self._backend is not None
        guard = Fence(run.id, run.fence) if run else None
        store = Store(
            self.root, Database(self._backend, guard), utc_now, self.root.parent, Scope(self.root, "")
        )
        self._stores.append(store)
        return store

    def _tick(self) -> bool:
        store = self.store()
        missing = [number for number in PUSHES if number not in self._acked]
        if missing:
            assert store.deliveries.take([taking(missing[0])]) in (["new"], ["again"])
            self._acked.add(missing[0])
            return True
        opened = store.changes.open()
        for one in opened:
            self._split(store, one)
        for lease in store.queue.leases():
            if self._hand is None or (lease.run, lease.fence) != (self._hand.id, self._hand.fence):
                store.queue.expire(lease, "its worker is gone", 50, self.words)
        worked = self._work(store)
        due = store.outbox.due()
        for item in due:
            assert isinstance(item.report, Check)
            self.forge[item.channel].append((item.id, item.report))
            store.outbox.sent(item.id, "m")
        return bool(opened or worked or due)

    def _split(self, store: Store, one: Change) -> None:
        number = int(one.id[-6:])
        runs = [queued(number, "a", of=one, group="g" if number < 3 else ""), queued(number, "b", of=one)]
        store.changes.split(one.id, runs, [check(run, "pending", "queued") for run in runs], self.words)
        if number == 3:
            store.queue.cancel(queued(3, "a").id, "ann said so", self.words)

    def _work(self, store: Store) -> bool:
        if self._hand is None:
            self._hand = store.queue.claim("w")
            if self._hand is None:
                return False
            self.claims.append(self._hand)
        run, own = self._hand, self.store(self._hand)
        cancelled = store.queue.beat(run.id, run.fence)
        prints = {step: f"{run.id} {step}" for step in STEPS}
        made_before = own.results.find_many(prints.values())
        steps = tuple(
            StepResult(step, "call", "reused" if one in made_before else "waiting", fingerprint=one)
            for step, one in prints.items()
        )
        own.runs.add(
            Run(
                *(
                    run.id,
                    run.spec,
                    "",
                    "",
                    "",
                    run.commit,
                    "main",
                    False,
                    (),
                    {},
                    "running",
                    None,
                    "",
                    utc_now(),
                ),
                steps=steps,
            ),
            again=True,
        )
        for step, fingerprint in prints.items():
            if fingerprint not in made_before:
                made = Result(
                    fingerprint, step, run.spec, run.id, {}, {"code": {"a": "b" * 600}}, made_at=utc_now()
                )
                own.save_work(run.id, StepResult(step, "call", "ran", fingerprint=fingerprint), made)
                own.queue.progressed(run.id, run.fence)
            self.committed[fingerprint] += 1
        store.queue.used(run.id, run.fence, 60.0)
        if not cancelled:
            store.queue.begin_deploy(run.id, run.fence)
        end = ("error", cancelled, "error") if cancelled else ("pass", "good", "success")
        reports = [check(run, end[2], end[1])]  # type: ignore[arg-type]
        store.queue.finish(run.id, run.fence, end[0], end[1], reports, self.words)  # type: ignore[arg-type]
        self._hand = None
        return True

    def verify(self) -> None:
        """What the README promises."""
        store = self.store()
        changes = store.changes.newest()
        assert sorted(one.commit for one in changes) == [commit_of(number) for number in PUSHES]
        runs = store.queue.newest()
        ended = {run.id: (run.state, run.verdict, run.reason) for run in runs}
        superseded = "done", "error", f"superseded by {commit_of(2)[:10]}"
        expected = {queued(number, spec).id: ("done", "pass", "good") for number in PUSHES for spec in "ab"}
        assert ended == {
            **expected,
            queued(1, "a").id: superseded,
            queued(3, "a").id: ("done", "error", "ann said so"),
        } or ended == {**expected, queued(1, "a").id: superseded}, "the cancelling itself may have been lost"
        for run in runs:
            assert self._last(f"{run.commit} fiat/push/{run.spec}") == (
                "success" if run.verdict == "pass" else "error",
                run.reason,
            )
            if run.verdict == "pass":
                steps = [(step.name, step.state) for step in store.runs.find(run.id).steps]
                assert steps == [(name, "ran") for name in STEPS]
                assert store.metrics.of_steps(run.id) == []
                assert run.gpu_seconds == 60.0
        for one in changes:
            assert one.state == "done"
            assert self._last(f"{one.commit} fiat/push")[1] == one.reason
        assert store.outbox.counts() == {}
        assert store.queue.leases() == []
        for history in self.forge.values():
            ids = [item_id for item_id, _ in history]
            assert ids == sorted(ids)

    def _last(self, channel: str) -> tuple[str, str]:
        report = self.forge[channel][-1][1]
        return report.state, report.description


class Disturbed:
    """A connection that fails once.

    Args:
        inner: the real one.
        at: number of the call that fails, from 0.
        disturb: does what goes wrong; given the call, it may do it before, after or not at all.
    """

    def __init__(
        self, inner: Backend, at: int, disturb: Callable[[Callable[[], object], str], object]
    ) -> None:
        self.place = inner.place
        self.calls = 0
        self.inner = inner
        self._at = at
        self._disturb = disturb

    def execute(self, sql: str, values: Sequence[Value]) -> list[Row]:
        return self._call(lambda: self.inner.execute(sql, values), "execute")  # type: ignore[return-value]

    def execute_many(self, sql: str, rows: Sequence[Sequence[Value]]) -> None:
        self._call(lambda: self.inner.execute_many(sql, rows), "execute")

    def begin(self) -> None:
        self._call(self.inner.begin, "begin")

    def commit(self) -> None:
        self._call(self.inner.commit, "commit")

    def rollback(self) -> None:
        self.inner.rollback()

    def close(self) -> None:
        self.inner.close()

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        self._at = -1

    def _call(self, call: Callable[[], object], name: str) -> object:
        self.calls += 1
        if self.calls - 1 == self._at:
            return self._disturb(call, name)
        return call()


def refused(call: Callable[[], object], name: str) -> object:
    """The database does not do it."""
    raise EnvironmentFault(f"{name} was refused")


def unheard(call: Callable[[], object], name: str) -> object:
    """The database does it, and its answer gets lost."""
    call()
    raise EnvironmentFault(f"the answer to {name} was lost")
