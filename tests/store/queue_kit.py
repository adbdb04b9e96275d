"""Deliveries, changes, runs and words for the tests of the runner's tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fiat.run.delivery import Delivery, Happening, Pushed
from fiat.run.queue import Change, QueuedRun
from fiat.run.report import Check, CheckState
from fiat.store.deliveries import Taking, Wanted
from fiat.store.outbox import Addressed
from fiat.store.store import Store

MAIN = "refs/heads/main"


def commit_of(number: int) -> str:
    return f"{number:040x}"


def umbrella(
    number: int, state: CheckState = "pending", text: str = "queued", repo: str = "acme/models"
) -> Addressed:
    """The one report of a commit as a whole."""
    return repo, f"{commit_of(number)} fiat/push", Check(commit_of(number), "fiat/push", state, text)


def delivery(number: int, happenings: tuple[Happening, ...] | None = None, **changes: Any) -> Delivery:
    told = (Pushed(MAIN, commit_of(number), commit_of(number - 1) if number else ""),)
    fields: dict[str, Any] = {
        "forge": "github",
        "id": f"delivery-{number}",
        "body_key": f"body-{number}",
        "event": "push",
        "repo_id": "42",
        "repo_name": "acme/models",
        "sender_id": "7",
        "sender_name": "ann",
        "happenings": told if happenings is None else happenings,
    }
    return Delivery(**{**fields, **changes})


def change(number: int, **changes: Any) -> Change:
    fields: dict[str, Any] = {
        "id": f"change-{number:06}",
        "repo": "acme/models",
        "commit": commit_of(number),
        "purpose": "push",
        "ref": MAIN,
        "cause": "pushed by ann",
    }
    return Change(**{**fields, **changes})


def taking(number: int, **changes: Any) -> Taking:
    """A push of a commit, with its change and the first report of that."""
    return Taking(delivery(number, **changes), (Wanted(change(number), (umbrella(number),)),))


def queued(number: int, spec: str = "digits", of: Change | None = None, **changes: Any) -> QueuedRun:
    """A run of a change, of that with the same number when none is given."""
    of = of or change(number)
    fields: dict[str, Any] = {
        "id": f"run-{number:06}-{spec}",
        "change": of.id,
        "repo": of.repo,
        "commit": of.commit,
        "purpose": of.purpose,
        "ref": of.ref,
        "pull": of.pull,
        "fork": of.fork,
        "spec": spec,
        "spec_path": f"specs/{spec}/spec.yaml",
    }
    return QueuedRun(**{**fields, **changes})


def check(run: QueuedRun, state: CheckState, text: str) -> Addressed:
    context = f"fiat/push/{run.spec}"
    return run.repo, f"{run.commit} {context}", Check(run.commit, context, state, text)


@dataclass
class Words:
    """Says how runs and changes ended, and remembers that it was asked."""

    runs: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)

    def run_ended(self, run: QueuedRun) -> Sequence[Addressed]:
        assert run.state == "done"
        self.runs.append(run.id)
        return [check(run, "error", run.reason)]

    def change_ended(self, ended: Change, runs: Sequence[QueuedRun]) -> Sequence[Addressed]:
        assert ended.state == "done"
        assert [run.state for run in runs] == ["done"] * len(runs)
        self.changes.append(ended.id)
        final: CheckState = "success" if ended.verdict in ("pass", "warn") else "error"
        return [
            (ended.repo, f"{ended.commit} fiat/push", Check(ended.commit, "fiat/push", final, ended.reason))
        ]


def put(
    store: Store, number: int, *, runs: Sequence[QueuedRun] | None = None, **changes: Any
) -> list[QueuedRun]:
    """Add a change and split it, into one run when none are given; gives the runs."""
    one = change(number, **changes)
    runs = [queued(number, of=one)] if runs is None else runs
    assert store.changes.add(one, [umbrella(number)])
    store.changes.split(one.id, runs, [check(run, "pending", "queued") for run in runs], Words())
    return list(runs)


def texts(store: Store) -> list[tuple[str, str]]:
    """(state, description) of the checks that are due."""
    items = [item.report for item in store.outbox.due(1000)]
    return [(one.state, one.description) for one in items if isinstance(one, Check)]


def utc_now() -> datetime:
    return datetime.now(UTC)
