"""What pages show of places, deployments and holds: words and signs, ready for a template."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from fiat.run.deployment import Deployment, Hold
from fiat.run.view import Placement, PlaceView
from fiat.web.page_rows import SHORT, Fact, Moment, Standing, web_link, when
from fiat.web.place_answers import place_path
from fiat.web.requests import ID_PATTERN
from fiat.web.words import moment


@dataclass(frozen=True)
class PutRow:
    """A model that was put on a place.

    Attributes:
        deployment: the record of it.
        standing: how it went.
        version: for people; empty when it was never released.
        short: of its commit.
        commit_url: where that leads, or empty.
        run_path: page of the run that did it; empty for what a person did.
        when: since when it is there, or when it was begun.
        current: it is what is wanted there now.
    """

    deployment: Deployment
    standing: Standing
    version: str
    short: str
    commit_url: str
    run_path: str
    when: Moment | None
    current: bool


@dataclass(frozen=True)
class HoldRow:
    """Something that is kept away from a place."""

    hold: Hold
    what: str
    when: Moment | None


@dataclass(frozen=True)
class PlaceRow:
    """A place in a list.

    Attributes:
        view: what is known of it.
        path: of its page.
        standing: how it is.
        put: what is wanted there; None for nothing.
        sentence: what the target said last.
        seen_at: since when.
        drift: how it differs from what is wanted.
        holds: what is kept away from it.
    """

    view: PlaceView
    path: str
    standing: Standing
    put: PutRow | None
    sentence: str
    seen_at: Moment | None
    drift: tuple[str, ...]
    holds: tuple[HoldRow, ...]


_NOTHING = Standing("–", "nothing", "quiet")
_DIFFERS = Standing("✗", "differs", "bad")
_REPLACED = Standing("–", "replaced", "quiet")
_STATES: Mapping[str, Standing] = {
    "deploying": Standing("●", "deploying", "live"),
    "deployed": Standing("✓", "deployed", "good"),
    "refused": Standing("✗", "went back", "bad"),
    "failed": Standing("✗", "failed", "bad"),
    "stopped": Standing("–", "stopped", "quiet"),
}
_UNDER_WAY: Mapping[str, Standing] = {
    "rolling": Standing("●", "moving traffic", "live"),
    "paused": Standing("◇", "paused", "doubt"),
    "baking": Standing("●", "on trial", "live"),
    "failed": Standing("✗", "went back", "bad"),
}
_BROKEN = Standing("✗", "broken", "bad")


def place_standing(view: PlaceView) -> Standing:
    """How a place is: as the record says, unless something else was seen of that very deployment."""
    if view.standing is None:
        return _NOTHING
    state, seen = view.standing.deployment.state, view.now_seen
    if seen is not None and seen.phase == "broken":
        return _BROKEN
    # After a rollout that went back the target says so for long, of the model before, which does well.
    if seen is not None and state == "deploying" and seen.phase in _UNDER_WAY:
        return _UNDER_WAY[seen.phase]
    return _DIFFERS if seen is not None and seen.drift else _STATES[state]


def place_row(view: PlaceView, now: datetime) -> PlaceRow:
    """A place for a list, or the head of its page."""
    seen = view.now_seen
    return PlaceRow(
        view=view,
        path=place_path(view),
        standing=place_standing(view),
        put=put_row(view.standing, view.standing, now) if view.standing else None,
        sentence=seen.sentence if seen else "",
        seen_at=when(seen.at, now) if seen else None,
        drift=seen.drift if seen else (),
        holds=tuple(hold_row(hold, now) for hold in view.holds),
    )


def put_row(placement: Placement, wanted: Placement | None, now: datetime) -> PutRow:
    """A deployment.

    Args:
        placement: it.
        wanted: what is wanted at the place now.
        now: aware UTC.
    """
    one = placement.deployment
    current = wanted is not None and wanted.deployment.sequence == one.sequence
    # Nobody saw the end of one whose place was given to another meanwhile.
    left = one.state == "deploying" and not current
    return PutRow(
        deployment=one,
        standing=_REPLACED if left else _STATES[one.state],
        version=str(placement.version) if placement.version else "",
        short=one.commit[:SHORT],
        commit_url=web_link(placement.commit_url),
        run_path=f"/runs/{one.run}" if re.fullmatch(ID_PATTERN, one.run) else "",
        when=when(one.ended_at or one.began_at, now),
        current=current,
    )


def hold_row(hold: Hold, now: datetime) -> HoldRow:
    """A hold."""
    what = "everything" if not hold.digest else hold.commit[:SHORT] or hold.digest[:SHORT]
    return HoldRow(hold, what, when(hold.held_at, now))


def place_facts(view: PlaceView) -> list[Fact]:
    """What stands in the head of a place's page."""
    if view.standing is None:
        return []
    one, seen = view.standing.deployment, view.now_seen
    facts = [
        Fact("Target", f"{view.target} ({one.kind})"),
        Fact("Spec", one.spec),
        Fact("Version", str(view.standing.version) if view.standing.version else "not released"),
        Fact("Package", one.digest[:12], code=True),
        Fact("Since", moment(one.ended_at or one.began_at)),
        Fact("Put there by", one.cause),
    ]
    if one.commit:
        facts.insert(2, Fact("Commit", one.commit[:12], web_link(view.standing.commit_url), code=True))
    if one.approver:
        facts.append(Fact("Approved by", one.approver))
    if seen is not None and seen.url:
        facts.append(Fact("Answers at", seen.url, web_link(seen.url)))
    return facts
