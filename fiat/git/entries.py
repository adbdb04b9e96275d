"""What git prints about commits and trees, as values."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Blob:
    """One entry of a commit's tree.

    Attributes:
        mode: as git writes it: `100644`, `100755` (executable), `120000` (symlink), `160000` (submodule).
        oid: name of its content; of a commit for a submodule.
    """

    mode: str
    oid: str

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return self.mode in ("100644", "100755", "100664")

    @property
    def is_link(self) -> bool:
        """Whether it is a symlink."""
        return self.mode == "120000"

    @property
    def is_submodule(self) -> bool:
        """Whether it is another repository's commit."""
        return self.mode == "160000"


@dataclass(frozen=True)
class Edit:
    """How one path differs between two commits.

    Attributes:
        before: its entry in the earlier one; None when it was not there.
        after: in the later one; None when it is gone.
    """

    before: Blob | None
    after: Blob | None


@dataclass(frozen=True)
class CommitText:
    """What a commit says of itself.

    Attributes:
        parents: object names, first parent first.
        tree: object name.
        author: name and address, hostile text: anybody can write any name.
        message: hostile text.
    """

    parents: tuple[str, ...]
    tree: str
    author: str
    message: str


def read_tree(output: bytes) -> dict[str, Blob]:
    """What `ls-tree -r -z` printed, path to entry. Names that are no UTF-8 keep their bytes as `os.fsdecode` does."""
    found: dict[str, Blob] = {}
    for line in output.split(b"\0"):
        head, tab, raw = line.partition(b"\t")
        if tab:
            mode, _, oid = head.split(b" ")
            found[os.fsdecode(raw)] = Blob(mode.decode(), oid.decode())
    return found


def read_edits(output: bytes) -> dict[str, dict[str, Edit]]:
    """What `diff-tree --stdin -r -z --raw` printed for pairs of trees: the first tree to what changed since.

    Source: git-diff-tree(1), "RAW OUTPUT FORMAT"; each pair begins with a line that names the two trees.
    """
    found: dict[str, dict[str, Edit]] = {}
    edits: dict[str, Edit] = {}
    words = iter(output.split(b"\0"))
    for word in words:
        head, newline, rest = word.partition(b"\n")
        if newline:
            edits = found.setdefault(head.split(b" ")[0].decode(), {})
            word = rest
        if not word.startswith(b":"):
            continue
        old_mode, new_mode, old, new, _ = word[1:].decode().split(" ")
        before = None if old_mode == "000000" else Blob(old_mode, old)
        after = None if new_mode == "000000" else Blob(new_mode, new)
        edits[os.fsdecode(next(words))] = Edit(before, after)
    return found


def read_commit(raw: bytes) -> CommitText:
    """Take a commit object apart. Source: git's commit.c; unknown headers are passed over."""
    head, _, message = raw.decode("utf-8", "replace").partition("\n\n")
    fields = [line.partition(" ") for line in head.split("\n")]
    parents = tuple(value for name, _, value in fields if name == "parent")
    tree = next((value for name, _, value in fields if name == "tree"), "")
    author = next((value for name, _, value in fields if name == "author"), "")
    return CommitText(parents, tree, author.rpartition(">")[0] + ">" if ">" in author else author, message)
