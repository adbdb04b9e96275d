"""Processes around one store: a web door that takes pushes, workers that walk runs, a sender with its forge."""

import contextlib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).parent.parent / "store"))
from queue_kit import Words, check, taking, utc_now

from fiat.errors import EnvironmentFault, Fenced
from fiat.run.model import Result, Run, StepResult
from fiat.run.report import Check
from fiat.store.fence import Fence
from fiat.store.store import Store, open_store

STEPS = ("data", "train", "judge")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Town:
    """Where they live.

    Attributes:
        folder: for the store, and for what is written down outside it.
        url: of the database, None for SQLite.
    """

    folder: Path
    url: str | None

    def open(self, fence: Fence | None = None) -> Store:
        return trying(lambda: open_store(self.folder / ".fiat", url=self.url, now=utc_now, fence=fence))

    def note(self, file: str, line: str) -> None:
        """Written at once and whole, as a forge or a client would remember it."""
        with (self.folder / file).open("a") as target:
            target.write(f"{line}\n")

    def notes(self, file: str) -> list[str]:
        path = self.folder / file
        return path.read_text().splitlines() if path.exists() else []


def trying(work: Callable[[], _T]) -> _T:
    """The store may be locked for a while, or its server away: everybody tries again."""
    for _ in range(100):
        try:
            return work()
        except EnvironmentFault:
            time.sleep(0.05)
    return work()


def live(town: Town, role: str) -> None:
    """Do the job of a role until killed."""
    try:
        {"door": door, "sender": sender}.get(role, worker)(town)
    except BaseException as error:
        town.note("errors", f"{role}: {error!r}")
        raise


def door(town: Town) -> None:
    """Takes pushes, one after the other; what it did not answer comes again."""
    acked = {int(line) for line in town.notes("acked")}
    with town.open() as store:
        number = 0
        while not (town.folder / "closed").exists():
            if number not in acked:
                items = [taking(number), taking(number)]
                trying(lambda: store.deliveries.take(items))  # noqa: B023
                town.note("acked", str(number))
                time.sleep(0.05)
            number += 1


def worker(town: Town) -> None:
    """Claims runs and walks them."""
    with town.open() as store:
        while True:
            run = trying(lambda: store.queue.claim(f"host:{os.getpid()}"))
            if run is None:
                time.sleep(0.01)
                continue
            with contextlib.suppress(Fenced), town.open(Fence(run.id, run.fence)) as own:
                walk(town, store, own, run.id, run.fence)


def walk(town: Town, store: Store, own: Store, run_id: str, fence: int) -> None:
    """Each step is committed with the fence; what another worker committed before is reused."""
    record = Run(run_id, "digits", "", "", "", "", "main", False, (), {}, "running", None, "", utc_now())
    prints = {step: f"{run_id} {step}" for step in STEPS}
    steps = tuple(StepResult(step, "call", "waiting", fingerprint=one) for step, one in prints.items())
    found = trying(lambda: own.results.find_many(prints.values()))
    trying(lambda: own.runs.add(Run(**{**vars(record), "steps": steps}), again=True))
    for step, fingerprint in prints.items():
        trying(lambda: store.queue.beat(run_id, fence))
        if fingerprint not in found:
            made = Result(fingerprint, step, "digits", run_id, {}, {"fence": fence}, made_at=utc_now())
            done = StepResult(step, "call", "ran", fingerprint=fingerprint)
            trying(lambda: own.save_work(run_id, done, made))  # noqa: B023
            trying(lambda: store.queue.progressed(run_id, fence))
    run = trying(lambda: store.queue.find(run_id))
    assert run is not None
    reports = [check(run, "success", "judged")]
    trying(lambda: store.queue.finish(run_id, fence, "pass", "judged", reports, Words()))


def sender(town: Town) -> None:
    """Tells the forge, which remembers everything."""
    with town.open() as store:
        while True:
            for item in trying(lambda: store.outbox.due()):
                assert isinstance(item.report, Check)
                town.note(
                    "forge", f"{item.id}\t{item.channel}\t{item.report.state}\t{item.report.description}"
                )
                trying(lambda: store.outbox.sent(item.id, "m"))  # noqa: B023
            time.sleep(0.01)
