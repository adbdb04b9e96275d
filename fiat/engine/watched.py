"""A watched repository with what the engine reaches it by."""

from collections.abc import Mapping
from dataclasses import dataclass

from fiat.engine.policy import RepoPolicy
from fiat.errors import Stalled
from fiat.git.mirror import Mirror
from fiat.ports.forge import Forge


@dataclass(frozen=True)
class Watched:
    """A repository.

    Attributes:
        policy: what the operator grants.
        mirror: our own bare copy.
        forge: its API; None when the operator gave no credential.
    """

    policy: RepoPolicy
    mirror: Mirror
    forge: Forge | None


def watched_by_name(repos: Mapping[str, Watched], name: str) -> Watched:
    """The repository of that name.

    Raises:
        Stalled: the operator has taken it out of the settings.
    """
    if name not in repos:
        raise Stalled(f"{name} is no longer watched", hint="put it back under `repositories`")
    return repos[name]
