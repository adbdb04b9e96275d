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
        settings: what the spec says there, JSON values.
        package: folder of the packaged model, read-only.
        digest: the package's digest.
        root: the checkout; paths in `settings` are relative to it.
    """

    target: str
    settings: Mapping[str, object]
    package: Path
    digest: str
    root: Path


class DeployTarget(Protocol):
    """Puts a model where it is used; applying the same request twice changes nothing.

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

        Raises:
            EnvironmentFault: the target can't be reached or written.
        """
        ...
