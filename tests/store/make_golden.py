"""Write `golden/store-<version>.sql`: a store of this version with rows in every state, for the tests of later versions.

Run it once when a version of the schema is released, and never again for that version: `python tests/store/make_golden.py`.
"""

import sqlite3
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from queue_kit import Words, change, check, commit_of, delivery, put, queued, taking, umbrella

from fiat.run.delivery import Commented
from fiat.run.deployment import Deployment, Hold
from fiat.run.model import Release, Result, Run, StepResult
from fiat.run.queue import QueuedRun
from fiat.store.deliveries import Taking
from fiat.store.schema import SCHEMA
from fiat.store.store import Store, open_store

GOLDEN = Path(__file__).parent / "golden"
START = datetime(2026, 12, 1, tzinfo=UTC)
PULL = {"purpose": "pull_request", "pull": 5, "fork": True}


class Clock:
    """Each reading is a second later."""

    moment = START

    def __call__(self) -> datetime:
        self.moment += timedelta(seconds=1)
        return self.moment


def fill(store: Store) -> None:
    """Deliveries, changes, runs and reports in every state that they can have."""
    comment = Commented("/fiat run", 3, "", "c1")
    store.deliveries.take([taking(1), taking(2), Taking(delivery(1, id="replayed"))])
    store.deliveries.take([Taking(delivery(20 + number, (comment,))) for number in range(3)])
    waiting = store.deliveries.received()
    store.deliveries.done(waiting[0][0], "done")
    store.deliveries.failed(waiting[1][0], "the forge did not answer")
    # 1 and 2 stay new; the others are split. Claims come in the order of their priorities.
    put(store, 3, runs=[queued(3, "a", priority=9), queued(3, "b")])
    done = _claim(store)
    store.queue.finish(done.id, done.fence, "pass", "good", [check(done, "success", "good")], Words())
    put(store, 4, runs=[queued(4, group="g", priority=8)])
    _begin(store, _claim(store))
    put(store, 5, runs=[queued(5, group="h", priority=7)])
    deploying = _claim(store)
    _begin(store, deploying)
    store.queue.begin_deploy(deploying.id, deploying.fence)
    put(store, 6, runs=[queued(6, priority=6)])
    asked = _claim(store)
    store.queue.cancel(asked.id, "ann said so", Words())
    put(store, 7, runs=[queued(7, group="g", supersede=False)])
    put(store, 8, runs=[queued(8, of=change(8, **PULL), state="held")], **PULL)
    put(store, 9)
    store.queue.cancel(queued(9).id, "ann said so", Words())
    store.changes.add(change(8, id="change-000108", **{**PULL, "pull": 6}))
    store.queue.approve("acme/models", 6, commit_of(8), "bob")
    items = store.outbox.due()
    store.outbox.sent(items[0].id, "a comment's id")
    store.outbox.later(items[1].id, 60.0, "502")
    store.outbox.add([umbrella(99, "success", "good")])
    store.outbox.dead(store.outbox.due()[-1].id, "404")
    store.seats.take("sender", "host:1:0")
    store.marks.set("heads acme/models", "{}")
    _release(store)


def _release(store: Store) -> None:
    """Two versions of a model; the alias went back to the first one, which was deployed again; one commit is held."""
    for number in (1, 2):
        fields = ("digits", "champion", "main", commit_of(number), f"run-{number}", f"{number:032x}.dir")
        store.releases.add(Release(*fields, f"{number:064x}", START))
    first = f"{1:032x}.dir"
    store.registry.move_alias("digits", "champion", first, who="ann", reason="2 is slow")
    store.registry.tag("digits", first, "reviewed", "yes", who="ann")
    store.registry.note("digits", first, "good on rainy days", who="bob")
    for number, state in ((1, "deployed"), (2, "refused")):
        deployment = Deployment(
            place="live:digits",
            kind="service",
            target="live",
            spec="digits",
            model="digits",
            digest=f"{number:032x}.dir",
            commit=commit_of(number),
            run=f"run-{number}",
            generation=number,
            cause="pushed by ann",
            began_at=START,
            settings={"port": 8000},
        )
        store.deployments.end(store.deployments.begin(deployment), state, "said the target", START)
    second = f"{2:032x}.dir"
    store.deployments.hold(
        Hold("live:digits", commit_of(2), second, "rollout", "more errors than before", START)
    )


def _claim(store: Store) -> QueuedRun:
    run = store.queue.claim("host:1:0")
    assert run is not None
    return run


def _begin(store: Store, run: QueuedRun) -> None:
    """A step is committed, the next one runs."""
    fingerprint = f"{int(run.change[-6:]):064x}"
    step = StepResult("data", "data", "ran", fingerprint=fingerprint)
    at = START
    store.runs.add(
        Run(run.id, run.spec, "", "", "", run.commit, "main", False, (), {}, "running", None, "", at)
    )
    store.save_work(run.id, step, Result(fingerprint, "data", run.spec, run.id, {}, {}, made_at=at))
    store.runs.save_step(run.id, StepResult("train", "call", "running", started_at=at))


def main() -> None:
    """Write the file, unless it is there."""
    path = GOLDEN / f"store-{SCHEMA.version}.sql"
    if path.exists():
        sys.exit(f"{path} is there already: stores of that version are out in the world")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / ".fiat"
        with open_store(root, now=Clock()) as store:
            fill(store)
        connection = sqlite3.connect(root / "store.db")
        lines = [line for line in connection.iterdump() if line not in ("BEGIN TRANSACTION;", "COMMIT;")]
        connection.close()
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
