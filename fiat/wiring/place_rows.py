"""Sights of places as rows for people."""

from collections.abc import Sequence

from fiat.builtin.view_places import PlaceRow
from fiat.engine.placing import ROLLOUT, Sight
from fiat.run.deployment import Deployment, Hold
from fiat.store.store import Store
from fiat.wiring.desk import utc_now
from fiat.wiring.places import since
from fiat.wiring.shelf import Shelf


def place_rows(store: Store, sights: Sequence[Sight]) -> list[PlaceRow]:
    """One row a place.

    Args:
        store: knows versions and holds.
        sights: what the places are like.
    """
    return [_row(store, sight) for sight in sights]


def all_rows(shelf: Shelf, sights: Sequence[Sight], name: str = "") -> list[PlaceRow]:
    """Rows of places, and of those whose service was stopped.

    Args:
        shelf: the checkout.
        sights: what the places are like.
        name: what was asked for; empty for everything.
    """
    stopped = [row for row in stopped_rows(shelf.store, sights) if not name or name in row.place.split(":")]
    return [*place_rows(shelf.store, sights), *stopped]


def plain_sight(sight: Sight) -> dict[str, object]:
    """A sight as one flat document."""
    return {
        "place": sight.deployment.place,
        "deployment": sight.deployment,
        "state": sight.state,
        "drift": sight.drift,
    }


def held_at(shelf: Shelf, sight: Sight) -> list[Hold]:
    """What is held back from a place."""
    return shelf.store.deployments.holds(sight.deployment.place)


def version_name(store: Store, model: str, digest: str) -> str:
    """What people call a package: `digits 3`, or the beginning of its digest where it was never released."""
    number = store.registry.number(model, digest)
    return f"{model} {number}" if number else digest[:12]


def hold_words(hold: Hold) -> str:
    """What is kept away from a place, and until when."""
    who = "the rollout" if hold.who == ROLLOUT else hold.who
    if not hold.digest:
        return f"held by {who}: {hold.reason}"
    return f"commit {hold.commit[:10] or 'outside git'} is held by {who}: {hold.reason}; a newer one is let through"


def stopped_rows(store: Store, known: Sequence[Sight]) -> list[PlaceRow]:
    """Places whose service somebody ended and that nothing was put on since.

    Args:
        store: knows deployments.
        known: places that are shown already.
    """
    shown = {sight.deployment.place for sight in known}
    return [
        PlaceRow(
            place=one.place,
            kind=one.kind,
            phase="stopped",
            model=version_name(store, one.model, one.digest),
            commit=one.commit,
            age=since(one.ended_at, utc_now()),
            notes=(f"{one.reason}; `fiat deploy` starts it again",),
        )
        for one in store.deployments.stopped()
        if one.place not in shown and one.place.count(":") == 1
    ]


def _row(store: Store, sight: Sight) -> PlaceRow:
    deployment, state = sight.deployment, sight.state
    digest = state.digest or deployment.digest
    held = [hold_words(hold) for hold in store.deployments.holds(deployment.place)]
    shares = [
        f"{version_name(store, deployment.model, share.digest)}: {share.percent:g} %"
        + (f" and shadow of {share.shadow_percent:g} %" if share.shadow_percent else "")
        for share in state.shares
    ]
    return PlaceRow(
        place=deployment.place,
        kind=deployment.kind,
        phase=state.phase,
        model=version_name(store, deployment.model, digest) if state.digest else "none",
        commit=_commit(store, deployment, digest),
        age=since(deployment.began_at, utc_now()),
        url=state.url,
        shares=", ".join(shares) if len(shares) > 1 else "",
        notes=_notes(sight),
        faults=sight.drift,
        holds=tuple(held),
    )


def _notes(sight: Sight) -> tuple[str, ...]:
    state, notes = sight.state, []
    if sight.under_way or state.phase in ("failed", "broken"):
        notes.append(state.sentence)
    if state.refused:
        notes.append(f"went back from {state.refused[:12]}: {state.reason}")
    return tuple(dict.fromkeys(note for note in notes if note))


def _commit(store: Store, deployment: Deployment, digest: str) -> str:
    """The commit of what is there, which may be an earlier one than was wanted."""
    if digest == deployment.digest:
        return deployment.commit
    known = store.deployments.newest(deployment.place, digest=digest, limit=1)
    return known[0].commit if known else ""
