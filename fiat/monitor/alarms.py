"""What an alarm sets off: a pure decision, so that whoever is killed in between decides the same again.

An alarm holds from its first window until CLEAR_AFTER windows without one, or until another model serves. While it holds,
a webhook and the commit are told once, and a retraining is asked for, again after the cool-down, up to the cap for a commit.
Every action has a key; what was begun under a key is not decided again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from fiat.monitor.model import Episode, Kind, Window

CLEAR_AFTER = 2
ActionKind = Literal["webhook", "status", "retrain"]
Event = Literal["alarm", "cleared"]


@dataclass(frozen=True)
class AlarmPlan:
    """What alarms set off.

    Attributes:
        webhook: whether an address is told.
        retrain: whether a model that drifted is trained again.
        cool_down_s: shortest time between two retrainings.
        max_retrains: most retrainings without a new commit.
    """

    webhook: bool = False
    retrain: bool = False
    cool_down_s: float = 86400.0
    max_retrains: int = 3


@dataclass(frozen=True)
class Action:
    """Something to do.

    Attributes:
        key: the same for the same action; never done twice under one.
        kind: what.
        event: whether an alarm began or ended.
        about: what alarmed.
        digest: of the version, as long as file names have it.
        commit: that it was made from.
        sentence: for people.
        window: serial of the window that set it off.
    """

    key: str
    kind: ActionKind
    event: Event
    about: Kind
    digest: str
    commit: str
    sentence: str
    window: int


@dataclass(frozen=True)
class Done:
    """An action that was begun.

    Attributes:
        key: of the action.
        kind: of it.
        commit: of it.
        at_s: seconds since 1970.
    """

    key: str
    kind: ActionKind
    commit: str
    at_s: float


def next_episode(before: Episode | None, *, alarms: bool, serial: int) -> Episode | None:
    """The alarm that holds after a window; one that holds no more is given once, with `clear` at CLEAR_AFTER."""
    held = before is not None and before.clear < CLEAR_AFTER
    if alarms:
        return Episode(before.since) if before is not None and held else Episode(serial)
    return Episode(before.since, before.clear + 1) if before is not None and held else None


def decide(
    plan: AlarmPlan, windows: Sequence[Window], done: Sequence[Done], serving: str, now_s: float
) -> tuple[Action, ...]:
    """What to do now.

    Args:
        plan: what alarms set off.
        windows: all that are known, in order.
        done: what was begun before.
        serving: digest of the model that serves, as long as file names have it; empty when it is not known.
        now_s: seconds since 1970.
    """
    begun = {item.key for item in done}
    found: list[Action] = []
    for window in _newest(windows):
        if window.episode is None:
            continue
        replaced = bool(serving) and window.digest != serving
        over = replaced or window.episode.clear >= CLEAR_AFTER
        first = next((item for item in windows if item.serial == window.episode.since), window)
        found += _told(plan, window, first, begun, over=over, replaced=replaced)
        if plan.retrain and not over:
            found += _retraining(plan, window, first, done, now_s)
    # Drift and quality may both ask for the same retraining.
    return tuple({action.key: action for action in found if action.key not in begun}.values())


def alarm_sentence(window: Window) -> str:
    """What is wrong with a window, for people."""
    if window.quality is not None:
        item = window.quality
        return (
            f"{item.metric} of version {window.version} is {item.value:.4g} "
            f"({item.low:.4g} to {item.high:.4g}) on {item.n_labels:,} labels"
        )
    moved = [
        f"{item.name} by {item.effect:.3g} (limit {item.limit:.3g})" for item in window.columns if item.alarms
    ]
    named = ", ".join(moved[:5]) + (f" and {len(moved) - 5} more" if len(moved) > 5 else "")
    return f"in {window.n_requests:,} requests to version {window.version} moved: {named}"


def _newest(windows: Sequence[Window]) -> list[Window]:
    """The newest window of each kind and version."""
    found: dict[tuple[str, str], Window] = {}
    for window in windows:
        found[window.kind, window.digest] = window
    return list(found.values())


def _told(
    plan: AlarmPlan, window: Window, first: Window, begun: set[str], *, over: bool, replaced: bool
) -> Iterator[Action]:
    kinds: list[ActionKind] = ["webhook", "status"] if plan.webhook else ["status"]
    for kind in kinds:
        key = f"{kind}-{_name(window)}"
        if not over:
            yield _action(key, kind, "alarm", first, alarm_sentence(first))
        elif key in begun:
            # Only who was told of an alarm is told of its end.
            ended = "another model serves" if replaced else f"{CLEAR_AFTER} windows were within their limits"
            yield _action(f"{key}-cleared", kind, "cleared", window, f"{window.kind} alarm is over: {ended}")


def _retraining(
    plan: AlarmPlan, window: Window, first: Window, done: Sequence[Done], now_s: float
) -> Iterator[Action]:
    earlier = [item for item in done if item.kind == "retrain"]
    of_commit = sum(item.commit == window.commit for item in earlier)
    last_s = max((item.at_s for item in earlier), default=None)
    if of_commit >= plan.max_retrains or (last_s is not None and now_s - last_s < plan.cool_down_s):
        return
    # Of one model there is one retraining at a time, whatever alarmed.
    key = f"retrain-{window.digest}-{len(earlier) + 1}"
    yield _action(key, "retrain", "alarm", window, f"train again: {alarm_sentence(first)}")


def _name(window: Window) -> str:
    since = window.episode.since if window.episode else window.serial
    return f"{window.kind}-{window.digest}-{since}"


def _action(key: str, kind: ActionKind, event: Event, window: Window, sentence: str) -> Action:
    return Action(key, kind, event, window.kind, window.digest, window.commit, sentence, window.serial)
