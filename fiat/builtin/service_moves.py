"""The steps of a service's ledger: pure functions, one for each thing that can happen."""

from collections.abc import Callable
from dataclasses import replace

from fiat.builtin.service_events import Event, EventKind
from fiat.builtin.service_ledger import Ledger, Refusal, manifest_of
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
    version, stable, moving = wanted.version, ledger.stable, ledger.candidate
    taken = replace(
        ledger, wanted=wanted.serial, model=wanted.model, log=wanted.log, key=wanted.key, plan=wanted.plan
    )
    if stable is not None and version.digest == stable.digest:
        return _keep(taken, version, now_s)
    if moving is not None and moving.digest == version.digest and ledger.plan == wanted.plan:
        return replace(taken, candidate=version)
    if moving is not None and moving.digest != version.digest:
        told = f"version {moving.name} gives way to version {version.name}"
        taken = _with_event(taken, now_s, "superseded", told, moving)
    taken = replace(taken, candidate=version, rollout=None, loading_s=now_s, parked=False, deaths=0)
    return _with_event(taken, now_s, "loading", f"version {version.name} is being loaded", version)


def loaded(ledger: Ledger, now_s: float) -> Ledger:
    """The candidate is loaded and warm at every worker."""
    candidate = ledger.candidate
    if candidate is None or ledger.loading_s is None:
        return ledger
    ledger = replace(ledger, loading_s=None)
    if ledger.stable is None:
        return _promoted(ledger, now_s, "it is the first one here")
    if candidate.digest in ledger.veterans:
        return _promoted(ledger, now_s, "it had it before")
    if ledger.rollout is not None:
        return ledger
    state = begin(ledger.plan, now_s)
    if state.over:
        return _promoted(ledger, now_s, "it is loaded and warm")
    return _at_stage(replace(ledger, rollout=state), now_s)


def step(ledger: Ledger, now_s: float, window: Window) -> Ledger:
    """Ask the rollout's state machine."""
    state = ledger.rollout
    if state is None or ledger.candidate is None or ledger.loading_s is not None or ledger.parked:
        return ledger
    following = advance(ledger.plan, state, now_s, window)
    if following is state:
        return ledger
    after = replace(ledger, rollout=following)
    if following.phase == "refused":
        return refused(after, now_s, following.reason)
    if following.phase == "done":
        return _promoted(after, now_s, "every stage went well")
    if following.stage != state.stage:
        return _at_stage(after, now_s)
    if following.phase == "paused" and state.phase != "paused":
        told = (
            f"version {ledger.candidate.name} waits at {_stage(ledger.plan, following)}: {following.reason}"
        )
        return _with_event(after, now_s, "paused", told, ledger.candidate)
    return after


def refused(ledger: Ledger, now_s: float, reason: str) -> Ledger:
    """The candidate is not taken: the stable version has all traffic again."""
    candidate = ledger.candidate
    if candidate is None:
        return ledger
    back = f"version {ledger.stable.name} has all traffic" if ledger.stable else "nothing is served"
    after = replace(
        ledger,
        candidate=None,
        rollout=None,
        loading_s=None,
        parked=False,
        deaths=0,
        refused=Refusal(candidate.digest, candidate.generation, ledger.wanted, reason, now_s),
    )
    told = f"version {candidate.name} was refused, {back}: {reason}"
    return _with_event(after, now_s, "refused", told, candidate)


def died(ledger: Ledger, now_s: float, how: str) -> Ledger:
    """The server died; while a candidate was loaded it may have been its fault.

    So the next server has the stable version alone first, and one that dies again and again loses the candidate.
    """
    ledger = _with_event(ledger, now_s, "server", f"the server {how} and is started again", None)
    if ledger.candidate is None:
        return ledger
    deaths = ledger.deaths + 1
    if deaths >= MOST_DEATHS:
        return refused(ledger, now_s, f"the server died {deaths} times while it was loaded; the last {how}")
    return replace(ledger, deaths=deaths, parked=ledger.stable is not None, loading_s=now_s)


def unparked(ledger: Ledger, now_s: float) -> Ledger:
    """The stable version is up: the candidate is tried again."""
    return replace(ledger, parked=False, loading_s=now_s) if ledger.parked else ledger


def noted(ledger: Ledger, now_s: float, kind: EventKind, sentence: str) -> Ledger:
    """Write an event down and change nothing."""
    return _with_event(ledger, now_s, kind, sentence, ledger.candidate or ledger.stable)


def _keep(ledger: Ledger, version: Candidate, now_s: float) -> Ledger:
    """What is asked for is what has the traffic already; whatever was on its way to replace it goes."""
    before, moving = ledger.stable, ledger.candidate
    again = before == version
    after = replace(
        ledger,
        stable=version,
        candidate=None,
        rollout=None,
        loading_s=None,
        parked=False,
        deaths=0,
        refused=ledger.refused if again else None,
    )
    if moving is not None:
        told = f"version {version.name} has all traffic again, version {moving.name} is taken back"
        return _with_event(after, now_s, "superseded", told, moving)
    return after if again else _with_event(after, now_s, "kept", f"version {version.name} stays", version)


def _promoted(ledger: Ledger, now_s: float, why: str) -> Ledger:
    candidate = ledger.candidate
    assert candidate is not None
    others = tuple(digest for digest in ledger.veterans if digest != candidate.digest)
    after = replace(
        ledger,
        stable=candidate,
        candidate=None,
        rollout=None,
        loading_s=None,
        deaths=0,
        previous=ledger.stable,
        veterans=(*others, candidate.digest)[-_VETERANS_KEPT:],
        refused=None,
    )
    return _with_event(
        after, now_s, "promoted", f"version {candidate.name} has all traffic: {why}", candidate
    )


def _at_stage(ledger: Ledger, now_s: float) -> Ledger:
    assert ledger.rollout is not None and ledger.candidate is not None
    told = f"version {ledger.candidate.name} is at {_stage(ledger.plan, ledger.rollout)}"
    return _with_event(ledger, now_s, "stage", told, ledger.candidate)


def _stage(plan: RolloutPlan, state: RolloutState) -> str:
    stage = plan.stages[state.stage]
    what = {
        "shadow": f"copies of {stage.shadow_percent:g} % of the requests",
        "step": f"{stage.percent:g} % of the traffic",
        "bake": "all traffic with the earlier version warm",
    }[stage.kind]
    return f"stage {state.stage + 1} of {len(plan.stages)}, {what}"


def _with_event(
    ledger: Ledger, now_s: float, kind: EventKind, sentence: str, about: Candidate | None
) -> Ledger:
    n = ledger.events[-1].n + 1 if ledger.events else 1
    whom = (about.digest, about.generation, about.commit) if about else ()
    event = Event(n, now_s, kind, sentence, *whom)
    return replace(ledger, events=(*ledger.events, event)[-_EVENTS_KEPT:])
