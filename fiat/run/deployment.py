"""What was put on targets, and what is held back from them. Frozen values; the store gives and takes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

DeploymentState = Literal["deploying", "deployed", "refused", "failed", "stopped"]
"""On its way; there; the target went back by itself; it could not be brought to it; somebody ended what was there."""


@dataclass(frozen=True)
class Deployment:
    """One model put on one place.

    Attributes:
        place: target and model, with the repository on a runner: `production:fashion`, `acme/models:production:fashion`.
        kind: of target, what `to:` says.
        target: name under `deploy:` in the spec.
        spec: name of the spec.
        model: name that its releases go by in the store.
        digest: of the package.
        commit: git commit, empty outside git.
        run: id of the run that did it; empty for what a person did.
        generation: as the target was told; 0 by hand.
        cause: one sentence: who or what wanted it.
        approver: who agreed; empty where nobody needed to.
        settings: what the spec says of the target, and what else its request has; JSON values.
        state: see DeploymentState.
        reason: one sentence about the state.
        began_at: aware UTC.
        ended_at: when it was deployed, refused or failed.
        sequence: grows; given by the store.
    """

    place: str
    kind: str
    target: str
    spec: str
    model: str
    digest: str
    commit: str
    run: str
    generation: int
    cause: str
    began_at: datetime
    approver: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    state: DeploymentState = "deploying"
    reason: str = ""
    ended_at: datetime | None = None
    sequence: int = 0


@dataclass(frozen=True)
class Hold:
    """Something that is not put on a place until somebody lifts it, or a newer commit comes.

    Attributes:
        place: as in Deployment.
        commit: the commit that is held back; empty for everything.
        digest: of its package; empty for everything.
        who: a person, or `rollout`.
        reason: one sentence.
        held_at: aware UTC.
    """

    place: str
    commit: str
    digest: str
    who: str
    reason: str
    held_at: datetime

    def stops(self, commit: str, digest: str) -> bool:
        """Whether it keeps a package of a commit away."""
        return not self.digest or (self.commit == commit and self.digest == digest)


@dataclass(frozen=True)
class Seen:
    """What was seen of a place when a runner looked at it last.

    Attributes:
        sequence: of the deployment that was wanted there then.
        phase: what the target did, see `TargetState`.
        sentence: what it said of that; may be empty.
        url: where it answers; empty for targets that don't.
        drift: how it differed from what is wanted, sentences.
        at: since when it looks so, aware UTC.
    """

    sequence: int
    phase: str
    sentence: str
    url: str
    drift: tuple[str, ...]
    at: datetime
