"""What a training's job has beside any other: folders that outlive it, its search, the parameters that were found."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from fiat.engine.decide import Decided
from fiat.plan.fingerprint import resume_key
from fiat.plan.model import Step
from fiat.plan.training import BEST, STUDY, TRIALS, TUNE, WARM_ROLE
from fiat.ports.compute import Study
from fiat.store.store import Store


@dataclass(frozen=True)
class Resume:
    """Folders that outlive this attempt; None where the step has none.

    Attributes:
        checkpoints: of its training, or of its trials.
        trials: of its study.
    """

    checkpoints: Path | None = None
    trials: Path | None = None

    @property
    def folders(self) -> tuple[Path, ...]:
        """What its code may write."""
        return (self.checkpoints,) if self.checkpoints else ()


def resume_of(store: Store, decided: Decided) -> Resume:
    """The folders of a step, made where there are none.

    Raises:
        EnvironmentFault: the disk refused.
    """
    key, folders = resume_key(decided.parts), store.resume
    checkpoints = folders.checkpoints(key) if decided.step.limits.checkpoint else None
    return Resume(checkpoints, folders.trials(key) if STUDY in decided.step.params else None)


def study_of(decided: Decided, resume: Resume, outputs: Mapping[str, Path]) -> Study:
    """The search of a step that has one.

    Args:
        decided: with params as `fiat.plan.training.tune_steps` writes them.
        resume: its folders.
        outputs: name to path.
    """
    assert resume.trials is not None  # noqa: S101 - the caller looked
    said = dict(_mapping(decided.step.params[STUDY]))
    said["metric_files"] = tuple(map(str, said["metric_files"]))  # type: ignore[call-overload]
    said["code"] = {name: str(digest) for name, digest in _mapping(decided.parts["code"]).items()}
    return Study(**said, ledger=resume.trials, best=outputs[BEST], trials_file=outputs[TRIALS])  # type: ignore[arg-type]  # as `tune_steps` wrote it


def tuned(params: object, inputs: Mapping[str, Path]) -> dict[str, object]:
    """Parameters with those of the best trial in their place, where there was a search.

    Args:
        params: as the spec has them.
        inputs: role to path.
    """
    return {**_mapping(params), **_found(inputs)}


def tuned_seed(inputs: Mapping[str, Path]) -> dict[str, object]:
    """The seed of the best trial under `seed`, where the search was for that too; else nothing.

    Args:
        inputs: role to path.
    """
    seed = _found(inputs).get("seed")
    return {"seed": seed} if isinstance(seed, int) else {}


def _found(inputs: Mapping[str, Path]) -> Mapping[str, object]:
    return _mapping(json.loads(inputs[TUNE].read_text("utf-8"))["params"]) if TUNE in inputs else {}


def training_request(step: Step, resume: Resume, places: Mapping[str, str]) -> dict[str, object]:
    """What the request of a `call:` says of determinism, checkpoints and the model that it starts from.

    Args:
        step: any step of user code.
        resume: its folders.
        places: role to path of its inputs.
    """
    request: dict[str, object] = {"deterministic": bool(step.params.get("deterministic"))}
    if step.limits.checkpoint and resume.checkpoints:
        request["checkpoint"] = {**asdict(step.limits.checkpoint), "folder": str(resume.checkpoints)}
    if WARM_ROLE in step.inputs:
        request["warm"] = places.get(WARM_ROLE)
    return request


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
