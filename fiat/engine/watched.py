"""A watched repository with what the engine reaches it by."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fiat.engine.policy import RepoPolicy
from fiat.errors import Stalled
from fiat.git.mirror import Mirror
from fiat.ports.forge import Forge

SURE_S = 60.0


@dataclass
class _Seen:
    """When the repository was known to be the pinned one last, by the monotonic clock."""

    at_s: float | None = None


@dataclass(frozen=True)
class Watched:
    """A repository.

    Attributes:
        policy: what the operator grants.
        mirror: our own bare copy.
        forge: its API; None when the operator gave no credential.
        clock: monotonic seconds.
    """

    policy: RepoPolicy
    mirror: Mirror
    forge: Forge | None
    clock: Callable[[], float] = time.monotonic
    _seen: _Seen = field(default_factory=_Seen, repr=False, compare=False)

    def assure_identity(self) -> None:
        """See that the name still leads to the repository whose id is pinned; good for SURE_S.

        Git knows names only. When a repository is renamed or deleted, anybody may take its name and push there. Without a
        pinned id, or a credential to ask with, there is nothing to compare.

        Raises:
            Stalled: it is another repository, or the forge refuses to say.
            Waiting: the forge does not answer.
        """
        if not self.policy.id or self.forge is None:
            return
        seen_s = self._seen.at_s
        if seen_s is not None and self.clock() - seen_s < SURE_S:
            return
        self._seen.at_s = None
        found = self.forge.repo_id
        if found != self.policy.id:
            raise Stalled(
                f"{self.policy.name} has id {found or 'unknown'} at its forge, the settings pin {self.policy.id}: "
                "it is another repository now, and nothing of it runs",
                hint="find out who renamed or deleted what, then set `name`, `url` and `id` of the repository you mean",
            )
        self._seen.at_s = self.clock()
