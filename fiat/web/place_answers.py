"""The forms of what the API says of places."""

from datetime import datetime
from typing import Literal
from urllib.parse import urlencode

from pydantic import BaseModel, Field

from fiat.run.deployment import Hold, Seen
from fiat.run.view import Placement, PlaceView

DeploymentStateName = Literal["deploying", "deployed", "refused", "failed", "stopped"]


class DeploymentAnswer(BaseModel):
    """One model that was put on a place."""

    sequence: int = Field(description="Grows with each deployment of the runner.")
    spec: str
    kind: str = Field(description="Of target, what `to:` says.")
    model: str = Field(description="Name that its releases go by.")
    version: int = Field(description="Number among the model's versions; 0 when it was never released.")
    digest: str = Field(description="Of the package.")
    commit: str
    commit_url: str = Field(description="Where the forge shows it; empty when there is no such page.")
    run: str = Field(description="Id of the run that did it; empty for what a person did.")
    cause: str
    approver: str = Field(description="Who agreed; empty where nobody needed to.")
    state: DeploymentStateName
    reason: str
    began_at: datetime
    ended_at: datetime | None


class HoldAnswer(BaseModel):
    """Something that is not put on a place until somebody lifts it."""

    who: str = Field(description="A person, or `rollout`.")
    reason: str
    commit: str = Field(description="That is held back; empty with an empty digest: everything is.")
    digest: str
    held_at: datetime


class SeenAnswer(BaseModel):
    """What was seen of a place when the runner looked at it last."""

    phase: str = Field(description="What the target did, such as `serving`, `rolling` or `broken`.")
    sentence: str
    url: str = Field(description="Where it answers; empty for targets that don't.")
    drift: list[str] = Field(description="How it differs from what is wanted.")
    at: datetime = Field(description="Since when it looks so.")


class PlaceAnswer(BaseModel):
    """A target with the model that goes to it."""

    repo: str
    target: str
    model: str
    deployment: DeploymentAnswer | None = Field(description="What is wanted there; null for nothing.")
    holds: list[HoldAnswer]
    seen: SeenAnswer | None = Field(description="Of that deployment; null until somebody has looked.")
    url: str = Field(description="Page of the place.")


class WholePlaceAnswer(PlaceAnswer):
    """A place with what was put there."""

    history: list[DeploymentAnswer] = Field(description="Newest first.")


class PlacesAnswer(BaseModel):
    """Places, by repository and name."""

    items: list[PlaceAnswer]


def place_answer(view: PlaceView, url: str) -> PlaceAnswer:
    """A place for a list; `url` is the server's public address."""
    return PlaceAnswer.model_validate(_place_fields(view, url))


def whole_place_answer(view: PlaceView, url: str) -> WholePlaceAnswer:
    """A place with its history."""
    history = [_deployment_answer(one) for one in view.history]
    return WholePlaceAnswer.model_validate({**_place_fields(view, url), "history": history})


def place_path(view: PlaceView) -> str:
    """Where its page is, below the server's address; for names that fit the API's patterns."""
    return f"/places/{view.target}/{view.model}?{urlencode({'repo': view.repo}, safe='/')}"


def _place_fields(view: PlaceView, url: str) -> dict[str, object]:
    return {
        "repo": view.repo,
        "target": view.target,
        "model": view.model,
        "deployment": _deployment_answer(view.standing) if view.standing else None,
        "holds": [_hold_answer(hold) for hold in view.holds],
        "seen": _seen_answer(view.now_seen) if view.now_seen else None,
        "url": f"{url}{place_path(view)}",
    }


def _deployment_answer(placement: Placement) -> DeploymentAnswer:
    told = {"version": placement.version, "commit_url": placement.commit_url}
    return DeploymentAnswer.model_validate({**vars(placement.deployment), **told})


def _hold_answer(hold: Hold) -> HoldAnswer:
    return HoldAnswer.model_validate(vars(hold))


def _seen_answer(seen: Seen) -> SeenAnswer:
    return SeenAnswer.model_validate({**vars(seen), "drift": list(seen.drift)})
