"""A store with a queue, a clock by hand, and words that name what they are about."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from fiat.engine.telling import Telling
from fiat.errors import SpecError
from fiat.plan.model import Decision, Plan
from fiat.ports.report import Told
from fiat.run.model import Run
from fiat.run.queue import Change, QueuedRun
from fiat.run.report import Check, Report
from fiat.store.store import Store, open_store

COMMIT = "c" * 40


class PlainTeller:
    """The shortest words: one check a change and one a run."""

    def change(self, change: Change, runs: Sequence[QueuedRun]) -> tuple[Report, ...]:
        """Pending until it is done."""
        state = "success" if change.verdict in ("pass", "warn") else "error" if change.verdict else "pending"
        return (Check(change.commit, "fiat/push", state, change.reason),)

    def waits(self, run: QueuedRun, errors: Sequence[SpecError] = ()) -> tuple[Report, ...]:
        """Pending until it is done."""
        state = "success" if run.verdict in ("pass", "warn") else "error" if run.verdict else "pending"
        return (Check(run.commit, f"fiat/push/{run.spec}", state, run.reason),)

    def runs(
        self,
        run: QueuedRun,
        record: Run,
        plan: Plan,
        decisions: Sequence[Decision],
        expected_s: Mapping[str, Sequence[float]],
    ) -> tuple[Report, ...]:
        """Always pending."""
        return (Check(run.commit, f"fiat/push/{run.spec}", "pending", "running"),)

    def ends(self, run: QueuedRun, told: Told) -> tuple[Report, ...]:
        """As the queue has it."""
        return self.waits(run)


TELLING = Telling(PlainTeller())


class Clock:
    """Seconds that only grow, by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def open_queue(folder: Path) -> Store:
    """A new store."""
    return open_store(folder / ".fiat", now=lambda: datetime.now(UTC))


def add_run(
    store: Store, run_id: str = "r1", *, spec: str = "wine", pull: int = 0, commit: str = COMMIT
) -> QueuedRun:
    """One change with one waiting run."""
    change = Change(
        id=f"c-{run_id}",
        repo="acme/models",
        commit=commit,
        purpose="pull_request" if pull else "push",
        ref="refs/heads/main",
        pull=pull,
        made_at=datetime.now(UTC),
    )
    assert store.changes.add(change)
    run = QueuedRun(
        id=run_id,
        change=change.id,
        repo=change.repo,
        commit=commit,
        purpose=change.purpose,
        ref=change.ref,
        pull=pull,
        spec=spec,
        spec_path=f"specs/{spec}/spec.yaml",
        group=f"{spec}-{pull or 'main'}",
        queued_at=datetime.now(UTC),
    )
    store.changes.split(change.id, [run], [], TELLING)
    return run
