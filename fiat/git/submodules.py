"""Submodules, when the operator asks for them: which repository each means, and whether that may be fetched."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fiat.errors import SpecError, Where
from fiat.git.entries import Blob
from fiat.git.hardened import run_git
from fiat.git.mirror import Mirror
from fiat.git.mirror_write import HEADS, TAGS
from fiat.git.objects import TooLarge
from fiat.git.remote import Address, Remote, read_url
from fiat.git.words import in_one_line, show_path

FILE = ".gitmodules"
FILE_LIMIT_BYTES = 256 * 1024
DEEPEST = 3


@dataclass(frozen=True)
class Submodules:
    """Where submodules may come from.

    Attributes:
        folder: their mirrors lie in it, one for each URL.
        remote: how a URL is reached; None for one that is not allowed. A repository chooses the URL, so this decides by
            its host, and whether a credential goes with it.
    """

    folder: Path
    remote: Callable[[str, Address], Remote | None]

    def fetch(self, parent: Mirror, files: Mapping[str, Blob], path: str, commit: str, depth: int) -> Mirror:
        """The mirror of a submodule, with its commit.

        Args:
            parent: mirror of the repository that it is in.
            files: of the commit that it is in.
            path: where it is there.
            commit: that is wanted of it.
            depth: how many repositories it is in, beside the first.

        Raises:
            SpecError: `.gitmodules` does not tell its URL, the URL is refused, it has no such commit, or it lies too deep.
            Waiting, Stalled: it can't be fetched.
        """
        shown = show_path(path)
        where = Where(FILE)
        if depth >= DEEPEST:
            raise SpecError(f"the submodule {shown} lies more than {DEEPEST} repositories deep", where=where)
        url = _urls(parent, files).get(path)
        if url is None:
            raise SpecError(f"the submodule {shown} has no url", where=where)
        full = absolute_url(url, parent.remote.url)
        try:
            remote = self.remote(full, read_url(full, parent.remote.protocols))
        except SpecError as error:
            raise SpecError(f"the submodule {shown}: {error.message}", hint=error.hint, where=where) from None
        if remote is None:
            hint = "the operator of the runner says which hosts submodules may come from"
            raise SpecError(
                f"the submodule {shown} comes from {full!a}, which is not allowed", hint=hint, where=where
            )
        mirror = Mirror(self.folder / hashlib.sha256(full.encode()).hexdigest()[:32], remote)
        if mirror.fetch((), [commit]):
            mirror.fetch((HEADS, TAGS))
        if not mirror.has(commit):
            raise SpecError(f"the submodule {shown} has no commit {commit}", where=where)
        return mirror


def absolute_url(url: str, parent: str) -> str:
    """A submodule's URL, with `./` and `../` at its beginning resolved against the repository that it is in.

    Source: git-submodule(1), "add"; unlike there, a `..` never goes above the host.

    Raises:
        SpecError: it goes above.
    """
    if not url.startswith(("./", "../")):
        return url
    head, separator, tail = parent.rstrip("/").rpartition("://")
    host, slash, path = tail.partition("/") if separator else tail.partition(":")
    parts = [part for part in path.split("/") if part]
    for piece in url.split("/"):
        if piece == "..":
            if not parts:
                raise SpecError(f"the submodule's URL {in_one_line(url, limit=200)!a} goes above its host")
            parts.pop()
        elif piece not in ("", "."):
            parts.append(piece)
    return f"{head}{separator}{host}{slash}{'/'.join(parts)}"


def _urls(mirror: Mirror, files: Mapping[str, Blob]) -> Mapping[str, str]:
    """Path to URL, as a commit's `.gitmodules` says. git reads it as a list of settings and follows none of them."""
    blob = files.get(FILE)
    if blob is None or not blob.is_file:
        return {}
    try:
        content = mirror.read(blob.oid, FILE_LIMIT_BYTES)
    except TooLarge:
        raise SpecError(f"{FILE} has more than {FILE_LIMIT_BYTES:,} bytes", where=Where(FILE)) from None
    arguments = ["config", "--file", "-", "--no-includes", "--null", "--list"]
    said = run_git(arguments, mirror.outside(), given=content)
    if said.code:
        raise SpecError(f"{FILE} can't be read: {said.error}", where=Where(FILE))
    values: dict[str, dict[str, str]] = {}
    for line in said.out.decode("utf-8", "surrogateescape").split("\0"):
        key, _, value = line.partition("\n")
        if key.startswith("submodule."):
            name, _, setting = key.removeprefix("submodule.").rpartition(".")
            values.setdefault(name, {})[setting] = value
    return {value["path"]: value["url"] for value in values.values() if value.keys() >= {"path", "url"}}
