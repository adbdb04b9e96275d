"""One file of the stat cache: what a set of files looked like when they were hashed.

The first line is a digest of the second, the second a JSON header with a digest of the rest, the rest a
packed table. An unchanged set is told by its header alone. A damaged file is taken for none.
"""

import hashlib
import json
import os
from array import array
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FileFacts = tuple[int, int, int, int]
_FORMAT = 1
_HEADER_BYTES = 4096


@dataclass(frozen=True)
class Header:
    """What is known about a set of files.

    Attributes:
        signature: digest over the paths and facts of all files, empty when it must not be trusted.
        digest: digest of the set's content.
        table: digest of the table.
        count: files in it.
    """

    signature: str
    digest: str
    table: str
    count: int


def facts_of(found: os.stat_result) -> FileFacts:
    """What tells that a file changed: size, times of its content and its inode in ns, and its inode's number."""
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def sign(files: Iterable[tuple[str, os.stat_result]]) -> str:
    """Digest over the paths and facts of files in their order."""
    numbers = array("Q")
    names = []
    for name, found in files:
        names.append(name)
        numbers.extend((found.st_size, found.st_mtime_ns % _WRAP, found.st_ctime_ns % _WRAP, found.st_ino))
    digest = hashlib.blake2b(_join(names), digest_size=16)
    digest.update(numbers)
    return digest.hexdigest()


def read_header(path: Path) -> Header | None:
    """The header, or None when there is none that can be trusted."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES)
    except OSError:
        return None
    return _parse_header(head)


def read_table(path: Path) -> dict[str, tuple[FileFacts, str]]:
    """Path to (facts, MD5) of every file; empty when there is nothing that can be trusted."""
    try:
        content = path.read_bytes()
    except OSError:
        return {}
    header = _parse_header(content[:_HEADER_BYTES])
    if header is None:
        return {}
    table = content.split(b"\n", 2)[2]
    if _hash(table) != header.table:
        return {}
    numbers = array("Q")
    numbers.frombytes(table[: header.count * 32])
    digests = table[header.count * 32 : header.count * 48].hex()
    names = os.fsdecode(table[header.count * 48 :]).split("\0") if header.count else []
    columns = zip(numbers[0::4], numbers[1::4], numbers[2::4], numbers[3::4], strict=True)
    return {
        name: (facts, digests[place * 32 : place * 32 + 32])
        for place, (name, facts) in enumerate(zip(names, columns, strict=True))
    }


def write_file(path: Path, signature: str, digest: str, rows: dict[str, tuple[FileFacts, str]]) -> None:
    """Replace the file; does nothing where the disk refuses, for the cache is only a help."""
    numbers = array("Q")
    for facts, _ in rows.values():
        numbers.extend(number % _WRAP for number in facts)
    table = numbers.tobytes() + bytes.fromhex("".join(md5 for _, md5 in rows.values())) + _join(rows)
    header = json.dumps([_FORMAT, signature, digest, _hash(table), len(rows)]).encode()
    draft = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            draft.write_bytes(_hash(header).encode() + b"\n" + header + b"\n" + table)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


_WRAP = 1 << 64


def _parse_header(head: bytes) -> Header | None:
    lines = head.split(b"\n", 2)
    if len(lines) < 3 or _hash(lines[1]).encode() != lines[0]:
        return None
    version, signature, digest, table, count = json.loads(lines[1])
    return Header(signature, digest, table, count) if version == _FORMAT else None


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _join(names: Iterable[str]) -> bytes:
    return os.fsencode("\0".join(names))
