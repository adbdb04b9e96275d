"""How DVC writes down a folder: a JSON list of its files, whose MD5 and `.dir` is the folder's digest. Pure.

Source: DVC 3, `dvc_data.hashfile.tree.Tree.as_bytes`; `tests/store/test_dvc_interop.py` compares with the
real `dvc`.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

DIR = ".dir"

_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class TreeFile:
    """One file of a folder.

    Attributes:
        path: relative to the folder, `/` between its parts.
        digest: MD5 of its content, 32 hex digits.
    """

    path: str
    digest: str


def is_digest(text: str) -> bool:
    """Whether this is the digest of a file (32 hex digits) or of a folder (`.dir` behind them)."""
    return bool(_MD5.fullmatch(text.removesuffix(DIR)))


def write_tree(files: Iterable[tuple[str, str]]) -> bytes:
    """The list as DVC writes it.

    Args:
        files: (path, digest) in any order.
    """
    listed = [{"md5": digest, "relpath": path} for path, digest in sorted(files)]
    return json.dumps(listed).encode("ascii")


def digest_tree(text: bytes) -> str:
    """The folder's digest: MD5 of the list, and `.dir`."""
    return hash_bytes(text) + DIR


def hash_bytes(content: bytes) -> str:
    """MD5 of some bytes, 32 hex digits. It names content as DVC does; it is no defence against an attacker."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def read_tree(text: bytes) -> tuple[TreeFile, ...]:
    """The files in a list that `write_tree` or DVC wrote.

    Raises:
        ValueError: it is no such list, or a path in it would leave the folder.
    """
    listed = json.loads(text)
    if not isinstance(listed, list):
        raise ValueError("a list of files was expected")
    return tuple(_read_file(item) for item in listed)


def _read_file(item: object) -> TreeFile:
    if not isinstance(item, dict):
        raise ValueError("a file's entry was expected")
    path, digest = item.get("relpath"), item.get("md5")
    if not isinstance(path, str) or not isinstance(digest, str) or not _MD5.fullmatch(digest):
        raise ValueError("a file's path and MD5 were expected")
    if "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise ValueError(f"the path {path!r} leaves its folder")
    return TreeFile(path, digest)
