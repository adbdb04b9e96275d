"""Commits laid out as folders: made at first use, shared by the runs of a commit, removed when nobody needs them."""

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from fiat.engine.checkout import Checkout, GitState
from fiat.engine.watched import Watched
from fiat.git.layout import lay_out, remove_layout
from fiat.git.remote import Address, Remote, read_url
from fiat.git.submodules import Submodules
from fiat.store.faults import disk_faults


class LaidOut(Checkout):
    """A commit as a folder without `.git`; nobody edits it.

    Args:
        root: the folder.
        git: where it comes from.
    """

    def __init__(self, root: Path, git: GitState) -> None:
        super().__init__(root)
        self.__dict__["git"] = git  # what the base class would ask git for


@dataclass
class Checkouts:
    """All laid out commits of a runner.

    Attributes:
        folder: they are at `<folder>/<repository>/<commit>`.
    """

    folder: Path

    def at(self, watched: Watched, commit: str) -> Path:
        """The folder of a commit, laid out now if it is not there.

        Raises:
            SpecError: the tree has something that is not laid out (see `git.layout`).
            Waiting: a submodule can't be fetched now.
            EnvironmentFault: git or the disk refused.
        """
        path = self.folder / watched.policy.folder / commit
        if not path.is_dir():
            with disk_faults(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            lay_out(watched.mirror, commit, path, submodules=self._submodules(watched))
        with disk_faults(path):
            os.utime(path)
        return path

    def begin(self, boot: str) -> None:
        """Remove what was laid out before the machine was started: a layout is whole, but not durable over a power cut.

        Args:
            boot: names this start of the machine.
        """
        mark = self.folder / "boot"
        with disk_faults(mark):
            self.folder.mkdir(parents=True, exist_ok=True)
            if mark.exists() and mark.read_text() == boot:
                return
            for path in self.folder.glob("*__*/*"):
                remove_layout(path)
            mark.write_text(boot)

    def sweep(self, older_than_s: float, now_s: float, *, keep: Collection[str] = ()) -> int:
        """Remove folders that nobody has used for so long.

        Args:
            older_than_s: seconds since their last use.
            now_s: seconds since 1970.
            keep: commits of runs that are not over: one that trains for a week uses its folder all the time.

        Returns:
            How many were removed.
        """
        removed = 0
        for path in self.folder.glob("*__*/*"):
            if path.name in keep:
                continue
            try:
                if now_s - path.stat().st_mtime > older_than_s:
                    remove_layout(path)
                    removed += 1
            except FileNotFoundError:
                continue
        return removed

    def _submodules(self, watched: Watched) -> Submodules | None:
        """Where submodules may come from: the host of their parent, with the same credential, when they are asked for."""
        if not watched.policy.submodules:
            return None
        parent = watched.mirror.remote
        own = read_url(parent.url, parent.protocols)

        def remote(url: str, address: Address) -> Remote | None:
            same = (address.protocol, address.host, address.port) == (own.protocol, own.host, own.port)
            return replace(watched.mirror.remote, url=url) if same else None

        return Submodules(self.folder / "submodules", remote)
