"""The whole language: one frozen model, its fields named like the keys of the YAML file.

Keys that Python can't have as names end in `_` here: `with_`, `from_`, `schema_`.
"""

from typing import Literal

from pydantic import Field

from fiat.spec.data_section import DataSet
from fiat.spec.deploy_section import Export, PackagedModel, Target
from fiat.spec.gate_section import Baseline, Evaluate, Gate
from fiat.spec.monitor_section import Monitor
from fiat.spec.section import Flag, Free, Name, Section, Variable
from fiat.spec.transform_section import Transform
from fiat.spec.trigger_section import Concurrency, Triggers
from fiat.spec.work_section import Train, Tune, UserStep


class Env(Section):
    """The environment of the user's code; nothing else of the machine's environment reaches it."""

    vars: dict[Variable, str] = Field(default_factory=dict, description="Variables that every step is given.")
    secrets: tuple[Variable, ...] = Field(
        default=(), description="Names of variables that steps may ask for and that appear nowhere."
    )
    sandbox: Literal["auto", "none", "bubblewrap"] = Field(
        default="auto",
        description="How steps are shut off: `auto` is not at all on a desk, and what the operator set on a runner.",
    )
    network: Flag = Field(
        default=False, description="Steps in a sandbox may use the network, where the operator allows it."
    )


class Spec(Section):
    """One model, from data to deployment."""

    fiat: Literal[1] = Field(description="Version of the language: 1.")
    name: Name = Field(description="What the model is called in runs, releases and reports.")
    params: Free = Field(
        default_factory=dict,
        description="Values for the whole spec: `${params.lr}` anywhere, set on the command line.",
    )
    env: Env = Field(default_factory=Env, description="The environment of the user's code.")
    data: dict[Name, DataSet] = Field(default_factory=dict, description="Datasets by name.")
    steps: dict[Name, UserStep] = Field(default_factory=dict, description="Steps of the user's own by name.")
    transform: tuple[Transform, ...] = Field(
        default=(), description="Transforms that are served with the model."
    )
    train: Train | None = Field(default=None, description="The step that makes the model.")
    tune: Tune | None = Field(default=None, description="A search for the best parameters of `train`.")
    export: Export | None = Field(default=None, description="How the model becomes an ONNX graph.")
    evaluate: Evaluate | None = Field(default=None, description="How the exported model is measured.")
    baseline: Baseline | None = Field(default=None, description="The released model to compare with.")
    gates: tuple[Gate, ...] = Field(default=(), description="What the model must reach to be released.")
    model: PackagedModel | None = Field(default=None, description="How the packaged model is called.")
    deploy: dict[Name, Target] = Field(
        default_factory=dict, description="Places that a released model goes to."
    )
    monitor: Monitor | None = Field(default=None, description="How a served model is watched.")
    triggers: Triggers | None = Field(default=None, description="What starts a run on a runner.")
    concurrency: Concurrency | None = Field(default=None, description="Which runs exclude each other.")
