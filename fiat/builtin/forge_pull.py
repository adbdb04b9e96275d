"""Pull requests as GitHub's, Gitea's and Forgejo's API tell them."""

import re
from collections.abc import Mapping
from typing import Any

from fiat.builtin.forge_refusal import field_of
from fiat.builtin.forge_text import one_line
from fiat.ports.forge import Pull

HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def read_pull(data: Mapping[str, Any]) -> Pull | None:
    """An open pull request; None when it has lost its head."""
    number, commit, base = (field_of(data, path) for path in ("number", "head.sha", "base.ref"))
    if not isinstance(number, int) or not isinstance(base, str) or not is_hash(commit):
        return None
    head_ref = one_line(str(field_of(data, "head.ref") or ""), 255)
    head_id, base_id = id_of(data, "head.repo.id"), id_of(data, "base.repo.id")
    # A head that is no branch came by `git push refs/for/...` (Gitea), which needs no write access.
    loose = head_ref.startswith("refs/")
    fork = loose or not head_id or head_id != base_id
    return Pull(
        number=number,
        commit=commit,
        head_ref=head_ref,
        base_ref=f"refs/heads/{base}",
        fork=fork,
        head_repo_id=head_id if fork and not loose else "",
        author_id=id_of(data, "user.id"),
    )


def is_hash(value: object) -> bool:
    """Whether it is a full commit hash."""
    return isinstance(value, str) and HASH.fullmatch(value) is not None


def id_of(data: Mapping[str, Any], path: str) -> str:
    """A numeric id as text, empty when there is none."""
    found = field_of(data, path)
    return str(found) if isinstance(found, int) and not isinstance(found, bool) else ""
