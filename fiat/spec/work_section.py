"""The sections `steps`, `train` and `tune`: the user's own code and what it is given."""

from typing import Any, Literal

from pydantic import Field, JsonValue, model_validator

from fiat.spec.section import (
    Amount,
    Call,
    Count,
    Duration,
    Free,
    Integer,
    MetricName,
    Name,
    Number,
    Reference,
    Section,
    Size,
    Text,
    Variable,
    Whole,
    fault,
    require_one,
)

OutputKind = Literal["dataset", "file", "folder", "model", "metrics"]


class Resources(Section):
    """What a step asks the cluster for."""

    cpus: Amount = Field(default=1.0, description="CPU cores; fractions are allowed.")
    gpus: Amount = Field(default=0.0, description="GPUs: a whole number, or a fraction below 1.")
    memory: Size | None = Field(default=None, description="Most memory of all its processes, such as `8GiB`.")
    workers: Whole = Field(
        default=1,
        description="Processes that share the batches (data-parallel); each has these `cpus`, `gpus` and `memory`.",
    )
    priority: Integer = Field(
        default=0, description="Steps of a higher one come first where steps wait for GPUs."
    )

    @model_validator(mode="after")
    def _whole_gpus(self) -> "Resources":
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise fault(
                f"expected a whole number of GPUs, or a fraction below 1, found {self.gpus:g}", key="gpus"
            )
        return self


class Work(Section):
    """The user's code: a command (`run`) or a function (`call`), and how it may run."""

    run: Text | None = Field(
        default=None,
        description="Command line in the checkout; `{data.<name>}`, `{<step>.<output>}` and `{out.<name>}` "
        "become paths, `{{` and `}}` are braces.",
    )
    call: Call | None = Field(default=None, description="Function, `package.module:function`.")
    with_: Free = Field(
        default_factory=dict, alias="with", description="Parameters of this step; left out: all of `params`."
    )
    inputs: tuple[Reference, ...] = Field(
        default=(),
        description="Further outputs it reads, as `data.<name>` or `<step>.<output>`.",
    )
    out: dict[Name, OutputKind] = Field(default_factory=dict, description="What it makes: name to kind.")
    code: tuple[Text, ...] | None = Field(
        default=None,
        description="Patterns of the tracked files that are its code; left out: all that is not data.",
    )
    resources: Resources = Field(default_factory=Resources, description="What it asks the cluster for.")
    retries: Count = Field(default=0, description="Further attempts after a failure.")
    timeout: Duration | None = Field(default=None, description="Longest time of one attempt, such as `2h`.")
    env: dict[Variable, str] = Field(
        default_factory=dict, description="Environment variables of this step alone, on top of `env.vars`."
    )
    secrets: tuple[Variable, ...] = Field(
        default=(), description="Which of `env.secrets` this step is given; none unless named here."
    )
    metrics: tuple[MetricName, ...] = Field(
        default=(), description="Metrics that it logs and that gates may name."
    )

    @model_validator(mode="after")
    def _one_way(self) -> "Work":
        require_one(self, ("run", "call"), "a step")
        if self.call is not None and self.code is not None:
            raise fault("`code` goes with `run`: the code of a `call` is found by its imports", key="code")
        return self


class UserStep(Work):
    """A step of the user's own, wired to others by names."""


class Objective(Section):
    """What is good: a metric to make large, or one to make small."""

    maximize: MetricName | None = Field(default=None, description="Metric to make large.")
    minimize: MetricName | None = Field(default=None, description="Metric to make small.")

    @model_validator(mode="after")
    def _one(self) -> "Objective":
        require_one(self, ("maximize", "minimize"), "an objective")
        return self

    @property
    def metric(self) -> str:
        """Name of the metric."""
        return str(self.maximize or self.minimize)

    @property
    def mode(self) -> Literal["max", "min"]:
        """Whether it is made large or small."""
        return "max" if self.maximize else "min"


class Checkpoint(Section):
    """How training is resumed after a failure."""

    keep: Whole = Field(default=1, description="How many checkpoints are kept.")
    every: Duration | None = Field(default=None, description="Shortest time between two checkpoints.")
    best: Objective | None = Field(
        default=None,
        description="Keep those that are best by a metric, beside the newest one; left out: the newest.",
    )


class Train(Work):
    """The step that makes the model."""

    data: Text | None = Field(
        default=None,
        description="Dataset to train on: a name under `data`, or `<step>.<output>`; left out: all.",
    )
    checkpoint: Checkpoint | None = Field(
        default=None, description="How training is resumed after a failure."
    )
    warm_start: Literal["baseline"] | None = Field(
        default=None, description="Start from the baseline's weights instead of anew."
    )
    deterministic: bool = Field(
        default=False,
        description="The same weights bit by bit each time on one machine, or an error that names what can't be.",
    )
    stop_on_nan: bool = Field(default=True, description="End the training when a loss is no number any more.")


class Search(Section):
    """Values of one parameter to try: a list, or a range."""

    choice: tuple[JsonValue, ...] | None = Field(default=None, description="One of these values.")
    uniform: tuple[Number, Number] | None = Field(
        default=None, description="Numbers between two, all as likely."
    )
    log: tuple[Number, Number] | None = Field(
        default=None, description="Numbers between two, on a log scale."
    )
    int: tuple[Integer, Integer] | None = Field(
        default=None, description="Whole numbers between two, both included."
    )
    when: dict[str, JsonValue] | None = Field(
        default=None,
        description="Other searched parameters and the value each must have, or a list of values; "
        "left out: always searched.",
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"choice": value} if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _valid(self) -> "Search":
        kind = require_one(self, ("choice", "uniform", "log", "int"), "a search")
        values = getattr(self, kind)
        if kind == "choice" and not values:
            raise fault("expected at least one value to try")
        if kind != "choice" and values[0] >= values[1]:
            raise fault(f"expected a range from low to high, found [{values[0]:g}, {values[1]:g}]", key=kind)
        if kind == "log" and values[0] <= 0:
            raise fault("a log scale needs numbers above 0", key=kind)
        return self


class Tune(Section):
    """A search for the best parameters of `train`."""

    search: dict[str, Search] = Field(
        min_length=1, description="Parameter of `train.with` to values: a list, or `{log: [low, high]}`."
    )
    objective: Objective = Field(description="What the search is after, such as `{maximize: accuracy}`.")
    trials: Whole = Field(default=10, description="How many combinations are tried.")
    parallel: Whole = Field(default=1, description="How many trials run side by side.")
    sampler: Literal["tpe", "random", "grid"] = Field(
        default="tpe",
        description="How combinations are chosen: by what went well, at random, or all there are.",
    )
    stop: Literal["asha", "median", "none"] = Field(default="none", description="How poor trials end early.")
    timeout: Duration | None = Field(default=None, description="Longest time of the whole search.")
