"""Names of refs and commits, checked before git sees them, and what `ls-remote` says."""

import re
from collections.abc import Iterable

from fiat.errors import SpecError
from fiat.git.words import in_one_line

MAX_REF_CHARS = 1000
_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_NEVER = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)|[./]$")
_WATCHED = re.compile(r"refs/(?:heads/.+|tags/.+|pull/[0-9]+/head|merge-requests/[0-9]+/head)")


def is_oid(text: str) -> bool:
    """Whether a text is a whole object name: 40 or 64 lower-case hex digits."""
    return _OID.fullmatch(text) is not None


def check_oid(text: str) -> str:
    """The commit (or other object) itself.

    Raises:
        SpecError: it is no whole object name.
    """
    if not is_oid(text):
        raise SpecError(f"{in_one_line(ascii(text), limit=100)} is no commit", hint="give all its hex digits")
    return text


def is_ref(name: str) -> bool:
    """Whether a text is a full ref name such as `refs/heads/main`.

    Source: git-check-ref-format(1). Names that are no UTF-8 are none to us.
    """
    if not name.startswith("refs/") or len(name) > MAX_REF_CHARS or name.count("/") < 2:
        return False
    return not _NEVER.search(name) and name.isprintable()


def check_ref(name: str) -> str:
    """The ref itself.

    Raises:
        SpecError: it is no full ref name.
    """
    if not is_ref(name):
        shown = in_one_line(ascii(name), limit=100)
        raise SpecError(f"{shown} is no ref", hint="give its full name, such as refs/heads/main")
    return name


def read_advertised(output: bytes) -> dict[str, str]:
    """Branches, tags and heads of pull requests that a remote told of, ref to commit.

    A tag that is an object of its own stands for the commit behind it. Lines that are no ref by the rules are left out:
    whoever can push chooses those names.
    """
    found: dict[str, str] = {}
    peeled: dict[str, str] = {}
    for line in output.split(b"\n"):
        oid, tab, raw = line.partition(b"\t")
        try:
            commit, name = oid.decode("ascii"), raw.decode("utf-8")
        except UnicodeDecodeError:
            continue
        if not tab or not is_oid(commit):
            continue
        ref = name.removesuffix("^{}")
        if is_ref(ref) and _WATCHED.fullmatch(ref):
            (found if ref == name else peeled)[ref] = commit
    return {**found, **{ref: commit for ref, commit in peeled.items() if ref in found}}


def refspecs(refs: Iterable[str]) -> list[str]:
    """What to fetch, each ref into the same name of ours.

    Args:
        refs: full names, or `refs/heads/*` and `refs/tags/*`.

    Raises:
        SpecError: one is no ref.
    """
    specs = []
    for ref in refs:
        star = ref.removesuffix("*")
        if star == ref or star not in ("refs/heads/", "refs/tags/"):
            check_ref(ref)
        specs.append(f"+{ref}:{ref}")
    return specs
