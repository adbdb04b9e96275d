"""Port `step`: a trusted kind of step, run inside a warm worker. Plugins: `data`, `evaluate`, `gates`, `package`, ..."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fiat.run.model import Metric


@dataclass(frozen=True)
class StepContext:
    """What a step is given.

    Attributes:
        kind: the step plugin's name.
        params: everything the spec says about it, JSON values only.
        inputs: role to an existing file or folder, read-only.
        outputs: name to a path that does not exist yet; the step makes a file or a folder there.
        root: the checkout; source paths are relative to it.
        work_dir: private scratch folder.
        facts: what the engine knows and the fingerprint does not hold (commit, spec digest, ...), JSON values.
    """

    kind: str
    params: Mapping[str, object]
    inputs: Mapping[str, Path]
    outputs: Mapping[str, Path]
    root: Path
    work_dir: Path
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class StepOutcome:
    """What a step says beside its outputs.

    Attributes:
        metrics: named numbers.
        facts: JSON values for people and reports, such as row counts by split.
        warnings: one sentence each; they make the verdict `warn`.
    """

    metrics: tuple[Metric, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class StepKind(Protocol):
    """A kind of step. Stateless: one object may run many steps at once.

    Attributes:
        name: the entry point's name.
        version: part of every fingerprint; raise it when results change.
        packages: distributions whose version can change the result, part of the fingerprint.
    """

    name: str
    version: str
    packages: tuple[str, ...]

    def run(self, context: StepContext) -> StepOutcome:
        """Do the work; write every output.

        Raises:
            SpecError: the spec or the data it names is at fault.
            EnvironmentFault: the machine is at fault.
        """
        ...
