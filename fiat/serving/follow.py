"""Follows a release manifest: looks at the file five times a second, and brings the models to it when it changes."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from fiat.errors import EnvironmentFault
from fiat.serving.fleet import Fleet
from fiat.serving.release import Placed, ReleaseManifest, read_manifest

LOG = logging.getLogger("fiat.serving")
LOOK_EVERY_S = 0.2
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 60.0
_Stat = tuple[int, int, int]


class Follower:
    """Follows one manifest.

    Args:
        fleet: the models.
        path: of the manifest.
        on_manifest: called with a manifest each time before its versions are loaded.
        on_end: called when a manifest was brought about, or could not be.
    """

    def __init__(
        self,
        fleet: Fleet,
        path: Path,
        on_manifest: Callable[[ReleaseManifest, Path], None],
        on_end: Callable[[], None],
    ) -> None:
        self._fleet, self._path = fleet, path
        self._on_manifest, self._on_end = on_manifest, on_end
        self._seen: _Stat | None = None
        self._pause_s, self._again_at_s = _FIRST_PAUSE_S, 0.0
        self._manifest: ReleaseManifest | None = None
        self._alone = asyncio.Lock()

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:  # a full disk or a strange manifest must not end the following
                LOG.exception("%s can't be followed; it is tried again", self._path)
                self._try_again()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Look once: read the manifest if it changed, try again what failed."""
        async with (
            self._alone
        ):  # while the server starts, it looks too: two at once would load everything twice
            await self._look()

    async def _look(self) -> None:
        found = self._stat()
        now_s = asyncio.get_running_loop().time()
        if found is not None and found != self._seen:
            self._seen = found
            self._pause_s = _FIRST_PAUSE_S
            self._read()
        elif self._manifest is None or not self._again_at_s or now_s < self._again_at_s:
            return
        if self._manifest is None:
            return
        self._on_manifest(self._manifest, self._path.parent)
        done = await self._fleet.bring(Placed(self._manifest, self._path.parent))
        self._on_end()
        self._again_at_s = 0.0
        if not done:
            self._try_again()

    def _try_again(self) -> None:
        self._again_at_s = asyncio.get_running_loop().time() + self._pause_s
        self._pause_s = min(_LONGEST_PAUSE_S, 2 * self._pause_s)

    def _read(self) -> None:
        try:
            manifest = read_manifest(self._path)
        except EnvironmentFault as error:
            LOG.error("%s; what was served is served on", error.message)
            return
        self._manifest = manifest
        self._again_at_s = 0.0

    def _stat(self) -> _Stat | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size
