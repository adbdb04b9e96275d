"""Sending artifacts to a DVC remote and fetching them; see `fiat.data.dvc_carry` for how."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from fiat.data.dvc_carry import Carrier, Remote
from fiat.errors import EnvironmentFault
from fiat.store.artifacts import Artifacts
from fiat.store.faults import disk_faults
from fiat.store.trees import is_digest

__all__ = ["Remote", "RemoteCache"]


class RemoteCache:
    """Carries artifacts between a cache and a remote.

    Args:
        root: the `.fiat` folder.
        artifacts: its cache.
        remote: the other end.
        python: the interpreter that has DVC.
        env: environment for DVC: `PATH`, `HOME`, and the remote's credentials.
    """

    def __init__(
        self, root: Path, artifacts: Artifacts, remote: Remote, *, python: str, env: Mapping[str, str]
    ) -> None:
        self._root = root.absolute()
        self._artifacts = artifacts
        self._carrier = Carrier(remote, python, env)

    def push(self, digests: Iterable[str]) -> None:
        """Send artifacts that the remote does not have yet.

        Raises:
            EnvironmentFault: one of them is gone here, or DVC or the remote refused.
        """
        wanted = sorted(set(digests))
        lost = [digest for digest in wanted if not self._artifacts.check(digest)]
        if lost:
            raise EnvironmentFault(
                f"artifact {lost[0][:12]} is gone from the cache or damaged", hint="run its spec again"
            )
        self._transfer("push", wanted)

    def pull(self, digests: Iterable[str]) -> None:
        """Fetch artifacts that are not here yet; afterwards each is here and whole.

        Raises:
            EnvironmentFault: the remote does not have one of them, or DVC or the remote refused.
        """
        wanted = [digest for digest in sorted(set(digests)) if not self._artifacts.check(digest)]
        self._transfer("fetch", wanted)
        for digest in wanted:
            if not self._artifacts.check(digest):
                raise EnvironmentFault(
                    f"the remote {self._carrier.remote.url} does not have artifact {digest[:12]}",
                    hint="push it from where it was made, or run its spec again",
                )

    def _transfer(self, verb: Literal["push", "fetch"], digests: list[str]) -> None:
        for digest in digests:
            if not is_digest(digest):
                raise EnvironmentFault(
                    f"{digest!r} is no digest of an artifact", hint="the store was edited by hand"
                )
        with disk_faults(self._root):
            self._carrier.carry(verb, digests, cache=self._root / "cache", scratch=self._root / "tmp")
