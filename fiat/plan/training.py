"""What the sections `train` and `tune` become: a search for parameters, and the training with the best of them."""

from dataclasses import replace

from fiat.plan.model import STUDY as STUDY
from fiat.plan.model import Checkpointing, Ref, Step
from fiat.spec.model import Spec
from fiat.spec.search_space import Space, n_combinations
from fiat.spec.section import duration_s
from fiat.spec.work_section import Checkpoint, Tune

TUNE, BEST, TRIALS = "tune", "best", "trials"
TRIAL_OUTPUTS = "trial_outputs"
"""Key of the parameters of a search that holds what its command writes, each time it is run: names of outputs."""
MOST_TRIALS = 1_000_000
WARM = Ref("@warm", "model")
WARM_ROLE = "warm"
"""Role of the input of a training that it starts from: the baseline as its framework saved it."""


def with_training(spec: Spec, step: Step) -> Step:
    """The training step with what its section says of checkpoints, determinism and the model that it starts from."""
    assert spec.train is not None  # noqa: S101 - the caller looked
    section = spec.train
    limits = replace(
        step.limits,
        checkpoint=_checkpointing(section.checkpoint) if section.checkpoint else None,
        stop_on_nan=section.stop_on_nan,
    )
    step = replace(step, limits=limits)
    if section.deterministic:
        step = replace(step, params={**step.params, "deterministic": True})
    if section.warm_start is not None:
        step = replace(step, inputs={**step.inputs, WARM_ROLE: WARM}, optional=(*step.optional, WARM_ROLE))
    return step


def tune_steps(spec: Spec, train: Step) -> list[Step]:
    """The search, when the spec has one, and the training that uses what it found.

    Args:
        spec: the whole spec.
        train: the training as its section alone says it.
    """
    if spec.tune is None:
        return [train]
    section = spec.tune
    space = {
        name: search.model_dump(mode="json", exclude_none=True) for name, search in section.search.items()
    }
    study = {
        "space": space,
        "metric": section.objective.metric,
        "mode": section.objective.mode,
        "trials": _n_trials(section, space),
        "parallel": section.parallel,
        "stop": section.stop,
        "sampler": section.sampler,
        "seed": _seed(spec),
        "timeout_s": duration_s(section.timeout) if section.timeout else None,
        "metric_files": train.params.get("metric_outputs", []),
    }
    params = {key: value for key, value in train.params.items() if key != "metric_outputs"}
    params |= {STUDY: study, TRIAL_OUTPUTS: list(train.outputs)}
    if train.call:
        request = train.params["request"]
        assert isinstance(request, dict)  # noqa: S101 - made by `_train_step`
        params["request"] = {**request, "role": "trial"}
    search = replace(train, name=TUNE, params=params, outputs=(BEST, TRIALS), key="tune")
    return [search, replace(train, inputs={**train.inputs, TUNE: Ref(TUNE, BEST)})]


def _n_trials(section: Tune, space: Space) -> int:
    """How many trials: what the section says, but of a grid all there are when it says nothing."""
    if section.sampler == "grid" and "trials" not in section.model_fields_set:
        return n_combinations(space, MOST_TRIALS)
    return section.trials


def _seed(spec: Spec) -> int:
    seed = spec.params.get("seed", 0)
    return seed if isinstance(seed, int) else 0


def _checkpointing(section: Checkpoint) -> Checkpointing:
    return Checkpointing(
        keep=section.keep,
        every_s=duration_s(section.every) if section.every else 0.0,
        metric=section.best.metric if section.best else "",
        mode=section.best.mode if section.best else "max",
    )
