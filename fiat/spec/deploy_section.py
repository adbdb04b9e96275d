"""The sections `deploy` and `monitor`: where a released model goes and how it is watched there."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fiat.spec.section import (
    Amount,
    Count,
    Duration,
    Flag,
    Name,
    Number,
    Ratio,
    Section,
    Text,
    Whole,
    chosen,
    fault,
)

TARGET_KINDS = ("directory", "service", "batch", "edge", "image")
_TAKES: dict[str, tuple[str, ...]] = {
    "directory": ("path",),
    "service": ("approval", "rollout"),
    "batch": ("input", "output"),
    "edge": ("format", "quantize", "path"),
    "image": ("tag",),
}
_NEEDS = {"directory": ("path",), "batch": ("input", "output"), "edge": ("format",), "image": ("tag",)}

Percent = Annotated[Number, Field(gt=0, le=100)]


class When(Section):
    """When a target takes a model."""

    branch: Text | None = Field(default=None, description="Only models of this branch.")


class AbortOn(Section):
    """What ends a rollout and brings the earlier model back."""

    error_ratio: Ratio | None = Field(default=None, description="Share of requests that fail, 0 to 1.")
    p95_ms: Amount | None = Field(
        default=None, description="95th percentile of the answer time, milliseconds."
    )


class Rollout(Section):
    """How traffic moves to a new model."""

    steps: tuple[Percent, ...] = Field(
        default=(100,), min_length=1, description="Per cent of traffic, rising."
    )
    hold: Duration | None = Field(default=None, description="How long each step is watched.")
    abort_on: AbortOn | None = Field(
        default=None, description="What ends it and brings the earlier model back."
    )

    @model_validator(mode="after")
    def _rising(self) -> "Rollout":
        if any(later <= earlier for earlier, later in zip(self.steps, self.steps[1:], strict=False)):
            raise fault("expected per cents that rise, such as [10, 50, 100]", key="steps")
        return self


class Target(Section):
    """A place that a released model goes to."""

    to: Literal["directory", "service", "batch", "edge", "image"] = Field(description="Kind of place.")
    when: When | None = Field(default=None, description="When it takes a model; left out: always.")
    path: Text | None = Field(default=None, description="Folder for `directory`, file or folder for `edge`.")
    approval: Flag | None = Field(default=None, description="Whether a person must agree first (`service`).")
    rollout: Rollout | None = Field(default=None, description="How traffic moves to a new model (`service`).")
    input: Text | None = Field(default=None, description="Data to score, as `data.<name>` (`batch`).")
    output: Text | None = Field(default=None, description="File for the scores (`batch`).")
    format: Literal["onnx", "ort"] | None = Field(default=None, description="File format (`edge`).")
    quantize: Literal["none", "dynamic", "static"] | None = Field(
        default=None, description="Smaller weights for small devices (`edge`)."
    )
    tag: Text | None = Field(default=None, description="Name and tag of the container image (`image`).")

    @model_validator(mode="after")
    def _fits_kind(self) -> "Target":
        keys = tuple(key for keys in _TAKES.values() for key in keys)
        for key in chosen(self, keys):
            if key not in _TAKES[self.to]:
                owner = next(kind for kind, takes in _TAKES.items() if key in takes)
                raise fault(f"`{key}` goes with `to: {owner}`, not with `to: {self.to}`", key=key)
        for key in _NEEDS.get(self.to, ()):
            if getattr(self, key) is None:
                raise fault(f"`to: {self.to}` needs `{key}`")
        return self


class LogSettings(Section):
    """What is kept of requests and answers."""

    sample_ratio: Ratio = Field(default=1.0, description="Share of requests that is kept, 0 to 1.")
    keep: Duration | None = Field(default=None, description="How long it is kept.")


class LiveDrift(Section):
    """How far live inputs may move from the training data."""

    metric: Literal["js", "linf", "psi"] = Field(default="js", description="Distance between distributions.")
    max: Amount = Field(description="Largest distance of any column.")
    window: Whole = Field(default=1000, description="Requests in a window.")


class Monitor(Section):
    """How a served model is watched."""

    log: LogSettings | None = Field(default=None, description="What is kept of requests and answers.")
    drift: LiveDrift | None = Field(default=None, description="How far live inputs may move.")
    on_drift: Literal["retrain", "warn"] = Field(default="warn", description="What happens when they do.")


class PackagedModel(Section):
    """How the packaged model is called."""

    name: Name | None = Field(default=None, description="The model's name; left out: the spec's.")
    alias: Name | None = Field(
        default=None, description="Alias that a released model takes, such as `champion`."
    )
    card: Text | None = Field(default=None, description="Template of the model card, a file of the checkout.")


class Export(Section):
    """How the trained model becomes a graph."""

    to: Literal["onnx"] = Field(default="onnx", description="The interchange format.")
    opset: Annotated[Count, Field(ge=7, le=30)] | None = Field(
        default=None, description="ONNX operator set; left out: the exporter's choice."
    )
    quantize: Literal["none", "dynamic", "static"] = Field(default="none", description="Smaller weights.")
