"""The sections `deploy` and `export`: where a released model goes, and how it is called there."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from fiat.spec.rollout_section import Rollout
from fiat.spec.section import (
    Amount,
    Count,
    Duration,
    Flag,
    Integer,
    Name,
    Ratio,
    Section,
    Size,
    Text,
    Whole,
    chosen,
    fault,
)

TARGET_KINDS = ("directory", "service", "ray-serve", "batch", "edge", "image", "mlflow")
_EVERYWHERE = ("to", "when", "approval", "signed", "heal")
_TAKES: dict[str, tuple[str, ...]] = {
    "directory": ("path",),
    "service": ("path", "port", "workers", "limits", "rollout"),
    "ray-serve": ("port", "replicas", "cpus", "gpus", "limits"),
    "batch": ("input", "output", "rows", "cpus", "gpus"),
    "edge": ("format", "quantize", "parity", "path"),
    "image": ("tag", "path", "base", "push", "containerfile"),
    "mlflow": ("path", "uri", "register_as"),
}
_NEEDS = {
    "directory": ("path",),
    "batch": ("input", "output"),
    "edge": ("format",),
    "image": ("tag",),
}


class When(Section):
    """When a target takes a model."""

    branch: Text | None = Field(default=None, description="Only models of this branch.")


class Limits(Section):
    """What a server takes before it says no."""

    body: Size = Field(default="16MiB", description="Largest request body, unpacked; above it: 413.")
    concurrency: Whole = Field(default=256, description="Requests worked on at a time; above it they queue.")
    queue: Count = Field(default=1024, description="Requests that wait; above it: 429.")
    timeout: Duration = Field(default="30s", description="Longest time for one request; above it: 503.")
    batch: Whole = Field(
        default=64, description="Most rows that are predicted at once; 1 switches batching off."
    )


class Replicas(Section):
    """How many copies of a server there are."""

    min: Whole = Field(default=1, description="Fewest replicas.")
    max: Whole = Field(default=1, description="Most replicas.")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return (
            {"min": value, "max": value} if isinstance(value, int) and not isinstance(value, bool) else value
        )

    @model_validator(mode="after")
    def _ordered(self) -> "Replicas":
        if self.min > self.max:
            raise fault(f"`min` {self.min} is above `max` {self.max}", key="min")
        return self


class EdgeParity(Section):
    """How close the converted model must be to the packaged one, measured in the target's own runtime."""

    max_abs: Amount | None = Field(default=None, description="Largest difference of any score.")
    disagreement: Ratio | None = Field(
        default=None, description="Largest share of rows that are predicted otherwise."
    )

    @model_validator(mode="after")
    def _some(self) -> "EdgeParity":
        if not chosen(self, ("max_abs", "disagreement")):
            raise fault("parity needs `max_abs`, `disagreement`, or both")
        return self


class Target(Section):
    """A place that a released model goes to."""

    to: Literal["directory", "service", "ray-serve", "batch", "edge", "image", "mlflow"] = Field(
        description="Kind of place."
    )
    when: When | None = Field(default=None, description="When it takes a model; left out: always.")
    approval: Flag = Field(default=False, description="Whether a person must agree first.")
    signed: Flag = Field(
        default=False, description="Whether it takes only packages with a signature by the operator's key."
    )
    heal: Flag = Field(
        default=True, description="Whether what differs from git at the target is mended by itself."
    )
    path: Text | None = Field(
        default=None,
        description="Folder of `directory`, `edge`, `image` or `mlflow`; of `service`: where it keeps its state.",
    )
    port: Annotated[Integer, Field(ge=1, le=65535)] | None = Field(
        default=None, description="Port of `service` and `ray-serve`; left out: a free one, which it keeps."
    )
    workers: Whole | None = Field(default=None, description="Server processes (`service`); left out: 1.")
    limits: Limits | None = Field(default=None, description="What a server takes (`service`, `ray-serve`).")
    rollout: Rollout | None = Field(default=None, description="How traffic moves to a new model (`service`).")
    replicas: Replicas | None = Field(default=None, description="Copies of the server (`ray-serve`).")
    cpus: Amount | None = Field(
        default=None, description="Cores of each replica (`ray-serve`) or predicting actor (`batch`)."
    )
    gpus: Amount | None = Field(default=None, description="GPUs of each replica or predicting actor.")
    input: Text | None = Field(
        default=None, description="Data to score: `data.<name>`, or files, such as `new/*.parquet` (`batch`)."
    )
    output: Text | None = Field(default=None, description="File or folder for the scores (`batch`).")
    rows: Whole | None = Field(default=None, description="Rows that are predicted at once (`batch`).")
    format: Literal["onnx", "ort", "tflite"] | None = Field(default=None, description="File format (`edge`).")
    quantize: Literal["none", "dynamic", "static"] | None = Field(
        default=None, description="Smaller weights for small devices (`edge`)."
    )
    parity: EdgeParity | None = Field(
        default=None, description="How close the converted model must be (`edge`)."
    )
    tag: Text | None = Field(default=None, description="Name and tag of the container image (`image`).")
    base: Text | None = Field(
        default=None, description="OCI layout or archive whose layers come first (`image`); left out: none."
    )
    push: Text | None = Field(
        default=None, description="Registry and repository that the image is pushed to (`image`)."
    )
    containerfile: Flag | None = Field(
        default=None, description="Write a Containerfile beside the image (`image`)."
    )
    uri: Text | None = Field(default=None, description="Tracking server (`mlflow`); left out: a folder only.")
    register_as: Name | None = Field(
        default=None, description="Name in the server's model registry (`mlflow`); left out: the model's."
    )

    @model_validator(mode="after")
    def _fits_kind(self) -> "Target":
        keys = tuple(key for key in type(self).model_fields if key not in _EVERYWHERE)
        for key in chosen(self, keys):
            if key not in _TAKES[self.to]:
                owners = " or ".join(f"`to: {kind}`" for kind, takes in _TAKES.items() if key in takes)
                raise fault(f"`{key}` goes with {owners}, not with `to: {self.to}`", key=key)
        for key in _NEEDS.get(self.to, ()):
            if getattr(self, key) is None:
                raise fault(f"`to: {self.to}` needs `{key}`")
        return self


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
