"""Digests of source files, for provenance."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from fiat.errors import EnvironmentFault


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits.

    Raises:
        EnvironmentFault: it can't be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise EnvironmentFault(f"{path} can't be read: {error.strerror or error}") from error


def digest_listing(named: Sequence[tuple[str, str]]) -> str:
    """Digest of named contents: of one file its own SHA-256, of several the SHA-256 of the list that `sha256sum` prints.

    Args:
        named: (name, SHA-256) of each file, in order.
    """
    if len(named) == 1:
        return named[0][1]
    listing = "".join(f"{sha256}  {name}\n" for name, sha256 in named)
    return hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()


def digest_files(files: Sequence[Path], base: Path) -> str:
    """Digest of files by their content and their names below a folder."""
    return digest_listing([(file.relative_to(base).as_posix(), sha256_of(file)) for file in files])


def digest_stats(files: Sequence[Path], base: Path) -> str:
    """Digest of files by name, size and time of change: tells that one may have changed without reading it.

    Raises:
        EnvironmentFault: a file is gone meanwhile, or can't be looked at.
    """
    listing = ""
    for file in files:
        try:
            found = file.stat()
        except OSError as error:
            raise EnvironmentFault(f"{file} can't be read: {error.strerror or error}") from error
        listing += f"{found.st_size} {found.st_mtime_ns}  {file.relative_to(base).as_posix()}\n"
    return hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()
