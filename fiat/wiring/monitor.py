"""Watch a service: what its log says since the last time, and what follows from it. Called in every round of a runner."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, cast

from fiat.builtin.http_client import BrokenTransfer, HttpClient
from fiat.errors import FiatError
from fiat.monitor.alarms import CLEAR_AFTER, Action, AlarmPlan, alarm_sentence, decide
from fiat.monitor.ask import judge_windows
from fiat.monitor.memory import Memory, Seen
from fiat.monitor.model import DriftPlan, Kind, Metric, QualityMetric, QualityPlan, Window
from fiat.monitor.watched import Watched
from fiat.serving.place import Place
from fiat.serving.release import read_manifest
from fiat.spec.section import duration_s

_ANSWER_BYTES = 4096
_SHORT = 8


@dataclass(frozen=True)
class Alarm:
    """An alarm that holds.

    Attributes:
        about: what alarmed.
        version: name of the version.
        digest: of it, as long as file names have it.
        commit: that it was made from.
        since_s: begin of the first window, seconds since 1970.
        sentence: what was wrong there.
    """

    about: Kind
    version: str
    digest: str
    commit: str
    since_s: float
    sentence: str


@dataclass(frozen=True)
class WatchOutcome:
    """What one look at a service gave.

    Attributes:
        windows: that are new.
        alarms: that hold.
        actions: `status` and `retrain` that somebody has to do. They are given again in every look until `settle` is called,
            which is to be called once the action can't get lost any more; its key is for whoever must not do it twice.
    """

    windows: tuple[Window, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    actions: tuple[Action, ...] = ()


def watched_of(place: Place, settings: Mapping[str, Any]) -> Watched:
    """What is looked at of a service.

    Args:
        place: of the service.
        settings: what a spec says under `monitor`, JSON values.
    """
    return Watched(
        place.predictions, place.labels, place.releases, drift_plan(settings), quality_plan(settings)
    )


def watch_service(
    place: Place, settings: Mapping[str, Any], now_s: float, *, client: HttpClient | None = None
) -> WatchOutcome:
    """Judge what is new in a service's log, tell the webhook, and say what else is to be done.

    Costs a listing of the log's folders while nothing is new and no alarm holds; what is new is read by a child. Two at a
    time don't disturb each other: the second has nothing to do. Who is killed in it does nothing twice afterwards.

    Args:
        place: of the service.
        settings: what a spec says under `monitor`, JSON values.
        now_s: seconds since 1970.
        client: for the webhook; None tells nobody, and leaves it for a later look.

    Raises:
        EnvironmentFault: the log can't be read, or what was found can't be remembered.
        OSError: what is to be done can't be remembered.
    """
    watched, memory = watched_of(place, settings), Memory(place.watch)
    if not place.predictions.is_dir():
        return WatchOutcome()
    serving = serving_digest(place)
    look = f"{watched.look()} {serving}"
    seen = memory.seen()
    if seen == Seen(look, quiet=True):
        return WatchOutcome()
    with memory.held("acting") as alone:
        if not alone:
            return WatchOutcome()
        serials = set(judge_windows(watched, memory)) if seen.look != look else set()
        windows = memory.windows()
        plan = alarm_plan(settings)
        left = decide(plan, windows, memory.done(now_s), serving, now_s)
        url = settings.get("webhook")
        if client is not None and url:
            for action in left:
                if action.kind == "webhook":
                    _tell(memory, client, str(url), action, windows, now_s)
        alarms = holding(windows, serving)
        memory.shorten()
        # Without the address: it may hold a secret, and whoever shows the folder needs it not.
        memory.keep_settings({key: value for key, value in settings.items() if key != "webhook"})
        memory.see(Seen(look, quiet=not (alarms or left or memory.waits())))
    found = tuple(window for window in windows if window.serial in serials)
    return WatchOutcome(found, alarms, tuple(item for item in left if item.kind != "webhook"))


def settle(place: Place, action: Action, now_s: float) -> None:
    """Remember that an action is done, or can't get lost any more.

    Raises:
        OSError: the disk refused; the action will be given again.
    """
    memory = Memory(place.watch)
    memory.begin(action, now_s)
    memory.end(action.key, now_s)


def serving_digest(place: Place) -> str:
    """Beginning of the digest of the version that has most of the traffic; empty when that is not known."""
    with suppress(FiatError):
        versions = read_manifest(place.manifest).versions
        return max(versions, key=lambda version: version.percent).digest[:_SHORT]
    return ""


def holding(windows: list[Window], serving: str) -> tuple[Alarm, ...]:
    """The alarms that hold after these windows.

    Args:
        windows: all that are remembered.
        serving: beginning of the digest of the model that serves; empty when it is not known.
    """
    newest = {(window.kind, window.digest): window for window in windows}
    by_serial = {window.serial: window for window in windows}
    found = []
    for window in newest.values():
        episode = window.episode
        if episode is None or episode.clear >= CLEAR_AFTER or (serving and window.digest != serving):
            continue
        first = by_serial.get(episode.since, window)
        found.append(
            Alarm(
                window.kind,
                window.version,
                window.digest,
                window.commit,
                first.begin_s,
                alarm_sentence(first),
            )
        )
    return tuple(found)


def drift_plan(settings: Mapping[str, Any]) -> DriftPlan | None:
    """What a spec's `monitor.drift` says; None when it says nothing."""
    drift = settings.get("drift")
    if not drift:
        return None
    return DriftPlan(
        max=float(drift["max"]),
        metric=cast(Metric, drift.get("metric", "js")),
        columns={name: float(limit) for name, limit in (drift.get("columns") or {}).items()},
        window=int(drift.get("window", 1000)),
        false_alarms=float(drift.get("false_alarms", 0.01)),
    )


