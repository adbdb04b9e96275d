"""Folders that outlive attempts: checkpoints of a training and trials of a study, by what they are worth resuming for."""

from pathlib import Path

from fiat.store.faults import disk_faults
from fiat.store.work import remove_tree

CHECKPOINTS, STUDIES = "checkpoints", "studies"


class ResumeFolders:
    """Makes and removes them.

    Args:
        root: the `.fiat` folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def checkpoints(self, key: str) -> Path:
        """The folder for the checkpoints of a piece of work, made when there is none.

        Args:
            key: of the work, see `fiat.plan.fingerprint.resume_key`.

        Raises:
            EnvironmentFault: the disk refused.
        """
        return self._made(self._root / CHECKPOINTS / key[:32])

    def trials(self, key: str) -> Path:
        """The folder for the trials of a study; see `checkpoints`."""
        return self._made(self._root / STUDIES / key[:32])

    def forget(self, key: str) -> None:
        """Remove the checkpoints of a piece of work that is done; finished trials stay, for a longer study.

        Raises:
            EnvironmentFault: the disk refused.
        """
        folder = self._root / CHECKPOINTS / key[:32]
        with disk_faults(folder):
            remove_tree(folder)

    def _made(self, folder: Path) -> Path:
        with disk_faults(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder
