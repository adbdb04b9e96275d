"""Small git repositories for tests, made with the real git."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "LANG": "C",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Author",
    "GIT_AUTHOR_EMAIL": "author@example.org",
    "GIT_AUTHOR_DATE": "2024-05-01T12:00:00Z",
    "GIT_COMMITTER_NAME": "Committer",
    "GIT_COMMITTER_EMAIL": "committer@example.org",
    "GIT_COMMITTER_DATE": "2024-05-01T12:00:00Z",
}


class Repository:
    """A repository that a person works in.

    Args:
        folder: made with an empty branch `main` when it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not folder.exists():
            folder.mkdir(parents=True)
            self.git("init", "-q", "-b", "main", "--template=")

    def git(self, *arguments: str, given: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        """Run git in it and give what it printed, without the last line break."""
        done = subprocess.run(
            ["git", "-C", str(self.folder), *arguments],
            input=given,
            env={**ENVIRONMENT, "HOME": str(self.folder.parent), **(env or {})},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")

    def write(self, files: Mapping[str, str | bytes]) -> None:
        """Put files into the working tree."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, files: Mapping[str, str | bytes] | None = None, message: str = "change") -> str:
        """Commit files with all that changed in the working tree; gives the commit."""
        self.write(files or {})
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def blob(self, content: bytes) -> str:
        """Store a blob."""
        return self.git("hash-object", "-w", "--stdin", given=content)

    def tree(self, entries: Mapping[str | bytes, tuple[str, str]]) -> str:
        """Store a tree as it is given, right or wrong: name to mode and object name."""
        raw = b"".join(
            f"{mode.lstrip('0')} ".encode()
            + (name if isinstance(name, bytes) else os.fsencode(name))
            + b"\0"
            + bytes.fromhex(oid)
            for name, (mode, oid) in entries.items()
        )
        return self.git("hash-object", "-w", "--literally", "-t", "tree", "--stdin", given=raw)

    def commit_tree(self, tree: str, ref: str = "refs/heads/main") -> str:
        """Commit a tree by its name, without a parent, and move a ref there."""
        commit = self.git("commit-tree", tree, "-m", "made by hand")
        self.git("update-ref", ref, commit)
        return commit