def quality_plan(settings: Mapping[str, Any]) -> QualityPlan | None:
    """What a spec's `monitor.quality` says; None when it says nothing."""
    quality = settings.get("quality")
    if not quality:
        return None
    drift = settings.get("drift") or {}
    least, most = quality.get("min"), quality.get("max")
    return QualityPlan(
        metric=cast(QualityMetric, quality["metric"]),
        min=None if least is None else float(least),
        max=None if most is None else float(most),
        min_labels=int(quality.get("min_labels", 100)),
        false_alarms=float(drift.get("false_alarms", 0.01)),
    )


def alarm_plan(settings: Mapping[str, Any]) -> AlarmPlan:
    """What a spec says that alarms set off."""
    return AlarmPlan(
        webhook=bool(settings.get("webhook")),
        retrain=settings.get("on_drift") == "retrain",
        cool_down_s=duration_s(str(settings.get("cool_down", "1d"))),
        max_retrains=int(settings.get("max_retrains", 3)),
    )


def _tell(
    memory: Memory, client: HttpClient, url: str, action: Action, windows: list[Window], now_s: float
) -> None:
    """Tell the webhook once; where it fails it is tried again later, and the key tells a receiver that it is the same."""
    window = next((item for item in windows if item.serial == action.window), None)
    about = {"columns": [asdict(item) for item in window.columns if item.alarms]} if window else {}
    quality = {"quality": asdict(window.quality)} if window and window.quality else {}
    body = json.dumps({**asdict(action), **about, **quality}).encode("utf-8", "replace")
    headers = {"Content-Type": "application/json", "Idempotency-Key": action.key}
    memory.begin(action, now_s)
    try:
        with client.send("POST", url, headers, body) as answer:
            failure = "" if 200 <= answer.status < 300 else f"it answered {answer.status}"
            answer.read(_ANSWER_BYTES)
    except (FiatError, BrokenTransfer) as error:
        failure = str(error)
    memory.end(action.key, now_s, failure)
