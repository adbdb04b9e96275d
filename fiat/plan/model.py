"""Steps and plans: what Fiat will do, before it does it. Frozen values, JSON inside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

STUDY = "study"
"""Parameter of a step that searches for parameters: how it does. Here, for those who need no spec."""


@dataclass(frozen=True)
class Ref:
    """An output of another step.

    Attributes:
        step: that step's name in the plan.
        output: the output's name there.
    """

    step: str
    output: str

    def __str__(self) -> str:
        return f"{self.step}:{self.output}"


@dataclass(frozen=True)
class Checkpointing:
    """How checkpoints of a training are kept.

    Attributes:
        keep: how many.
        every_s: shortest time between two; 0 takes each.
        metric: by which the best are kept; empty keeps the newest.
        mode: whether a large or a small one is good.
    """

    keep: int = 1
    every_s: float = 0.0
    metric: str = ""
    mode: Literal["max", "min"] = "max"


@dataclass(frozen=True)
class Limits:
    """How a step may run. Not part of its fingerprint: limits don't change results.

    Attributes:
        cpus: CPU cores it asks for.
        gpus: GPUs it asks for.
        memory_bytes: most memory of its process tree; None is no limit.
        timeout_s: wall clock limit; None is no limit.
        retries: further attempts after a failure.
        workers: processes that share the work; `cpus`, `gpus` and `memory_bytes` are those of each.
        priority: of the step where steps wait for GPUs; higher ones come first.
        checkpoint: how training is resumed; None when it is not.
        stop_on_nan: whether a loss that is no number any more ends the step.
        sandbox: how the spec wants user code shut off: `auto` leaves it to whoever runs it.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    memory_bytes: int | None = None
    timeout_s: float | None = None
    retries: int = 0
    workers: int = 1
    priority: int = 0
    checkpoint: Checkpointing | None = None
    stop_on_nan: bool = False
    sandbox: Literal["auto", "none", "bubblewrap"] = "auto"


@dataclass(frozen=True)
class Step:
    """One node of the graph.

    Attributes:
        name: unique in the plan, such as `data.images` or `train`.
        kind: the step plugin's name, or `run` / `call` / `export` for user code.
        params: everything the spec says that can change the result, JSON values.
        inputs: role to the output of an earlier step.
        optional: roles that may stay empty when their step did not run.
        after: steps that must have ended first although nothing of theirs is read.
        outputs: output names; each becomes an artifact.
        sources: files and folders of the checkout that it reads, relative to its root.
        call: `pkg.mod:func` whose code is part of the fingerprint, empty for none.
        code: globs of tracked files that are its code; `None` means every tracked file that is not data
            (only for `run`).
        env: declared variables, name to value.
        secrets: names of secrets; values never enter a fingerprint.
        network: the spec asks that its code may use the network; what is granted is not up to it.
        limits: see Limits.
        plugin: version of the kind's plugin, and of the packages that it says can change results.
        facts: what the step is told beside its fingerprint (commit, titles), JSON values.
        volatile: its input can change unseen (a URL without a digest): never reused.
        key: key path of the spec section it comes from.
    """

    name: str
    kind: str
    params: Mapping[str, object] = field(default_factory=dict)
    inputs: Mapping[str, Ref] = field(default_factory=dict)
    optional: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    call: str = ""
    code: tuple[str, ...] | None = ()
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    network: bool = False
    limits: Limits = field(default_factory=Limits)
    plugin: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)
    volatile: bool = False
    key: str = ""


@dataclass(frozen=True)
class Plan:
    """The graph, in an order in which every step follows its inputs.

    Attributes:
        spec: the spec's name.
        spec_dir: the spec's folder relative to the checkout root, `.` at the root.
        digest: SHA-256 over all steps without facts.
        steps: in walking order.
    """

    spec: str
    spec_dir: str
    digest: str
    steps: tuple[Step, ...]

    def step(self, name: str) -> Step:
        """The step of that name.

        Raises:
            KeyError: there is none.
        """
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)


@dataclass(frozen=True)
class Decision:
    """Whether one step runs, and why.

    Attributes:
        step: the step's name.
        action: `run`, `reuse`, `wait` (an input is made by a step that runs first, so it can't be known yet), or
            `skip` (it has nothing to do here, or something that it needs failed).
        reasons: one sentence for each part that changed, such as `code: fashion/model.py changed`.
        fingerprint: empty while an input is unknown.
    """

    step: str
    action: Literal["run", "reuse", "wait", "skip"]
    reasons: tuple[str, ...]
    fingerprint: str = ""
