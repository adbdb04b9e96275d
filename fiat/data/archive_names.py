"""Judge the names in an archive: what may become a path, and whether two of them clash."""

import unicodedata
from dataclasses import dataclass, field

from fiat.errors import SpecError, Where

_LONGEST_NAME = 1024
_LONGEST_PART_BYTES = 255
_DEEPEST = 32


@dataclass
class NameCheck:
    """Remembers the names of one archive.

    Attributes:
        archive: its file name, for people.
        max_files: most files and folders.
        seen: what stands at each path, by its form on a file system that ignores case: exact path, and whether it is
            a folder.
    """

    archive: str
    max_files: int
    seen: dict[str, tuple[str, bool]] = field(default_factory=dict)

    def admit(self, name: str, *, is_folder: bool) -> tuple[str, ...]:
        """The parts of a name that is fine; empty for the archive's own root folder.

        Raises:
            SpecError: it leads outside, can't be shown, is too long or too deep, stands where another one does, or is
                one more than allowed.
        """
        parts = self._parts(name)
        for depth in range(1, len(parts) + 1):
            path, folder = "/".join(parts[:depth]), is_folder or depth < len(parts)
            key = unicodedata.normalize("NFC", path).casefold()
            before = self.seen.get(key)
            if before is None:
                self.seen[key] = (path, folder)
            elif before[0] != path:
                raise self._fault(f"{before[0]!r} and {path!r} are one path where case does not count")
            elif not (before[1] and folder):
                raise self._fault(f"{path!r} is there twice")
            if len(self.seen) > self.max_files:
                raise self._fault(f"it has more than {self.max_files:,} files")
        return parts

    def _parts(self, name: str) -> tuple[str, ...]:
        shown = repr(name[:80])
        if not name or len(name) > _LONGEST_NAME:
            raise self._fault(f"a name of {len(name)} characters: {shown}")
        if not name.isprintable() or "\\" in name:
            raise self._fault(f"{shown} has a character that no file name should have")
        if name.startswith("/") or name[1:2] == ":":
            raise self._fault(f"{shown} is an absolute path")
        parts = tuple(part for part in name.split("/") if part not in ("", "."))
        if ".." in parts:
            raise self._fault(f"{shown} leads outside the archive")
        if len(parts) > _DEEPEST or any(len(part.encode()) > _LONGEST_PART_BYTES for part in parts):
            raise self._fault(f"{shown} is too long or too deep")
        return parts

    def _fault(self, message: str) -> SpecError:
        return SpecError(
            message, where=Where(self.archive), hint="unpack it yourself and look at what is in it"
        )
