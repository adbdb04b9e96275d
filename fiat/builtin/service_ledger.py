"""How far a service is with what it was asked for: a value, and the pure steps from one to the next.

The keeper writes the ledger down before the manifest that follows from it, so that after any death the manifest is made
again from what was decided.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fiat.builtin.service_document import read_document, write_document
from fiat.builtin.service_events import Event
from fiat.builtin.service_wanted import Candidate
from fiat.serving.release import LogPlan, ReleaseManifest, Version
from fiat.serving.rollout_plan import RolloutPlan, read_plan
from fiat.serving.rollout_state import RolloutState, read_state, shares


@dataclass(frozen=True)
class Refusal:
    """A version that was not taken.

    Attributes:
        digest: of its package.
        generation: of its deploy.
        wanted: serial of what was asked for.
        reason: why, one sentence.
        at_s: seconds since 1970.
    """

    digest: str
    generation: int
    wanted: int
    reason: str
    at_s: float


@dataclass(frozen=True)
class Moving:
    """A version that traffic moves to.

    Attributes:
        version: that was asked for.
        plan: of the rollout.
        loading_s: when it began to load, seconds since 1970; None while it is loaded.
        rollout: how far it is; None before it was loaded.
        began_s: when its first stage began, seconds since 1970.
        parked: it is out of the manifest until the stable version is up again.
        deaths: of servers that had it.
    """

    version: Candidate
    plan: RolloutPlan = field(default_factory=RolloutPlan)
    loading_s: float | None = None
    rollout: RolloutState | None = None
    began_s: float = 0.0
    parked: bool = False
    deaths: int = 0


@dataclass(frozen=True)
class Ledger:
    """State of a service.

    Attributes:
        wanted: serial of what was asked for and is taken in here.
        model: name that clients use.
        stable: version that has the traffic which the moving one has not; None before the first.
        moving: what is on its way to be the stable one; None when there is nothing to do.
        previous: version before the stable one, kept on disk.
        veterans: digests that had all traffic here for good, newest last.
        refused: what was not taken last; None when the last one went well.
        serial: of the manifest.
        log: of the manifest.
        key: of the manifest.
        events: the newest; they are written to their file after the ledger.
    """

    wanted: int = 0
    model: str = ""
    stable: Candidate | None = None
    moving: Moving | None = None
    previous: Candidate | None = None
    veterans: tuple[str, ...] = ()
    refused: Refusal | None = None
    serial: int = 0
    log: LogPlan | None = None
    key: str = ""
    events: tuple[Event, ...] = ()


def manifest_of(ledger: Ledger) -> ReleaseManifest | None:
    """What servers shall follow; None when there is no version at all."""
    versions = _versions(ledger.stable, ledger.moving)
    return (
        ReleaseManifest(ledger.model, ledger.serial, versions, ledger.log, ledger.key) if versions else None
    )


def _versions(stable: Candidate | None, moving: Moving | None) -> tuple[Version, ...]:
    if stable is None:
        return (_version(moving.version, 100.0),) if moving else ()
    if moving is None or moving.parked:
        return (_version(stable, 100.0),)
    percent, copied = 0.0, 0.0
    if moving.rollout is not None and moving.loading_s is None:
        percent, copied = shares(moving.plan, moving.rollout)
    return _version(stable, 100.0 - percent), _version(moving.version, percent, copied)


def write_ledger(path: Path, ledger: Ledger) -> None:
    """Replace the ledger, on disk before this returns.

    Raises:
        OSError: the disk refused.
    """
    write_document(path, asdict(ledger))


def read_ledger(path: Path) -> Ledger | None:
    """The ledger; None when there is none yet.

    Raises:
        EnvironmentFault: the file is not one of this format.
    """
    return read_document(
        path,
        _ledger,
        "does not say how far the service is",
        hint="remove it and deploy again: the newest version then gets all traffic at once",
    )


def _ledger(found: dict[str, Any]) -> Ledger:
    stable, previous, moving = found.pop("stable"), found.pop("previous"), found.pop("moving")
    refused, log = found.pop("refused"), found.pop("log")
    return Ledger(
        stable=Candidate(**stable) if stable else None,
        previous=Candidate(**previous) if previous else None,
        moving=_moving(moving) if moving else None,
        refused=Refusal(**refused) if refused else None,
        log=_log(log) if log else None,
        veterans=tuple(found.pop("veterans")),
        events=tuple(Event(**event) for event in found.pop("events")),
        **found,
    )


def _moving(found: dict[str, Any]) -> Moving:
    rollout = found.pop("rollout")
    return Moving(
        version=Candidate(**found.pop("version")),
        plan=read_plan(found.pop("plan")),
        rollout=read_state(rollout) if rollout else None,
        **found,
    )


def _log(found: Mapping[str, Any]) -> LogPlan:
    return LogPlan(**{**found, "redact": tuple(found["redact"])})


def _version(candidate: Candidate, percent: float, copied: float = 0.0) -> Version:
    return Version(candidate.name, candidate.digest, candidate.folder, percent, copied)
