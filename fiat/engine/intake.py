"""What a delivery asks for: pure, so that the web may ask before it answers. Git decides later whether it is true."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from fiat.engine.policy import RepoPolicy
from fiat.run.delivery import Commented, Delivery, Pushed, Rerequested
from fiat.run.delivery import PullChanged as Pulled
from fiat.run.queue import Change

_WANTS_RUN = frozenset({"opened", "updated"})


@dataclass(frozen=True)
class Asked:
    """What a delivery comes to.

    Attributes:
        repo: the watched repository; None when nobody watches it, and nothing more is done.
        changes: commits to look at.
        later: it has something that needs the forge's API and is done by the reconciler (comments, buttons).
    """

    repo: RepoPolicy | None
    changes: tuple[Change, ...] = ()
    later: bool = False


def asked(
    delivery: Delivery,
    repositories: Sequence[RepoPolicy],
    *,
    new_id: Callable[[], str],
    now: datetime,
) -> Asked:
    """Turn a verified delivery into commits to look at: of watched branches, and of pull requests to them.

    Only the numeric id tells which repository it is; a name alone counts only where the operator pinned no id.
    """
    repo = find_repo(delivery, repositories)
    if repo is None:
        return Asked(None)
    changes: list[Change] = []
    later = False
    for happening in delivery.happenings:
        if isinstance(happening, Pushed):
            if happening.commit and repo.watches(happening.ref):
                changes.append(
                    Change(
                        id=new_id(),
                        repo=repo.name,
                        commit=happening.commit,
                        purpose="push",
                        ref=happening.ref,
                        cause=f"pushed by {delivery.sender_name or 'somebody'}",
                        made_at=now,
                    )
                )
        elif isinstance(happening, Pulled):
            if happening.action in _WANTS_RUN and happening.commit and repo.watches(happening.base_ref):
                changes.append(_pulled(repo, happening, delivery.sender_name, new_id(), now))
                # What was opened before and closed needs a look at what that ended.
                later = later or happening.action == "opened"
            later = later or happening.action == "closed"
        elif isinstance(happening, Commented | Rerequested):
            later = True
    return Asked(repo, tuple(changes), later)


def _pulled(repo: RepoPolicy, happening: Pulled, by: str, change_id: str, now: datetime) -> Change:
    """The change of a pull request's head."""
    return Change(
        id=change_id,
        repo=repo.name,
        commit=happening.commit,
        purpose="pull_request",
        ref=happening.base_ref,
        pull=happening.number,
        fork=happening.fork,
        head_repo_id=happening.head_repo_id,
        cause=(f"pull request {happening.number}" if happening.number else "merge queue")
        + (f" by {by}" if by else ""),
        made_at=now,
    )


def find_repo(delivery: Delivery, repositories: Sequence[RepoPolicy]) -> RepoPolicy | None:
    """The watched repository that a delivery is about, or None."""
    for repo in repositories:
        if repo.forge != delivery.forge:
            continue
        if repo.id:
            if repo.id == delivery.repo_id:
                return repo
        elif repo.name.lower() == delivery.repo_name.lower():
            return repo
    return None
