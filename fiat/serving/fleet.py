"""All models of a server: brought to what a manifest wants, one after the other, while the old versions answer on."""

import asyncio
import ctypes
import gc
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from fiat.errors import FiatError
from fiat.serving.batcher import Batcher
from fiat.serving.loaded import LoadedVersion, load_version
from fiat.serving.release import Placed, ServerLimits, Version
from fiat.serving.served import ModelState, Refusal, Running, ServedModel, compose, retire

LOG = logging.getLogger("fiat.serving")
Result = TypeVar("Result")
Check = Callable[[str, Path, str], None]


class Fleet:
    """The models. Of one event loop; loading is done in a thread.

    Args:
        limits: of the server.
        threads: of one operator of a model.
        check: raises FiatError for a package that is not signed by the key, given by its PEM file.
        on_ready: called with each version before it answers for the first time.

    Attributes:
        models: name to state.
    """

    def __init__(
        self,
        limits: ServerLimits,
        *,
        threads: int,
        check: Check,
        on_ready: Callable[[LoadedVersion], None] = lambda loaded: None,
    ) -> None:
        self._limits, self._threads, self._check, self._on_ready = limits, threads, check, on_ready
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="loader")
        self.models: dict[str, ModelState] = {}

    @property
    def is_ready(self) -> bool:
        """Whether every model can answer."""
        return bool(self.models) and all(state.is_ready for state in self.models.values())

    def state(self, model: str) -> ModelState:
        """State of a model, made when it is asked for the first time."""
        return self.models.setdefault(model, ModelState(model))

    async def bring(self, placed: Placed) -> bool:
        """Bring a model to what its manifest wants; on a fault what answered before answers on.

        Returns:
            Whether it is as the manifest wants.
        """
        manifest = placed.manifest
        state = self.state(manifest.model)
        before = state.served
        present = {_key(item.loaded.version): item for item in before.versions.values()} if before else {}
        running: list[Running] = []
        refused: list[Refusal] = []
        missing = tuple(version for version in manifest.versions if _key(version) not in present)
        state.loading = missing
        for version in manifest.versions:
            found = present.get(_key(version))
            if found is None:
                outcome = await self._load(state, manifest.model, version, placed.folder, manifest.key)
                if isinstance(outcome, Refusal):
                    refused.append(outcome)
                    continue
                found = self._run(outcome)
            running.append(found)
        state.loading = ()
        state.refused = tuple(refused)
        state.serial = manifest.serial
        if running and (before is None or not refused):
            self._swap(state, before, compose(manifest, running, before))
        else:
            for item in running:
                if id(item) not in {id(kept) for kept in present.values()}:
                    item.batcher.close()
        if missing:
            await self._in_thread(_give_back)
        return not refused

    async def close(self) -> None:
        """Let all threads end."""
        for state in self.models.values():
            if state.served is not None:
                for item in state.served.versions.values():
                    item.batcher.close()
                for _, _, shadow in state.served.shadows:
                    shadow.close()
        self._loader.shutdown(wait=False, cancel_futures=True)

    def _swap(self, state: ModelState, before: ServedModel | None, after: ServedModel) -> None:
        state.served = after
        retire(state, before, after)
        shown = ", ".join(
            f"{item.loaded.version.name} {weight.percent:g} %"
            for item, weight in zip(after.answering, after.weights, strict=True)
        )
        LOG.info("%s answers by manifest %d: %s", state.name, after.serial, shown)

    def _run(self, loaded: LoadedVersion) -> Running:
        tally = loaded.tally

        def count_run() -> None:
            tally.batches += 1

        batcher = Batcher(
            loaded.session,
            batch_rows=self._limits.batch_rows,
            name=f"{loaded.info.name} {loaded.version.name}",
            count_run=count_run,
        )
        self._on_ready(loaded)
        return Running(loaded, batcher)

    async def _load(
        self, state: ModelState, model: str, version: Version, base: Path, key: str
    ) -> LoadedVersion | Refusal:
        folder = base / version.folder
        check = partial(self._check, key, folder, version.digest) if key else None
        load = partial(load_version, model, version, folder, threads=self._threads, check=check)
        try:
            loaded = await self._in_thread(load)
        except FiatError as error:
            reason = error.message
        except Exception as error:  # whatever a strange package does, the server goes on
            LOG.exception("loading %s %s failed", model, version.name)
            reason = f"{type(error).__name__}: {error}"
        else:
            gone = state.gone.pop(version.digest, None)
            LOG.info("%s %s (%s) loaded in %.3f s", model, version.name, version.digest, loaded.load_s)
            return loaded if gone is None else replace(loaded, tally=gone.tally)
        LOG.error("%s %s (%s) can't be loaded: %s", model, version.name, version.digest, reason)
        return Refusal(version, reason)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._loader, work)


def _key(version: Version) -> tuple[str, str]:
    return version.name, version.digest


def _give_back() -> None:
    """Give the memory of sessions that are gone back to the system; glibc keeps it else."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
