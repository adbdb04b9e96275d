"""How far a service is with what it was asked for: a value, and the pure steps from one to the next.

The keeper writes the ledger down before the manifest that follows from it, so that after any death the manifest is made
again from what was decided.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fiat.builtin.service_events import Event
from fiat.builtin.service_wanted import Candidate, write_durably
from fiat.errors import EnvironmentFault
from fiat.serving.release import LogPlan, ReleaseManifest, Version
from fiat.serving.rollout_plan import RolloutPlan, read_plan
from fiat.serving.rollout_state import RolloutState, read_state, shares

FORMAT = 1


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
class Ledger:
    """State of a service.

    Attributes:
        wanted: serial of what was asked for and is taken in here.
        model: name that clients use.
        stable: version that has the traffic which the candidate has not; None before the first.
        candidate: version that traffic moves to; None when there is nothing to do.
        loading_s: when the candidate began to load, seconds since 1970; None once it is loaded.
        rollout: how far it is; None before it is loaded.
        plan: of the rollout.
        parked: the candidate is out of the manifest until the stable version is up again.
        deaths: of servers while the candidate was loaded.
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
    candidate: Candidate | None = None
    loading_s: float | None = None
    rollout: RolloutState | None = None
    plan: RolloutPlan = field(default_factory=RolloutPlan)
    parked: bool = False
    deaths: int = 0
    previous: Candidate | None = None
    veterans: tuple[str, ...] = ()
    refused: Refusal | None = None
    serial: int = 0
    log: LogPlan | None = None
    key: str = ""
    events: tuple[Event, ...] = ()


def manifest_of(ledger: Ledger) -> ReleaseManifest | None:
    """What servers shall follow; None when there is no version at all."""
    stable, candidate = ledger.stable, ledger.candidate
    if stable is None and candidate is None:
        return None
    if stable is None or candidate is None or ledger.parked:
        only = stable or candidate
        assert only is not None
        versions: tuple[Version, ...] = (_version(only, 100.0),)
    else:
        waits = ledger.loading_s is not None or ledger.rollout is None
        percent, copied = (0.0, 0.0) if waits else shares(ledger.plan, _state(ledger))
        versions = (_version(stable, 100.0 - percent), _version(candidate, percent, copied))
    return ReleaseManifest(ledger.model, ledger.serial, versions, ledger.log, ledger.key)


def write_ledger(path: Path, ledger: Ledger) -> None:
    """Replace the ledger, on disk before this returns.

    Raises:
        OSError: the disk refused.
    """
    write_durably(path, {"format": FORMAT, **asdict(ledger)})


def read_ledger(path: Path) -> Ledger | None:
    """The ledger; None when there is none yet.

    Raises:
        EnvironmentFault: the file is not one of this format.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        if found.pop("format") != FORMAT:
            raise ValueError("it is of another format")
        return _ledger(found)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EnvironmentFault(
            f"{path} does not say how far the service is: {error}",
            hint="remove it and deploy again: the newest version then gets all traffic at once",
        ) from error


def _ledger(found: dict[str, Any]) -> Ledger:
    stable, candidate, previous = (found.pop(name) for name in ("stable", "candidate", "previous"))
    rollout, refused, log = found.pop("rollout"), found.pop("refused"), found.pop("log")
    return Ledger(
        stable=Candidate(**stable) if stable else None,
        candidate=Candidate(**candidate) if candidate else None,
        previous=Candidate(**previous) if previous else None,
        rollout=read_state(rollout) if rollout else None,
        plan=read_plan(found.pop("plan")),
        refused=Refusal(**refused) if refused else None,
        log=_log(log) if log else None,
        veterans=tuple(found.pop("veterans")),
        events=tuple(Event(**event) for event in found.pop("events")),
        **found,
    )


def _log(found: Mapping[str, Any]) -> LogPlan:
    return LogPlan(**{**found, "redact": tuple(found["redact"])})


def _version(candidate: Candidate, percent: float, copied: float = 0.0) -> Version:
    return Version(candidate.name, candidate.digest, candidate.folder, percent, copied)


def _state(ledger: Ledger) -> RolloutState:
    assert ledger.rollout is not None
    return ledger.rollout
