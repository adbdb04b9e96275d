"""A watched repository with what the engine reaches it by."""

from dataclasses import dataclass

from fiat.engine.policy import RepoPolicy
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
