"""The release manifest: which versions a server shall have, and how requests are shared among them. Desired state, one file.

Whoever steers (a keeper, a person) replaces the file; servers follow it. A version is a folder that never changes, named
by its digest.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fiat.errors import EnvironmentFault

FORMAT = 1


@dataclass(frozen=True)
class Version:
    """A version of a model.

    Attributes:
        name: what clients call it, such as `3`.
        digest: of its package: MD5 in DVC's way, with `.dir` behind it.
        folder: of the package, absolute or relative to the manifest's folder.
        percent: of requests that name no version, 0..100; those of all versions make 100.
        shadow_percent: of requests that are copied to it and whose answers are thrown away, 0..100.
    """

    name: str
    digest: str
    folder: str
    percent: float
    shadow_percent: float = 0.0


@dataclass(frozen=True)
class LogPlan:
    """What is written down of requests and answers.

    Attributes:
        sample_ratio: share of requests, 0..1.
        keep_s: how long it is kept, None for ever.
        max_bytes: most disk that it takes.
        redact: columns that are never written.
    """

    sample_ratio: float = 1.0
    keep_s: float | None = None
    max_bytes: int = 1 << 30
    redact: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReleaseManifest:
    """Desired state of one model at a server.

    Attributes:
        model: name that clients use.
        serial: grows with each change.
        versions: the stable one first. At least one of them gets requests.
        log: None writes nothing down.
        key: PEM file of the public key that every package must be signed with; empty asks for no signature.
    """

    model: str
    serial: int
    versions: tuple[Version, ...]
    log: LogPlan | None = None
    key: str = ""


@dataclass(frozen=True)
class ServerLimits:
    """What a server takes before it says no.

    Attributes:
        body_bytes: largest body, unpacked: above it 413.
        concurrency: requests worked on at a time; more of them wait.
        queue: requests that wait; above it 429.
        timeout_s: longest time for one request; above it 503.
        batch_rows: most rows predicted at once; 1 switches batching off.
        drain_s: how long running requests may take to end when the server stops.
    """

    body_bytes: int = 16 << 20
    concurrency: int = 256
    queue: int = 1024
    timeout_s: float = 30.0
    batch_rows: int = 64
    drain_s: float = 10.0


@dataclass(frozen=True)
class Placed:
    """A manifest and the folder that its versions' folders are relative to."""

    manifest: ReleaseManifest
    folder: Path = field(default_factory=Path)


def write_manifest(path: Path, manifest: ReleaseManifest) -> None:
    """Replace the manifest in one step: who reads sees the old one or the new one.

    Raises:
        OSError: the disk refused.
    """
    draft = path.with_name(f"unfinished.{path.name}")
    with draft.open("w", encoding="utf-8") as file:
        json.dump({"format": FORMAT, **asdict(manifest)}, file, indent=1, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def read_manifest(path: Path) -> ReleaseManifest:
    """Read a manifest.

    Raises:
        EnvironmentFault: it is missing, or not one of this format.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        if found.pop("format") != FORMAT:
            raise ValueError("it is of another format")
        versions = tuple(Version(**item) for item in found.pop("versions"))
        log = found.pop("log")
        manifest = ReleaseManifest(versions=versions, log=_log(log) if log else None, **found)
        _check(manifest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EnvironmentFault(f"{path} is no release manifest: {error}", hint="deploy again") from error
    return manifest


def _log(found: Mapping[str, Any]) -> LogPlan:
    return LogPlan(**{**found, "redact": tuple(found["redact"])})


def _check(manifest: ReleaseManifest) -> None:
    names = [version.name for version in manifest.versions]
    if len(set(names)) != len(names) or not names:
        raise ValueError("its versions must have names of their own, and there must be one")
    if abs(sum(version.percent for version in manifest.versions) - 100) > 1e-6:
        raise ValueError("the per cents of its versions don't make 100")
