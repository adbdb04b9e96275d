"""Gather what `fiat monitor` shows: a service's folder, or a service that was deployed from here."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fiat.builtin.deploy_service_place import service_place
from fiat.builtin.page_monitor import render_monitor
from fiat.builtin.view_monitor import monitor_sheet
from fiat.builtin.watched_service import Told, Traffic, WatchedService
from fiat.engine.placing import MONITOR
from fiat.errors import EnvironmentFault, FiatError, SpecError
from fiat.monitor.ask import judge_windows
from fiat.monitor.log_files import log_files
from fiat.monitor.memory import Memory
from fiat.serving.counts import read_workers, total
from fiat.serving.place import Place
from fiat.serving.release import read_manifest
from fiat.wiring.monitor import holding, serving_digest, watched_of
from fiat.wiring.places import find_places, make_placer, require_one
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf
from fiat.wiring.views import print_sheet

_SERVICE = "service"
_SHARES = (0.5, 0.95, 0.99)


@dataclass(frozen=True)
class Subject:
    """A service to look at.

    Attributes:
        title: how people call it.
        place: its folder.
        settings: what its spec says under `monitor`, JSON values.
    """

    title: str
    place: Place
    settings: Mapping[str, Any]


def find_subject(name: str, root: Path) -> Subject:
    """The service that a name means.

    Args:
        name: of a spec, model, target or place that was deployed from `root`; or the folder of a service; empty for the only
            service.
        root: the checkout.

    Raises:
        SpecError: there is no such service, or several.
    """
    folder = Place(root / name) if name else None
    if folder is not None and (folder.manifest.is_file() or folder.predictions.is_dir()):
        return Subject(folder.folder.name, folder, Memory(folder.watch).settings())
    if folder is not None and folder.folder.is_dir() and not (root / name / "spec.yaml").is_file():
        raise SpecError(
            f"{name} is no folder of a service", hint="it would hold release.json, or a log in predictions/"
        )
    with open_shelf(root, read_settings(os.environ)) as shelf:
        found = [one for one in find_places(shelf, name) if one.kind == _SERVICE]
        if not found:
            raise SpecError(
                f"{name or 'this checkout'} has no service to watch",
                hint="say a target with `to: service`, or the folder of a service",
            )
        chosen = require_one(found)
        place = service_place(make_placer(shelf).request(chosen))
        monitor = chosen.settings.get(MONITOR)
        return Subject(chosen.place, place, monitor if isinstance(monitor, Mapping) else {})


def gather(subject: Subject) -> WatchedService:
    """Judge what is new, and say all that is known; nobody is told of alarms: that is a runner's work."""
    place, memory = subject.place, Memory(subject.place.watch)
    watched = watched_of(place, subject.settings)
    notes = []
    if not (watched.drift or watched.quality):
        notes.append("nothing is watched: the spec says neither `monitor.drift` nor `monitor.quality`")
    elif place.predictions.is_dir():
        try:
            judge_windows(watched, memory)
        except (EnvironmentFault, OSError) as error:
            notes.append(f"what is new could not be judged: {error}")
    windows = tuple(memory.windows())
    newest = next((item for item in reversed(windows) if item.kind == "drift"), None)
    return WatchedService(
        title=subject.title,
        traffic=_traffic(place),
        n_dropped=sum(worker.log_dropped for worker in read_workers(place.counts)),
        logged_bytes=sum(file.size_bytes for file in log_files(place.predictions)),
        windows=windows,
        alarms=tuple(
            f"{alarm.about} since {_moment(alarm.since_s)}: {alarm.sentence}"
            for alarm in holding(list(windows), serving_digest(place))
        ),
        told=_told(memory),
        notes=(*notes, *(newest.notes if newest else ())),
        has_plan=bool(watched.drift or watched.quality),
    )


def show_monitor(service: WatchedService) -> None:
    """Print it."""
    print_sheet(monitor_sheet(service))


def monitor_page(service: WatchedService) -> str:
    """It as one HTML page."""
    return render_monitor(service, datetime.now(UTC))


def plain_monitor(service: WatchedService) -> WatchedService:
    """It without what only the watcher needs: where each window ends in the log."""
    return replace(service, windows=tuple(replace(item, position={}) for item in service.windows))


def _traffic(place: Place) -> tuple[Traffic, ...]:
    workers = read_workers(place.counts)
    with suppress(FiatError):
        manifest = read_manifest(place.manifest)
        states = {
            version.digest: version.state
            for worker in workers
            for version in worker.versions.get(manifest.model, ())
        }
        found = []
        for version in manifest.versions:
            counts = total(workers, manifest.model, version.digest)
            latency = tuple(1000 * counts.quantile_s(share) for share in _SHARES)
            found.append(
                Traffic(
                    version.name,
                    version.digest,
                    states.get(version.digest, "not loaded"),
                    counts.requests,
                    counts.failed,
                    counts.refused,
                    counts.rows,
                    latency,
                )
            )
        return tuple(found)
    return ()


def _told(memory: Memory) -> tuple[Told, ...]:
    results: dict[str, str] = {}
    begun = []
    for line in memory.action_lines():
        if line["state"] == "begun":
            begun.append(line)
        else:
            results[line["key"]] = line["result"]
    newest = {line["key"]: line for line in begun}.values()
    return tuple(
        Told(line["at_s"], line["kind"], line["event"], line["sentence"], results.get(line["key"], ""))
        for line in newest
    )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
