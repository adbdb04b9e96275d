"""What a keeper concludes from what servers tell: a version is loaded, failed, or has done well or badly at its stage."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fiat.builtin.service_ledger import Ledger
from fiat.builtin.service_moves import loaded, refused, step, unparked
from fiat.builtin.service_server import Patience, Server
from fiat.builtin.service_wanted import ServerWish
from fiat.serving.counts import VersionCounts, WorkerCounts, read_workers
from fiat.serving.place import Place
from fiat.serving.rollout_checks import Window
from fiat.serving.rollout_window import Gathered, begin_window, gather, read_gathered


class Drive:
    """Turns counts into moves of the ledger.

    Args:
        place: of the service.
        patience: how long a candidate may take to load.
    """

    def __init__(self, place: Place, patience: Patience) -> None:
        self._place, self._patience = place, patience
        self._key = ""
        self._gathered: Gathered | None = None

    def move(self, ledger: Ledger, *, server: Server, wish: ServerWish, now_s: float) -> Ledger:
        """The ledger after a look at what servers tell now.

        Raises:
            OSError: the disk refused.
        """
        if ledger.candidate is None or not server.answers and ledger.stable is not None:
            return ledger
        workers = [w for w in read_workers(self._place.counts) if w.serial == ledger.serial]
        if ledger.parked:
            ready = ledger.stable is not None and _all_ready(
                workers, ledger.model, ledger.stable.digest, wish
            )
            return unparked(ledger, now_s) if ready else ledger
        if ledger.loading_s is not None:
            return self._load(ledger, workers, wish, now_s)
        return self._watch(ledger, now_s)

    def _load(
        self, ledger: Ledger, workers: Sequence[WorkerCounts], wish: ServerWish, now_s: float
    ) -> Ledger:
        assert ledger.candidate is not None and ledger.loading_s is not None
        digest = ledger.candidate.digest
        for version in _told(workers, ledger.model, digest):
            if version.state == "failed":
                return refused(ledger, now_s, f"it can't be loaded: {version.reason or 'no reason given'}")
        if _all_ready(workers, ledger.model, digest, wish):
            return loaded(ledger, now_s)
        if now_s < ledger.loading_s:
            return replace(ledger, loading_s=now_s)
        if now_s - ledger.loading_s > self._patience.load_s:
            return refused(ledger, now_s, f"it was not loaded within {self._patience.load_s:g} s")
        return ledger

    def _watch(self, ledger: Ledger, now_s: float) -> Ledger:
        """Judge the stage by what came since it began."""
        assert ledger.candidate is not None and ledger.rollout is not None and ledger.stable is not None
        stable, candidate = ledger.stable.digest, ledger.candidate.digest
        workers = read_workers(self._place.counts)
        for version in _told(workers, ledger.model, candidate):
            if version.state == "failed":
                return refused(ledger, now_s, f"it failed while it served: {version.reason}")
        key = f"{ledger.wanted}:{candidate}:{ledger.rollout.stage}"
        before = self._gathered
        if key != self._key:
            self._begin(key, workers, ledger.model, stable)
        assert self._gathered is not None
        self._gathered = gather(self._gathered, workers, ledger.model)
        if self._gathered is not before:
            self._remember()
        gathered = self._gathered
        window = Window(gathered.of(candidate), gathered.of(stable), gathered.before)
        return step(ledger, now_s, window)

    def _begin(self, key: str, workers: Sequence[WorkerCounts], model: str, stable: str) -> None:
        """The window of another stage; right after a keeper's death, the one that it left."""
        found = self._left() if not self._key else None
        if found is not None and found["key"] == key:
            self._gathered = read_gathered(found["gathered"])
        else:
            same = self._key.rpartition(":")[0] == key.rpartition(":")[0]
            self._gathered = begin_window(self._gathered if same else None, workers, model, stable)
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
        assert self._gathered is not None
        draft = self._path.with_name(f"unfinished.{self._path.name}")
        draft.write_text(json.dumps({"key": self._key, "gathered": self._gathered.document()}), "utf-8")
        draft.replace(self._path)

    @property
    def _path(self) -> Path:
        return self._place.folder / "window.json"


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
