"""The section `monitor`: what is kept of a served model's requests, and what alarms."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fiat.spec.section import (
    Amount,
    Count,
    Duration,
    Number,
    Ratio,
    Section,
    Size,
    Text,
    Whole,
    require_one,
)

Level = Annotated[Number, Field(gt=0, lt=1)]


class LogSettings(Section):
    """What is kept of requests and answers."""

    sample_ratio: Ratio = Field(default=1.0, description="Share of requests that is kept, 0 to 1.")
    keep: Duration | None = Field(default=None, description="How long it is kept.")
    max: Size = Field(default="1GiB", description="Most disk that it takes; the oldest goes first.")
    redact: tuple[Text, ...] = Field(default=(), description="Columns that are never written.")


class LiveDrift(Section):
    """How far live inputs and predictions may move from the training data.

    An alarm needs both: a distance above `max`, and one that samples of this size hardly reach by chance.
    """

    metric: Literal["js", "linf", "psi"] = Field(default="js", description="Distance between distributions.")
    max: Amount = Field(description="Largest distance of any column.")
    columns: dict[Text, Amount] = Field(
        default_factory=dict,
        description="Largest distance of single columns; `prediction` is the model's answer.",
    )
    window: Whole = Field(default=1000, description="Requests in a window.")
    false_alarms: Level = Field(
        default=0.01, description="Share of windows without drift that may alarm, all columns together."
    )


class LiveQuality(Section):
    """How good the model must be on requests whose labels have arrived."""

    metric: Literal["accuracy", "mae", "rmse"] = Field(description="What is measured.")
    min: Number | None = Field(default=None, description="Smallest value.")
    max: Number | None = Field(default=None, description="Largest value.")
    min_labels: Whole = Field(default=100, description="Fewest labels to judge by.")

    @model_validator(mode="after")
    def _limited(self) -> "LiveQuality":
        require_one(self, ("min", "max"), "a quality")
        return self


class Monitor(Section):
    """How a served model is watched."""

    log: LogSettings | None = Field(default=None, description="What is kept of requests and answers.")
    drift: LiveDrift | None = Field(default=None, description="How far live inputs may move.")
    quality: LiveQuality | None = Field(default=None, description="How good it must be once labels arrive.")
    on_drift: Literal["retrain", "warn"] = Field(default="warn", description="What happens when they do.")
    webhook: Text | None = Field(default=None, description="Address that is told of an alarm, as JSON.")
    cool_down: Duration = Field(default="1d", description="Shortest time between two retrainings.")
    max_retrains: Count = Field(default=3, description="Most retrainings without a new commit.")
