"""What starts a run without a commit: the time, by `triggers.schedule`, and data that changed, by `triggers.data`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim

from fiat.errors import SpecError
from fiat.plan.fingerprint import digest_json
from fiat.plan.prepared import source_secrets
from fiat.plan.work import source_paths
from fiat.ports.confinement import Confinement
from fiat.ports.source import Source, SourceRequest
from fiat.spec.data_section import DataSet
from fiat.spec.model import Spec
from fiat.spec.trigger_section import Schedule

_CLOCK_ERROR = timedelta(days=1)
_WILDCARD = re.compile(r"[*?\[]")


def due(schedule: Schedule, last: datetime, now: datetime) -> datetime | None:
    """The newest time of a schedule that has come and was not done; None when there is none.

    However many times were missed, there is one. A clock that is set back repeats nothing; one that was ahead by more than
    a day and is mended again costs one run, after which it goes on (else the schedule would rest until then).

    In the zones with summer time: what should happen in the hour that is left out happens right after it, what falls into
    the hour that comes twice happens at its first, and an expression whose minute or hour starts with `*` follows the
    passing time through both.

    Source: cron(8) of Debian on daylight saving time, as `cronsim` has it.

    Args:
        schedule: of the spec.
        last: the time that was done last; when it was first seen, that moment. Aware.
        now: aware.

    Returns:
        Aware UTC.

    Raises:
        SpecError: this machine does not know the time zone.
    """
    try:
        zone = ZoneInfo(schedule.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SpecError(
            f"triggers.schedule: there is no time zone {schedule.timezone}",
            hint="use an IANA name such as Europe/Berlin; the machine needs the package tzdata",
        ) from error
    found = next(CronSim(schedule.cron, _whole_second(now.astimezone(zone)), reverse=True), None)
    # Within one zone Python compares what clocks on the wall show, which goes back once a year.
    tick = found.astimezone(UTC) if found is not None else None
    if tick is None or (tick <= last <= now + _CLOCK_ERROR):
        return None
    return tick


@dataclass(frozen=True)
class Probing:
    """What may be used to look at sources.

    Attributes:
        folder: for scratch; left as it was.
        confinement: what the operator grants.
        allow_private_hosts: as in SourceRequest; so are max_bytes and env.
        max_bytes: most bytes.
        env: secrets that are granted; a source is given those that its kind or its spec names.
    """

    folder: Path
    confinement: Confinement
    allow_private_hosts: bool
    max_bytes: int
    env: Mapping[str, str]


def probe_data(
    spec: Spec, files: Mapping[str, str], make_source: Callable[[str], Source], probing: Probing
) -> str:
    """A digest that is another one when the data of a spec may have changed; empty when it can't without a commit.

    Addresses without a digest, folders that the operator grants and open revisions of other repositories are looked at by
    their source plugins. Data of the checkout (files, `.dvc` files) counts when no `triggers.push` sees to it.

    Args:
        spec: at the head of the branch.
        files: path of each file of that commit to the name of its content.
        make_source: gives the plugin of a source kind.
        probing: what may be used.

    Raises:
        SpecError: a source is not granted or not there.
        EnvironmentFault: a source does not answer; nothing can be said now.
    """
    said: dict[str, object] = {}
    by_commit = spec.triggers is not None and spec.triggers.push is None
    for name, data in spec.data.items():
        settings = _settings(data)
        kind = _kind(data)
        if kind is None:
            continue
        env = {key: probing.env[key] for key in source_secrets(spec, data) if key in probing.env}
        found = _probe(settings, make_source(kind), replace(probing, env=env))
        ids = _ids(data, files) if by_commit else {}
        if found or ids:
            said[name] = [found, ids]
    return digest_json(said) if said else ""


def _kind(data: DataSet) -> str | None:
    """The plugin that is asked; None for what a function of the user's makes, which changes with its code only."""
    if data.span is not None and (data.source is None or data.source.path):
        return "span"
    return None if data.source is None or data.source.call else data.source.kind


def _settings(data: DataSet) -> dict[str, object]:
    said = data.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    settings = dict(said.get("source") or {})
    return {**settings, "span": said["span"]} if _kind(data) == "span" else settings


def _probe(settings: Mapping[str, object], plugin: Source, probing: Probing) -> str:
    with TemporaryDirectory(dir=probing.folder) as scratch:
        folder = Path(scratch)
        return plugin.probe(
            SourceRequest(
                settings=settings,
                root=folder,
                folder=folder,
                allow_private_hosts=probing.allow_private_hosts,
                max_bytes=probing.max_bytes,
                env=probing.env,
                confinement=probing.confinement,
            )
        )


def _ids(data: DataSet, files: Mapping[str, str]) -> dict[str, str]:
    """Files of the commit that say what the source has; for a pattern, all below its first wildcard."""
    paths, _ = source_paths(data)
    source = data.source
    if data.span is not None and paths:
        return _below(paths[0], files)
    if source is None:
        return {}
    if source.dvc and not source.repo:
        folders = [str(folder) for folder in PurePosixPath(source.dvc).parents]
        return {
            path: name
            for path, name in files.items()
            if path == source.dvc
            or (
                not source.dvc.endswith(".dvc")
                and path.endswith((".dvc", "dvc.lock"))
                and str(PurePosixPath(path).parent) in folders
            )
        }
    named = source.path or source.glob
    if not named:
        return {}
    if source.glob:
        return _below(named, files)
    return {path: name for path, name in files.items() if PurePosixPath(path).is_relative_to(named)}


def _below(pattern: str, files: Mapping[str, str]) -> dict[str, str]:
    """Files below the first wildcard of a pattern."""
    fixed = PurePosixPath(_WILDCARD.split(pattern)[0] + "x").parent
    return {path: name for path, name in files.items() if PurePosixPath(path).is_relative_to(fixed)}


def _whole_second(moment: datetime) -> datetime:
    """The second after a moment: going back from there, a time that is right now counts."""
    later = moment.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
    return later.astimezone(moment.tzinfo)
