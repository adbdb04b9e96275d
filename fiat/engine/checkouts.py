"""Commits laid out as folders: made at first use, shared by the runs of a commit, removed when nobody needs them."""

import os
from dataclasses import dataclass
from pathlib import Path

from fiat.engine.checkout import Checkout, GitState
from fiat.git.layout import lay_out
from fiat.git.mirror import Mirror
from fiat.store.faults import disk_faults
from fiat.store.work import remove_tree


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

    def at(self, mirror: Mirror, repo: str, commit: str) -> Path:
        """The folder of a commit, laid out now if it is not there.

        Raises:
            SpecError: the tree has something that is not laid out (see `git.layout`).
            EnvironmentFault: git or the disk refused.
        """
        path = self.folder / repo.replace("/", "__") / commit
        if not path.is_dir():
            with disk_faults(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            lay_out(mirror, commit, path)
        with disk_faults(path):
            os.utime(path)
        return path

    def sweep(self, older_than_s: float, now_s: float) -> int:
        """Remove folders that nobody has used for so long.

        Returns:
            How many were removed.
        """
        removed = 0
        for path in self.folder.glob("*/*"):
            try:
                if now_s - path.stat().st_mtime > older_than_s:
                    remove_tree(path)
                    removed += 1
            except FileNotFoundError:
                continue
        return removed
