"""What a service was asked for last: one file that a deploy replaces and the service's keeper follows."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fiat.builtin.service_document import read_document, write_document
from fiat.serving.release import LogPlan, ServerLimits
from fiat.serving.rollout_plan import RolloutPlan, read_plan


@dataclass(frozen=True)
class Candidate:
    """A version that was asked for.

    Attributes:
        name: what clients call it.
        digest: of its package.
        folder: of the package, relative to the service's.
        generation: of its deploy; 0 by hand.
        commit: that it was deployed for; may be empty.
    """

    name: str
    digest: str
    folder: str
    generation: int = 0
    commit: str = ""


@dataclass(frozen=True)
class ServerWish:
    """How the server shall run.

    Attributes:
        port: None for a free one.
        workers: processes.
        limits: what it takes.
    """

    port: int | None = None
    workers: int = 1
    limits: ServerLimits = field(default_factory=ServerLimits)


@dataclass(frozen=True)
class Wanted:
    """Desired state of a service.

    Attributes:
        serial: grows with each deploy, 1 and up.
        model: name that clients use.
        version: that shall have all traffic in the end.
        plan: how it gets there.
        server: how it is served.
        log: what is written down; None for nothing.
        key: PEM file of the public key that packages must be signed with; may be empty.
        names: digest to the name of every version that was asked for here, oldest first.
        stop: end the server and the keeper.
    """

    serial: int
    model: str
    version: Candidate
    plan: RolloutPlan = field(default_factory=RolloutPlan)
    server: ServerWish = field(default_factory=ServerWish)
    log: LogPlan | None = None
    key: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    stop: bool = False


def write_wanted(path: Path, wanted: Wanted) -> None:
    """Replace what is asked for.

    Raises:
        OSError: the disk refused.
    """
    write_document(path, asdict(wanted))


def read_wanted(path: Path) -> Wanted | None:
    """What is asked for; None when nothing was ever.

    Raises:
        EnvironmentFault: the file is not one of this format.
    """
    return read_document(
        path, _wanted, "does not say what the service was asked for", hint="remove it and deploy again"
    )


def _wanted(found: dict[str, Any]) -> Wanted:
    log, server = found.pop("log"), found.pop("server")
    return Wanted(
        version=Candidate(**found.pop("version")),
        plan=read_plan(found.pop("plan")),
        server=ServerWish(**{**server, "limits": ServerLimits(**server["limits"])}),
        log=LogPlan(**{**log, "redact": tuple(log["redact"])}) if log else None,
        **found,
    )
