"""What the sections `train` and `tune` become: a search for parameters, and the training with the best of them."""

from dataclasses import replace

from fiat.plan.model import Checkpointing, Ref, Step
from fiat.spec.model import Spec
from fiat.spec.section import duration_s
from fiat.spec.work_section import Checkpoint

TUNE, BEST, TRIALS, STUDY = "tune", "best", "trials", "study"
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
    study = {
        "space": {
            name: search.model_dump(mode="json", exclude_none=True) for name, search in section.search.items()
        },
        "metric": section.objective.metric,
        "mode": section.objective.mode,
        "trials": section.trials,
        "parallel": section.parallel,
        "stop": section.stop,
        "sampler": section.sampler,
        "seed": _seed(spec),
        "timeout_s": duration_s(section.timeout) if section.timeout else None,
    }
    params = {**train.params, STUDY: study}
    if train.call:
        request = train.params["request"]
        assert isinstance(request, dict)  # noqa: S101 - made by `_train_step`
        params["request"] = {**request, "role": "trial"}
    limits = replace(train.limits, timeout_s=None)
    search = replace(train, name=TUNE, params=params, outputs=(BEST, TRIALS), limits=limits, key="tune")
    return [search, replace(train, inputs={**train.inputs, TUNE: Ref(TUNE, BEST)})]


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
