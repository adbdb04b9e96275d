"""The steps of a service's ledger: pure functions, one for each thing that can happen."""

from collections.abc import Callable
from dataclasses import replace

from fiat.builtin.service_events import Event, EventKind
from fiat.builtin.service_ledger import Ledger, Moving, Refusal, manifest_of
from fiat.builtin.service_wanted import Candidate, Wanted
from fiat.serving.rollout import advance
from fiat.serving.rollout_checks import Window
from fiat.serving.rollout_plan import RolloutPlan
from fiat.serving.rollout_state import RolloutState, begin

MOST_DEATHS = 3
_EVENTS_KEPT = 64
_VETERANS_KEPT = 256


def settled(before: Ledger, move: Callable[[Ledger], Ledger]) -> Ledger:
    """The ledger after a move, with a new serial when servers have to follow something new."""
    after = move(before)
    if after is not before and manifest_of(after) != manifest_of(before):
        return replace(after, serial=before.serial + 1)
    return after


def take(ledger: Ledger, wanted: Wanted, now_s: float) -> Ledger:
    """Take in what is asked for."""
    if wanted.serial == ledger.wanted:
        return ledger
    version, stable, moving = wanted.version, ledger.stable, ledger.moving
    taken = replace(ledger, wanted=wanted.serial, model=wanted.model, log=wanted.log, key=wanted.key)
    if stable is not None and version.digest == stable.digest:
        return _keep(taken, stable, version, now_s)
    if moving is not None and moving.version.digest == version.digest and moving.plan == wanted.plan:
        return replace(taken, moving=replace(moving, version=version))
    if moving is not None and moving.version.digest != version.digest:
        told = f"version {moving.version.name} gives way to version {version.name}"
        taken = with_event(taken, now_s, "superseded", told, moving.version)
    taken = replace(taken, moving=Moving(version, wanted.plan, loading_s=now_s))
    return with_event(taken, now_s, "loading", f"version {version.name} is being loaded", version)


def loaded(ledger: Ledger, now_s: float, *, alone: bool = False) -> Ledger:
    """The moving version is loaded and warm at every worker.

    Args:
        ledger: before.
        now_s: seconds since 1970.
        alone: the stable version can't be used, so there is nothing to move traffic from.
    """
    moving = ledger.moving
    if moving is None or moving.loading_s is None:
        return ledger
    if ledger.stable is None:
        return _promoted(ledger, moving.version, now_s, "it is the first one here")
    if alone:
        return _promoted(ledger, moving.version, now_s, "the one before can't be used any more")
    if moving.version.digest in ledger.veterans:
        return _promoted(ledger, moving.version, now_s, "it had it before")
    if moving.rollout is not None:
        return replace(ledger, moving=replace(moving, loading_s=None))
    state = begin(moving.plan, now_s)
    if state.over:
        return _promoted(ledger, moving.version, now_s, "it is loaded and warm")
    return _at_stage(ledger, replace(moving, loading_s=None, began_s=now_s), state, now_s)


def step(ledger: Ledger, now_s: float, window: Window) -> Ledger:
    """Ask the rollout's state machine."""
    moving = ledger.moving
    if moving is None or moving.rollout is None or moving.loading_s is not None or moving.parked:
        return ledger
    state, following = moving.rollout, advance(moving.plan, moving.rollout, now_s, window)
    if following is state:
        return ledger
    if following.phase == "refused":
        return refused(ledger, now_s, following.reason)
    if following.phase == "done":
        return _promoted(ledger, moving.version, now_s, "every stage went well")
    if following.stage != state.stage:
        return _at_stage(ledger, moving, following, now_s)
    after = replace(ledger, moving=replace(moving, rollout=following))
    if following.phase == "paused" and state.phase != "paused":
        told = f"version {moving.version.name} waits at {_stage(moving.plan, following)}: {following.reason}"
        return with_event(after, now_s, "paused", told, moving.version)
    return after


def refused(ledger: Ledger, now_s: float, reason: str) -> Ledger:
    """The moving version is not taken: the stable one has all traffic again."""
    if ledger.moving is None:
        return ledger
    version = ledger.moving.version
    back = f"version {ledger.stable.name} has all traffic" if ledger.stable else "nothing is served"
    refusal = Refusal(version.digest, version.generation, ledger.wanted, reason, now_s)
    told = f"version {version.name} was refused, {back}: {reason}"
    return with_event(replace(ledger, moving=None, refused=refusal), now_s, "refused", told, version)


def died(ledger: Ledger, now_s: float, how: str) -> Ledger:
    """The server died; it may have been the fault of a version that traffic was moving to.

    So the next server has the stable version alone first, and a version whose servers die again and again is refused.
    """
    after = with_event(ledger, now_s, "server", f"the server {how}, and is started again", None)
    moving = after.moving
    if moving is None:
        return after
    deaths = moving.deaths + 1
    if deaths >= MOST_DEATHS:
        return refused(after, now_s, f"the server died {deaths} times while it was loaded; the last {how}")
    parked = after.stable is not None
    return replace(after, moving=replace(moving, deaths=deaths, parked=parked, loading_s=now_s))


def unparked(ledger: Ledger, now_s: float) -> Ledger:
    """The stable version is up: the moving one is tried again."""
    moving = ledger.moving
    if moving is None or not moving.parked:
        return ledger
    return replace(ledger, moving=replace(moving, parked=False, loading_s=now_s))


def with_event(
    ledger: Ledger, now_s: float, kind: EventKind, sentence: str, about: Candidate | None
) -> Ledger:
    """The ledger with something that happened."""
    n = ledger.events[-1].n + 1 if ledger.events else 1
    whom = (about.digest, about.generation, about.commit) if about else ()
    event = Event(n, now_s, kind, sentence, *whom)
    return replace(ledger, events=(*ledger.events, event)[-_EVENTS_KEPT:])


def _keep(ledger: Ledger, before: Candidate, version: Candidate, now_s: float) -> Ledger:
    """What is asked for is what has the traffic already; whatever was on its way to replace it goes."""
    moving, again = ledger.moving, before == version
    after = replace(ledger, stable=version, moving=None, refused=ledger.refused if again else None)
    if moving is not None:
        told = f"version {version.name} has all traffic again, version {moving.version.name} is taken back"
        return with_event(after, now_s, "superseded", told, moving.version)
    return after if again else with_event(after, now_s, "kept", f"version {version.name} stays", version)


def _promoted(ledger: Ledger, version: Candidate, now_s: float, why: str) -> Ledger:
    others = tuple(digest for digest in ledger.veterans if digest != version.digest)
    after = replace(
        ledger,
        stable=version,
        moving=None,
        previous=ledger.stable,
        veterans=(*others, version.digest)[-_VETERANS_KEPT:],
        refused=None,
    )
    return with_event(after, now_s, "promoted", f"version {version.name} has all traffic: {why}", version)


def _at_stage(ledger: Ledger, moving: Moving, state: RolloutState, now_s: float) -> Ledger:
    told = f"version {moving.version.name} is at {_stage(moving.plan, state)}"
    after = replace(ledger, moving=replace(moving, rollout=state))
    return with_event(after, now_s, "stage", told, moving.version)


def _stage(plan: RolloutPlan, state: RolloutState) -> str:
    stage = plan.stages[state.stage]
    what = {
        "shadow": f"copies of {stage.shadow_percent:g} % of the requests",
        "step": f"{stage.percent:g} % of the traffic",
        "bake": "all traffic with the earlier version warm",
    }[stage.kind]
    return f"stage {state.stage + 1} of {len(plan.stages)}, {what}"
