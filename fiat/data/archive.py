"""Unpack zip and tar archives that nobody vouches for: regular files and folders only, within caps.

The standard library's own filters are not used: on Python 3.11.7 `tarfile`'s `data` filter writes outside its target
(CVE-2025-4517). Here no link, device or other special member is ever made, so no path can lead through one; every
name is checked by itself, and each file is created new.
"""

import gzip
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fiat.data.archive_names import NameCheck
from fiat.errors import EnvironmentFault, SpecError, Where

_BLOCK_BYTES = 32 * 1024
_MOST_HEADER_BYTES = 64 * 1024
_MOST_RATIO = 200
_FREE_BYTES = 64 * 1024 * 1024
_ZIP_ENTRY = b"PK\x01\x02"
_ZIP_END = b"PK\x05\x06"
_ZIP_LINE_BYTES = 512
_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    struct.error,
    NotImplementedError,
    ValueError,
    RuntimeError,
)


@dataclass(frozen=True)
class Caps:
    """How much an archive may hold.

    Attributes:
        bytes: of all files together, unpacked.
        files: files and folders.
    """

    bytes: int
    files: int


def is_archive(name: str) -> bool:
    """Whether a file's name is one of a zip, tar or gzipped tar."""
    return name.lower().endswith(_SUFFIXES)


def extract(archive: Path, folder: Path, *, max_bytes: int, max_files: int = 100_000) -> list[Path]:
    """Unpack an archive into an empty folder.

    Args:
        archive: `.zip`, `.tar`, `.tar.gz` or `.tgz`.
        folder: exists and is empty.
        max_bytes: most bytes of all files together, unpacked.
        max_files: most files and folders.

    Returns:
        The files, sorted by path.

    Raises:
        SpecError: a link, device or other special member; a name that is absolute, has `..`, is too long, can't be
            shown, or differs from another one in case only; more than the caps allow, or over 64 MiB and 200 times
            the packed size; a damaged archive. Removing what was unpacked before is left to the caller.
        EnvironmentFault: the disk is full or can't be written.
    """
    caps = Caps(max_bytes, max_files)
    names = NameCheck(archive.name, max_files)
    try:
        with ExitStack() as stack:
            if archive.name.lower().endswith(".zip"):
                members = _zip_members(archive, caps, stack)
            else:
                members = _tar_members(archive, caps, stack)
            return _write(archive, members, folder, names, caps)
    except _DAMAGE as error:
        raise _fault(archive, f"a damaged archive: {error}") from error
    except OSError as error:
        raise EnvironmentFault(f"{archive.name} can't be unpacked: {error.strerror or error}") from error


@dataclass(frozen=True)
class _Member:
    name: str
    special: str
    is_folder: bool
    open: "_Opener"


class _Opener:
    """Opens the content of one member."""

    def __init__(
        self, packed: zipfile.ZipFile | tarfile.TarFile, member: zipfile.ZipInfo | tarfile.TarInfo
    ) -> None:
        self._packed, self._member = packed, member

    def __call__(self) -> IO[bytes]:
        if isinstance(self._packed, zipfile.ZipFile) and isinstance(self._member, zipfile.ZipInfo):
            return self._packed.open(self._member)
        if isinstance(self._packed, tarfile.TarFile) and isinstance(self._member, tarfile.TarInfo):
            content = self._packed.extractfile(self._member)
            if content is not None:
                return content
        raise tarfile.ReadError("a member without content")


