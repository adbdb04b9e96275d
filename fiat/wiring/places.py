"""What stands on the targets of a checkout, and what people do about it: status, rollback, hold."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from fiat.engine.placing import Placer, Sight
from fiat.errors import EnvironmentFault, FiatError, SpecError
from fiat.ports.deploy import TargetState
from fiat.run.deployment import Deployment, Hold
from fiat.wiring.desk import utc_now
from fiat.wiring.grounds import desk_ground
from fiat.wiring.models import find_model
from fiat.wiring.registry import load_plugin
from fiat.wiring.registry_names import acting_person
from fiat.wiring.shelf import Shelf

_LOOK_S = 0.5
_DESK_COLONS = 1  # `target:model`; a runner's places begin with their repository


def make_placer(shelf: Shelf) -> Placer:
    """What puts models on the places of this checkout."""
    return Placer(
        shelf.store,
        lambda kind: load_plugin("deploy", kind)(),
        lambda deployment: desk_ground(shelf.settings, shelf.root),
        utc_now,
    )


def find_places(shelf: Shelf, name: str = "", target: str = "", *, stopped: bool = False) -> list[Deployment]:
    """Desired state of the places that a name means.

    Args:
        shelf: the checkout.
        name: of a spec, a model, a target or a place; empty for all.
        target: only places of this target.
        stopped: also those whose service somebody ended.

    Raises:
        SpecError: nothing was ever deployed under that name.
    """
    ended = shelf.store.deployments.stopped() if stopped else []
    every = [
        one for one in [*shelf.store.deployments.standing(), *ended] if one.place.count(":") == _DESK_COLONS
    ]
    # A spec may be named by its folder, as everywhere.
    wanted = name.rstrip("/").removesuffix("/spec.yaml").rsplit("/", 1)[-1] if name else ""
    found = [
        one
        for one in every
        if (not wanted or wanted in (one.spec, one.model, one.target, one.place))
        and target in ("", one.target)
    ]
    if (name or target) and not found:
        known = ", ".join(one.place for one in every) or "nothing"
        raise SpecError(
            f"nothing was deployed as {' '.join(part for part in (name, target) if part)}",
            hint=f"deployed here: {known}; `fiat run` or `fiat deploy` deploys a spec's model",
        )
    return found


def look_at(placer: Placer, deployments: Sequence[Deployment]) -> list[Sight]:
    """What each place is like now; a target that can't be asked is broken, and says why."""
    found = []
    for deployment in deployments:
        try:
            found.append(placer.look(deployment))
        except FiatError as error:
            state = TargetState("broken", sentence=error.message, faults=(error.message,))
            found.append(Sight(deployment, state, (error.message,)))
    return found


def follow(
    placer: Placer, deployment: Deployment, told: Callable[[Sight], None], *, patience_s: float | None = None
) -> Sight:
    """Wait until traffic is no longer moved at a place, telling what changes on the way.

    Args:
        placer: looks.
        deployment: of the place.
        told: hears each sight that differs from the one before.
        patience_s: longest wait in seconds; None waits for ever.
    """
    began_s, last = time.monotonic(), None
    while True:
        sight = placer.look(deployment)
        if sight != last:
            told(sight)
        last = sight
        over = patience_s is not None and time.monotonic() - began_s > patience_s
        if not sight.under_way or over:
            return sight
        deployment = sight.deployment
        time.sleep(_LOOK_S)


def roll_back(shelf: Shelf, placer: Placer, current: Deployment, version: str = "") -> Sight:
    """Put the model back that a place had before, and hold what it has now so that no run brings it again.

    Args:
        shelf: the checkout.
        placer: does it.
        current: what the place has, or is on the way to.
        version: of the model to go back to, as `fiat models` names it; empty for the one before.

    Raises:
        SpecError: there is none to go back to.
        FiatError: the target could not be brought to it.
    """
    who, now = acting_person(), utc_now()
    digest, commit = _named(shelf, current, version) if version else _before(shelf, current)
    number = shelf.store.registry.number(current.model, digest)
    back = replace(
        current,
        digest=digest,
        commit=commit,
        # The model goes back, not where it stands: whoever reads there shall have it.
        settings={**current.settings, **({"version": str(number)} if number else {})},
        run="",
        generation=0,
        cause=f"rollback by {who}",
        approver=who,
        state="deploying",
        reason="",
        began_at=now,
        ended_at=None,
        sequence=0,
    )
    sight, _ = placer.go_back(back)
    return sight


def hold(shelf: Shelf, places: Sequence[str], reason: str) -> None:
    """Let nothing be put on these places until somebody lifts it."""
    for place in places:
        shelf.store.deployments.hold(
            Hold(place, "", "", acting_person(), reason or "held by hand", utc_now())
        )


def stop(shelf: Shelf, placer: Placer, deployment: Deployment) -> bool:
    """End a service, and want nothing there until the next deploy; gives whether anything ran.

    Raises:
        SpecError: what is there is no process.
        FiatError: it can't be ended.
    """
    if deployment.state == "stopped":
        return False
    if deployment.kind != "service":
        raise SpecError(
            f"{deployment.place} is a {deployment.kind}: nothing runs there that could be stopped"
        )
    # First what is wanted, so that nobody mends what is about to end.
    shelf.store.deployments.stop(deployment.sequence, acting_person(), utc_now())
    return placer.leave(deployment)


def held_places(shelf: Shelf, name: str, target: str = "") -> list[str]:
    """Places that a name means, those too that never had a model because their first one was refused.

    Raises:
        SpecError: nothing is called so.
    """
    held = [hold.place for hold in shelf.store.deployments.holds()]
    if name in held:
        return [name]
    by_target = [
        place
        for place in dict.fromkeys(held)
        if name in place.split(":") and target in ("", place.split(":")[0])
    ]
    return by_target or [one.place for one in find_places(shelf, name, target)]


def _before(shelf: Shelf, current: Deployment) -> tuple[str, str]:
    """Digest and commit of the model before; one that was itself gone back from is none to go back to."""
    bad = {hold.digest for hold in shelf.store.deployments.holds(current.place)} | {current.digest}
    for one in shelf.store.deployments.newest(current.place, limit=1000):
        if one.state == "deployed" and one.digest not in bad and one.sequence < current.sequence:
            return one.digest, one.commit
    raise SpecError(
        f"{current.place} had no other model before", hint="`fiat models` lists versions for `--to`"
    )


def _named(shelf: Shelf, current: Deployment, version: str) -> tuple[str, str]:
    """Digest and commit of a released version."""
    name = version if any(mark in version for mark in "@:") else f"{current.model}@{version}"
    found = find_model(shelf, name)
    if found is None or not found.digest:
        raise SpecError(
            f"{current.model} has no version {version}", hint=f"`fiat models {current.model}` lists them"
        )
    release = next((one for one in found.releases if one.digest == found.digest), None)
    return found.digest, release.commit if release else ""


def since(moment: datetime | None, now: datetime) -> str:
    """How long ago something was, such as `3 h`."""
    if moment is None:
        return ""
    seconds = max(0.0, (now - moment).total_seconds())
    for size_s, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size_s:
            return f"{seconds / size_s:.0f} {unit}"
    return f"{seconds:.0f} s"


def require_one(places: Sequence[Deployment]) -> Deployment:
    """The one place that was meant.

    Raises:
        EnvironmentFault: there are several.
    """
    if len(places) == 1:
        return places[0]
    names = ", ".join(one.place for one in places)
    raise EnvironmentFault("several places are meant", hint=f"name one of: {names}")
