"""What a keeper concludes from what servers tell: a version is loaded, failed, or has done well or badly at its stage."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fiat.builtin.service_ledger import Ledger, Moving
from fiat.builtin.service_moves import loaded, refused, step, unparked
from fiat.builtin.service_quality import QualityWatch
from fiat.builtin.service_server import Patience, Server
from fiat.builtin.service_wanted import Candidate, ServerWish
from fiat.serving.counts import VersionCounts, WorkerCounts, read_workers
from fiat.serving.place import Place
from fiat.serving.rollout_checks import Window
from fiat.serving.rollout_window import Gathered, begin_window, gather, read_gathered


class Drive:
    """Turns counts into moves of the ledger.

    Args:
        place: of the service.
        patience: how long a version may take to load.
    """

    def __init__(self, place: Place, patience: Patience) -> None:
        self._place, self._patience = place, patience
        self._path = place.folder / "window.json"
        self._key = ""
        self._gathered = Gathered()
        self._quality = QualityWatch(place)
        # By the clock that nobody sets: one put forward must not make a candidate late.
        self._loading = "", 0
        self._loading_began = 0.0

    def move(self, ledger: Ledger, *, server: Server, wish: ServerWish, now_s: float) -> Ledger:
        """The ledger after a look at what servers tell now.

        Raises:
            OSError: the disk refused.
        """
        moving, stable = ledger.moving, ledger.stable
        if moving is None or (stable is not None and not server.answers):
            return ledger
        workers = read_workers(self._place.counts)
        following = [worker for worker in workers if worker.serial == ledger.serial]
        if moving.parked and stable is not None:
            ready = _all_ready(following, ledger.model, stable.digest, wish)
            return unparked(ledger, now_s) if ready else ledger
        if moving.loading_s is not None:
            return self._load(ledger, moving, following, server=server, wish=wish, now_s=now_s)
        return self._watch(ledger, moving, stable, workers, now_s) if stable is not None else ledger

    def _load(
        self,
        ledger: Ledger,
        moving: Moving,
        workers: Sequence[WorkerCounts],
        *,
        server: Server,
        wish: ServerWish,
        now_s: float,
    ) -> Ledger:
        digest = moving.version.digest
        for version in _told(workers, ledger.model, digest):
            if version.state == "failed":
                return refused(ledger, now_s, f"it can't be loaded: {version.reason or 'no reason given'}")
        # Also the first version is there only when requests are answered: from then on silence means that it hangs.
        if server.answers and _all_ready(workers, ledger.model, digest, wish):
            before = _told(workers, ledger.model, ledger.stable.digest) if ledger.stable else []
            alone = bool(before) and all(version.state == "failed" for version in before)
            return loaded(ledger, now_s, alone=alone)
        if self._loading != (digest, ledger.wanted):
            self._loading = digest, ledger.wanted
            self._loading_began = time.monotonic()
        if time.monotonic() - self._loading_began > self._patience.load_s:
            return refused(ledger, now_s, f"it was not loaded within {self._patience.load_s:g} s")
        return ledger

    def _watch(
        self,
        ledger: Ledger,
        moving: Moving,
        stable: Candidate,
        workers: Sequence[WorkerCounts],
        now_s: float,
    ) -> Ledger:
        """Judge the stage by what came since it began."""
        digest = moving.version.digest
        for version in _told(workers, ledger.model, digest):
            if version.state == "failed":
                return refused(ledger, now_s, f"it failed while it served: {version.reason}")
        stage = moving.rollout.stage if moving.rollout else 0
        key = f"{digest}:{ledger.wanted}:{stage}"
        before = self._gathered
        if key != self._key:
            self._begin(key, workers, ledger.model, stable.digest)
        self._gathered = gather(self._gathered, workers, ledger.model)
        if self._gathered is not before:
            self._remember()
        now = self._gathered
        window = Window(now.of(digest), now.of(stable.digest), now.before)
        if "quality_drop" in moving.plan.limits:
            # Labels come late, so those of earlier stages count too: all since the rollout began, for both.
            ours, theirs = self._quality.since(moving.began_s, digest, stable.digest)
            window = replace(window, canary_quality=ours, stable_quality=theirs)
        return step(ledger, now_s, window)

    def _begin(self, key: str, workers: Sequence[WorkerCounts], model: str, stable: str) -> None:
        """The window of another stage; right after a keeper's death, the one that it left."""
        left = self._left() if not self._key else None
        if left is not None and left["key"] == key:
            self._gathered = read_gathered(left["gathered"])
        else:
            same_rollout = self._key.rpartition(":")[0] == key.rpartition(":")[0]
            self._gathered = begin_window(self._gathered if same_rollout else None, workers, model, stable)
        self._key = key

    def _left(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(self._path.read_bytes())
            read_gathered(found["gathered"])
            return found if isinstance(found["key"], str) else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def _remember(self) -> None:
        """Write the window down, not durably: after a power cut it begins anew, which delays and decides nothing."""
        draft = self._path.with_name(f"unfinished.{self._path.name}")
        draft.write_text(json.dumps({"key": self._key, "gathered": self._gathered.document()}), "utf-8")
        draft.replace(self._path)


def _told(workers: Sequence[WorkerCounts], model: str, digest: str) -> list[VersionCounts]:
    return [
        version
        for worker in workers
        for version in worker.versions.get(model, ())
        if version.digest == digest
    ]


def _all_ready(workers: Sequence[WorkerCounts], model: str, digest: str, wish: ServerWish) -> bool:
    told = _told(workers, model, digest)
    return len(told) >= wish.workers and all(version.state == "ready" for version in told)
