"""Port `deploy`: a target that a released model can be put on. Plugin: `directory`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


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
    """

    target: str
    settings: Mapping[str, object]
    package: Path
    digest: str
    root: Path
    generation: int = 0
    confined: bool = False


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
        """Digest of the package that is there now, or None."""
        ...

    def apply(self, request: DeployRequest) -> None:
        """Make it so: afterwards either the old or the new model is there complete, never neither.

        A request whose package is there already still makes its generation known.

        Raises:
            Stalled: the target took a higher generation, or this one with another package.
            SpecError: confined, and the settings lead outside.
            EnvironmentFault: the target can't be reached or written, or the package is not what its digest says.
        """
        ...
