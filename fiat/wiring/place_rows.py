"""Sights of places as rows for people."""

from collections.abc import Sequence

from fiat.builtin.view_places import PlaceRow
from fiat.engine.placing import ROLLOUT, Sight
from fiat.run.deployment import Deployment
from fiat.store.store import Store
from fiat.wiring.desk import utc_now
from fiat.wiring.places import since


def place_rows(store: Store, sights: Sequence[Sight]) -> list[PlaceRow]:
    """One row a place.

    Args:
        store: knows versions and holds.
        sights: what the places are like.
    """
    return [_row(store, sight) for sight in sights]


def version_name(store: Store, model: str, digest: str) -> str:
    """What people call a package: `digits 3`, or the beginning of its digest where it was never released."""
    number = store.registry.number(model, digest)
    return f"{model} {number}" if number else digest[:12]


def _row(store: Store, sight: Sight) -> PlaceRow:
    deployment, state = sight.deployment, sight.state
    digest = state.digest or deployment.digest
    held = [
        f"held: {hold.reason} ({'the rollout' if hold.who == ROLLOUT else hold.who})"
        for hold in store.deployments.holds(deployment.place)
    ]
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
