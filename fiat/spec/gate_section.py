"""The sections `evaluate`, `baseline` and `gates`: how a model is measured and what it must reach."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from fiat.spec.section import (
    Amount,
    Call,
    CommitHash,
    Count,
    Duration,
    Flag,
    Free,
    MetricName,
    Name,
    Number,
    Section,
    Severity,
    Size,
    Text,
    Whole,
    chosen,
    fault,
    require_one,
)

GATE_KINDS = ("metric", "parity", "probe", "size", "call")


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Slice = Annotated[
    tuple[Text, ...],
    Field(min_length=1, max_length=4),
    BeforeValidator(_listed, json_schema_input_type=str | list[str]),
]


class MetricItem(Section):
    """A metric to compute: a known name, or a function of the user's."""

    name: MetricName | None = Field(default=None, description="Known metric, such as `accuracy`.")
    call: Call | None = Field(
        default=None, description="Function of labels and predictions; the metric is called like it."
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one(self) -> "MetricItem":
        require_one(self, ("name", "call"), "a metric")
        return self

    @property
    def title(self) -> str:
        """What gates call it: its name, or the function's."""
        return self.name or str(self.call).partition(":")[2]


class Evaluate(Section):
    """How the exported model is measured."""

    split: Literal["test", "eval", "train"] = Field(default="test", description="Rows to judge by.")
    data: Text | None = Field(
        default=None, description="Dataset to judge by; left out: the one that was trained on."
    )
    task: Literal["classification", "regression"] | None = Field(
        default=None, description="Kind of prediction; left out: by the label's type."
    )
    metrics: tuple[MetricItem, ...] = Field(
        default=(), description="Metrics to compute; left out: the usual ones of the task."
    )
    slices: tuple[Slice, ...] = Field(
        default=(), description="Columns whose values part the rows; a list of columns is their cross."
    )
    confidence: Annotated[Number, Field(gt=0, lt=1)] = Field(
        default=0.95, description="Level of the confidence intervals, between 0 and 1."
    )
    plots: tuple[Literal["confusion", "roc", "calibration", "residuals"], ...] = Field(
        default=(), description="Plots for the report."
    )


class Baseline(Section):
    """The released model to compare with: of a branch, by alias, of a commit, or none."""

    from_: Text | None = Field(
        default=None, alias="from", description="The last model released from this branch."
    )
    alias: Name | None = Field(default=None, description="The model that has this alias, such as `champion`.")
    commit: CommitHash | None = Field(default=None, description="The model released from this commit.")
    none: Literal[True] | None = Field(
        default=None, description="No comparison; also written `baseline: none`."
    )
    if_missing: Literal["pass", "warn", "error"] = Field(
        default="warn", description="What gates against the baseline say when there is none yet."
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"none": True} if value == "none" else value

    @model_validator(mode="after")
    def _one(self) -> "Baseline":
        require_one(self, ("from_", "alias", "commit", "none"), "a baseline")
        return self


class Parity(Section):
    """How close the exported graph must be to the framework's model."""

    max_abs: Amount = Field(default=1e-4, description="Largest difference of any output on the test split.")


class Probe(Section):
    """What the real server must reach when started and queried."""

    p50_ms: Amount | None = Field(default=None, description="Median of the answer time, milliseconds.")
    p95_ms: Amount | None = Field(
        default=None, description="95th percentile of the answer time, milliseconds."
    )
    p99_ms: Amount | None = Field(
        default=None, description="99th percentile of the answer time, milliseconds."
    )
    load_s: Amount | None = Field(default=None, description="Longest time to load, seconds.")
    memory: Size | None = Field(default=None, description="Most memory, such as `400MiB`.")
    size: Size | None = Field(default=None, description="Largest model file.")
    duration: Duration | None = Field(default=None, description="How long it is queried; left out: 5s.")
    clients: Whole | None = Field(default=None, description="Requests at a time; left out: 1.")
    rows: Whole | None = Field(default=None, description="Rows of a request; left out: 1.")
    max_abs: Amount | None = Field(
        default=None, description="Largest difference from the recorded predictions; left out: 1e-4."
    )

    @model_validator(mode="after")
    def _some(self) -> "Probe":
        limits = ("p50_ms", "p95_ms", "p99_ms", "load_s", "memory", "size", "max_abs")
        if not chosen(self, limits):
            raise fault("a probe needs one or more of " + ", ".join(f"`{limit}`" for limit in limits))
        return self


class SizeLimit(Section):
    """How large the model file may be."""

    max: Size = Field(description="Largest model file, such as `20MiB`.")


class Gate(Section):
    """One thing that a model must reach: a metric, parity, probe, size, or a function of the user's."""

    metric: MetricName | None = Field(default=None, description="Metric to judge.")
    min: Number | None = Field(default=None, description="Smallest value.")
    max: Number | None = Field(default=None, description="Largest value.")
    against: Literal["baseline"] | None = Field(
        default=None, description="Compare with the baseline's value."
    )
    max_drop: Amount | None = Field(
        default=None,
        description="How much worse than the baseline it may be, in the metric's unit; 0 if left out.",
    )
    significant: Flag | None = Field(
        default=None, description="Refuse only when the drop is beyond chance at `evaluate.confidence`."
    )
    slice: Slice | None = Field(
        default=None,
        description="Judge the worst slice: a column, or a list of columns, of `evaluate.slices`.",
    )
    min_examples: Count | None = Field(default=None, description="Slices with fewer rows are not judged.")
    parity: Parity | None = Field(default=None, description="Framework model against exported graph.")
    probe: Probe | None = Field(default=None, description="The real server, started and queried.")
    size: SizeLimit | None = Field(default=None, description="Size of the model file.")
    call: Call | None = Field(default=None, description="Function of the user's that passes or refuses.")
    with_: Free = Field(default_factory=dict, alias="with", description="Arguments of `call`.")
    severity: Severity = Field(default="error", description="What a refusal does: fail the run, or warn.")

    @model_validator(mode="after")
    def _consistent(self) -> "Gate":
        kind = require_one(self, GATE_KINDS, "a gate")
        limits = chosen(self, ("min", "max", "against", "max_drop", "significant", "slice", "min_examples"))
        if kind != "metric" and limits:
            raise fault(f"`{limits[0]}` goes with `metric`, not with `{kind}`", key=limits[0])
        if self.with_ and kind != "call":
            raise fault(f"`with` goes with `call`, not with `{kind}`", key="with")
        if kind == "metric":
            self._check_metric()
        return self

    def _check_metric(self) -> None:
        if self.min is None and self.max is None and self.against is None:
            raise fault("a gate on a metric needs `min`, `max` or `against: baseline`")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise fault(f"`min` {self.min:g} is above `max` {self.max:g}", key="min")
        for key in chosen(self, ("max_drop", "significant")):
            if self.against is None:
                raise fault(f"`{key}` goes with `against: baseline`", key=key)
        if self.min_examples is not None and self.slice is None:
            raise fault("`min_examples` goes with `slice`", key="min_examples")
        if self.slice is not None and self.against is not None:
            raise fault("a gate on slices takes `min` or `max`, not `against`", key="against")

    @property
    def kind(self) -> str:
        """Which kind of gate it is: metric, parity, probe, size or call."""
        return chosen(self, GATE_KINDS)[0]
