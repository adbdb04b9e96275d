"""Port `deploy`: a target that a released model can be put on. Plugins: `directory`, `service`, `batch`, `edge`, `image`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

Phase = Literal["absent", "serving", "rolling", "paused", "baking", "failed", "broken"]
"""What a target does: nothing yet; has its model; moves traffic to a new one; waits for requests or a person; watches all
traffic on the new one; went back by itself; lacks something that it should have."""

MOVING: frozenset[Phase] = frozenset({"rolling", "paused", "baking"})
"""Phases in which traffic is on its way to a new model."""


@dataclass(frozen=True)
class DeployRequest:
    """Desired state of one target.

    Attributes:
        target: the name under `deploy:` in the spec.
        settings: what the spec says there, and `model`, the model's name; JSON values.
        package: folder of the packaged model, read-only; looked at right before, byte by byte.
        digest: the package's digest: MD5 in DVC's way, with `.dir` behind it.
        root: the folder that paths in `settings` are relative to: the checkout at a desk, what the operator gives to
            this target on a runner.
        generation: grows with each deploy of the target, 1 and up; the same number always means the same package.
            0 is by hand (a desk): it is done whatever was there, and leaves the number as it was.
        confined: the spec is not to be trusted: nothing outside `root` may be read or written.
        state: folder that the target may keep things of its own in, which is not part of the checkout; None where there
            is none: then below `root`.
        commit: that the package is deployed for, for reports; empty outside git.
        monitor: what the spec says under `monitor`, JSON values; None when it says nothing.
        inputs: dataset name to its folder, for targets that read data; laid out only for `apply`.
        env: proxy settings, and what names or is a credential; all that a target may know of the environment.
        allow_private_hosts: addresses in `settings` may lead to private, loopback and link-local hosts.
        hosts: the only hosts that `settings` may lead to; empty for any, and for none when confined.
    """

    target: str
    settings: Mapping[str, object]
    package: Path
    digest: str
    root: Path
    generation: int = 0
    confined: bool = False
    state: Path | None = None
    commit: str = ""
    monitor: Mapping[str, object] | None = None
    inputs: Mapping[str, Path] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    allow_private_hosts: bool = False
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Share:
    """A version at a target.

    Attributes:
        digest: of its package.
        percent: of the traffic that it gets, 0..100.
        shadow_percent: of the requests that are copied to it.
    """

    digest: str
    percent: float
    shadow_percent: float = 0.0


@dataclass(frozen=True)
class TargetState:
    """What a target says of itself.

    Attributes:
        phase: see Phase.
        digest: of the package that it has or is on the way to; None for none.
        sentence: what it does and since when, for people.
        url: where it answers; empty for targets that don't.
        shares: versions that it has, the earlier one first.
        refused: digest of the package whose rollout failed last, empty when the last one went well.
        refused_generation: of that package's deploy.
        reason: why it was refused.
        faults: what differs from what was put there: a process gone, a changed file. Applying the same request mends it.
    """

    phase: Phase
    digest: str | None = None
    sentence: str = ""
    url: str = ""
    shares: tuple[Share, ...] = ()
    refused: str = ""
    refused_generation: int = 0
    reason: str = ""
    faults: tuple[str, ...] = ()


class DeployTarget(Protocol):
    """Puts a model where it is used; applying the same request twice changes nothing.

    A process may be killed or stood still at any moment and go on an hour later, when another one has long put a newer
    model there. So the target itself remembers the highest generation that it took, durably and *before* it changes
    anything, and refuses all lower ones.

    Attributes:
        name: the entry point's name, what `to:` says.
        version: part of nothing but shown in reports.
    """

    name: str
    version: str

    def observe(self, request: DeployRequest) -> str | None:
        """Digest of the package that is there, or that traffic is on its way to; None for none or a damaged one.

        Quick: it is asked by every plan.
        """
        ...

    def apply(self, request: DeployRequest) -> None:
        """Make it so: afterwards either the old or the new model is there complete, never neither.

        A request whose package is there already still makes its generation known. A target that moves traffic step by
        step returns when the first step is under way, and goes on by itself; `state` tells how far it is. What had all of
        the traffic here before takes it again at once.

        Raises:
            Stalled: the target took a higher generation, or this one with another package.
            SpecError: confined, and the settings lead outside.
            EnvironmentFault: the target can't be reached or written, or the package is not what its digest says.
        """
        ...

    def state(self, request: DeployRequest) -> TargetState:
        """What is there, looked at in earnest: files compared, processes asked.

        Args:
            request: names the target; its package and digest don't matter.
        """
        ...


@runtime_checkable
class Leaves(Protocol):
    """A target that has processes: a place that is given up, or moves, ends them."""

    def leave(self, request: DeployRequest) -> bool:
        """End what runs at the place, in order; what is on disk stays.

        Args:
            request: names the place.

        Returns:
            Whether anything ran.

        Raises:
            FiatError: it can't be ended.
        """
        ...
