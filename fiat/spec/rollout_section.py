"""The section `rollout` of a target: how traffic moves from one model to the next, and what ends that."""

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from fiat.spec.section import Amount, Count, Duration, Number, Ratio, Section, fault

Percent = Annotated[Number, Field(gt=0, le=100)]
Level = Annotated[Number, Field(gt=0, lt=1)]


class AbortOn(Section):
    """What ends a rollout and brings the earlier model back. Every limit is judged over the same window for both models."""

    error_ratio: Ratio | None = Field(default=None, description="Share of requests that fail, 0 to 1.")
    error_increase: Ratio | None = Field(
        default=None, description="How much larger the share of failed requests is than the earlier model's."
    )
    p95_ms: Amount | None = Field(
        default=None, description="95th percentile of the answer time, milliseconds."
    )
    p95_ratio: Annotated[Number, Field(ge=1)] | None = Field(
        default=None, description="95th percentile of the answer time over the earlier model's."
    )
    disagreement: Ratio | None = Field(
        default=None, description="Share of the shadowed requests that the two models answer otherwise."
    )
    distance: Amount | None = Field(
        default=None, description="Mean distance of the two models' scores or numbers on shadowed requests."
    )
    drift: Ratio | None = Field(
        default=None,
        description="Jensen-Shannon divergence of its predictions from the earlier model's, 0 to 1.",
    )
    quality_drop: Ratio | None = Field(
        default=None, description="How much worse its accuracy is on requests whose labels have arrived."
    )


class Shadow(Section):
    """Requests are copied to the new model and its answers thrown away, before it gets any traffic."""

    percent: Percent = Field(default=100, description="Per cent of the requests that are copied.")
    hold: Duration | None = Field(
        default=None, description="How long it is watched; left out: `rollout.hold`."
    )
    min_requests: Count | None = Field(
        default=None, description="Fewest copied requests to judge by; left out: `rollout.min_requests`."
    )


class RolloutStep(Section):
    """One share of traffic, and how long it is watched."""

    percent: Percent = Field(description="Per cent of traffic that the new model gets.")
    hold: Duration | None = Field(
        default=None, description="How long it is watched; left out: `rollout.hold`."
    )
    min_requests: Count | None = Field(
        default=None, description="Fewest requests to judge by; left out: `rollout.min_requests`."
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"percent": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


class Rollout(Section):
    """How traffic moves to a new model."""

    shadow: Shadow | None = Field(default=None, description="Watch it on copies of requests first.")
    steps: tuple[RolloutStep, ...] = Field(
        default=(RolloutStep(percent=100),), min_length=1, description="Per cent of traffic, rising."
    )
    hold: Duration = Field(default="1m", description="How long each step is watched.")
    bake: Duration = Field(
        default="0s",
        description="How long all traffic is watched and the earlier model kept warm at the end.",
    )
    min_requests: Count = Field(default=50, description="Fewest requests of a step to judge by.")
    confidence: Level = Field(
        default=0.99, description="Level of the intervals that verdicts are made of, between 0 and 1."
    )
    on_inconclusive: Literal["pause", "promote", "abort"] = Field(
        default="pause",
        description="What happens when a step's time is over and there were too few requests to tell.",
    )
    patience: Duration = Field(
        default="1d", description="How long a paused rollout waits for requests before it is given up."
    )
    abort_on: AbortOn | None = Field(
        default=None, description="What ends it and brings the earlier model back."
    )

    @model_validator(mode="after")
    def _rising(self) -> "Rollout":
        shares = [step.percent for step in self.steps]
        if any(later <= earlier for earlier, later in pairwise(shares)):
            raise fault("expected per cents that rise, such as [10, 50, 100]", key="steps")
        return self