def _write(
    archive: Path, members: Iterator[_Member], folder: Path, names: NameCheck, caps: Caps
) -> list[Path]:
    written, n_bytes = [], 0
    ratio_cap = max(_FREE_BYTES, archive.stat().st_size * _MOST_RATIO)
    for member in members:
        if member.special:
            raise _fault(archive, f"{member.name!r} is {member.special}: only files and folders are unpacked")
        parts = names.admit(member.name, is_folder=member.is_folder)
        target = folder.joinpath(*parts)
        if member.is_folder:
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with closing(member.open()) as content, target.open("xb") as out:
            while block := content.read(_BLOCK_BYTES):
                n_bytes += len(block)
                if n_bytes > caps.bytes:
                    raise _fault(archive, f"it unpacks to more than {caps.bytes:,} bytes")
                if n_bytes > ratio_cap:
                    raise _fault(archive, f"it unpacks to more than {_MOST_RATIO} times its size")
                out.write(block)
        written.append(target)
    return sorted(written)


def _zip_members(archive: Path, caps: Caps, stack: ExitStack) -> Iterator[_Member]:
    _check_directory(archive, caps)
    packed = stack.enter_context(zipfile.ZipFile(archive))
    for info in packed.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        special = "" if kind in (0, stat.S_IFREG, stat.S_IFDIR) else _special(kind)
        yield _Member(info.orig_filename, special, info.is_dir(), _Opener(packed, info))


def _check_directory(archive: Path, caps: Caps) -> None:
    """`zipfile` loads the whole directory at once: count its entries before it does.

    Source: PKWARE APPNOTE 6.3, sections 4.3.12 (entries) and 4.3.16 (end record).
    """
    size = archive.stat().st_size
    most = caps.files * _ZIP_LINE_BYTES + 128 * 1024
    with archive.open("rb") as stream:
        stream.seek(max(0, size - most))
        tail = stream.read()
    end = tail.rfind(_ZIP_END)
    if end < 0:
        raise zipfile.BadZipFile("it has no end record")
    (directory_bytes,) = struct.unpack_from("<I", tail, end + 12)
    if directory_bytes > len(tail) and size > len(tail):
        raise _fault(archive, f"it has more than {caps.files:,} files")
    if tail.count(_ZIP_ENTRY) > caps.files:
        raise _fault(archive, f"it has more than {caps.files:,} files")


def _tar_members(archive: Path, caps: Caps, stack: ExitStack) -> Iterator[_Member]:
    raw: IO[bytes] = stack.enter_context(archive.open("rb"))
    if archive.name.lower().endswith(("gz", "tgz")):
        raw = io.BufferedReader(stack.enter_context(gzip.GzipFile(fileobj=raw)))
    with tarfile.TarFile(fileobj=_CappedReader(raw)) as tar:
        for info in tar:
            plain = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not info.issparse()
            special = "" if plain or info.isdir() else _special_tar(info)
            yield _Member(info.name, special, info.isdir(), _Opener(tar, info))
            # It would keep every member that it has seen.
            tar.members.clear()  # type: ignore[attr-defined]  # typeshed leaves it out
        # tarfile takes a damaged or cut header for the end and says nothing; the end is a block of zeros.
        raw.seek(tar.offset)
        end = raw.read(tarfile.BLOCKSIZE)
        if len(end) < tarfile.BLOCKSIZE or end.strip(b"\0"):
            raise tarfile.ReadError(f"it is cut off or damaged at byte {tar.offset:,}")


class _CappedReader(io.RawIOBase):
    """A file for `tarfile` that refuses long reads: only a huge extended header asks for one."""

    def __init__(self, raw: IO[bytes]) -> None:
        super().__init__()
        self._raw = raw

    def read(self, size: int = -1, /) -> bytes:
        if not 0 <= size <= _MOST_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of more than {_MOST_HEADER_BYTES >> 10} KiB")
        return self._raw.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()


def _special(kind: int) -> str:
    return "a symbolic link" if kind == stat.S_IFLNK else "a special file"


def _special_tar(info: tarfile.TarInfo) -> str:
    if info.issym():
        return "a symbolic link"
    return "a hard link" if info.islnk() else "a special file"


def _fault(archive: Path, message: str) -> SpecError:
    return SpecError(message, where=Where(archive.name), hint="unpack it yourself and look at what is in it")
