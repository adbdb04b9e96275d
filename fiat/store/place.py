"""Putting an object's content at another path, as cheaply as the file system lets us."""

import errno
import fcntl
from pathlib import Path

# The ioctl that makes one file share the blocks of another. Source: ioctl_ficlone(2).
_FICLONE = 0x40049409
COPY_UP_TO_BYTES = 1 << 20


class Placer:
    """Clones, copies or links. Remembers that a file system can't clone."""

    def __init__(self) -> None:
        self._clones = True

    def place(self, source: str, target: str) -> bytes | None:
        """Make `target` a writable clone or copy of `source`, or a symbolic link when it is large.

        Returns:
            The content that was copied; None where nothing was read.

        Raises:
            OSError: `source` is gone, or the disk refused.
        """
        if self._clones and self._clone(source, target):
            return None
        # Buffered on both sides: a single read or write may end early on a failing or nearly full disk without a word,
        # and a step would then work on a part of its input.
        with open(source, "rb") as file:
            content = file.read(COPY_UP_TO_BYTES + 1)
        if len(content) > COPY_UP_TO_BYTES:
            Path(target).symlink_to(Path(source).absolute())
            return None
        with open(target, "xb") as copy:
            copy.write(content)
        return content

    def _clone(self, source: str, target: str) -> bool:
        with open(source, "rb", buffering=0) as content, open(target, "xb", buffering=0) as clone:
            try:
                fcntl.ioctl(clone.fileno(), _FICLONE, content.fileno())
                return True
            except OSError as error:
                if error.errno not in (
                    errno.EOPNOTSUPP,
                    errno.ENOTTY,
                    errno.EXDEV,
                    errno.EINVAL,
                    errno.ENOSYS,
                ):
                    raise
        self._clones = False
        Path(target).unlink()
        return False
