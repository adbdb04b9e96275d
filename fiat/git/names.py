"""Which paths of a commit may become paths on a disk."""

import re
import unicodedata

LONGEST_PATH_BYTES = 4096
LONGEST_PART_BYTES = 255
DEEPEST = 64

# Source: git's utf8.c, `next_hfs_char`: characters that HFS+ leaves out when it compares names.
_UNSEEN_ON_HFS = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
# Source: git's path.c, `is_ntfs_dotgit`: short name, streams, dots and spaces at the end.
_DOT_GIT_ON_NTFS = re.compile(r"(?:\.git|git~1)(?:[ .]*|[ .]*:.*)", re.IGNORECASE)


def fault_of_path(path: str) -> str:
    """Why a path of a commit is not laid out; empty when it is fine.

    `.git` and everything that some file system takes for it are refused wherever they stand: a program that finds one
    reads its settings and runs what they name.
    """
    raw = path.encode("utf-8", "surrogateescape")
    parts = path.split("/")
    if b"\0" in raw or len(raw) > LONGEST_PATH_BYTES or len(parts) > DEEPEST:
        return "is too long or too deep"
    for part in parts:
        if part in ("", ".", ".."):
            return "leads outside its folder"
        if len(part.encode("utf-8", "surrogateescape")) > LONGEST_PART_BYTES:
            return "is too long or too deep"
        if any(is_dot_git(piece) for piece in part.split("\\")):
            return "holds a name that some file system takes for .git"
    return ""


def is_dot_git(name: str) -> bool:
    """Whether a file system that ignores case, HFS+ or NTFS takes a name for `.git`."""
    if _DOT_GIT_ON_NTFS.fullmatch(name):
        return True
    return unicodedata.normalize("NFC", _UNSEEN_ON_HFS.sub("", name)).casefold() == ".git"
