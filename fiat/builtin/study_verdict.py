"""What a study found: its best trial, and the files and sentences that say so."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Literal

from fiat.builtin.study_ledger import Trial
from fiat.ports.compute import Study

_LONGEST = 40


def best_of(trials: Sequence[Trial], mode: Literal["max", "min"]) -> Trial | None:
    """The trial with the best value; of equal ones the first.

    One that was stopped early counts only when none was trained to the end: its value is that of another place of the
    curve.
    """
    for state in ("done", "stopped"):
        found = [trial for trial in trials if trial.state == state and _is_number(trial.value)]
        if found:
            sign = 1 if mode == "min" else -1
            return min(found, key=lambda trial: (sign * (trial.value or 0.0), trial.number))
    return None


def write_verdict(trials: Sequence[Trial], best: Trial, study: Study) -> None:
    """Write the outputs of a study.

    Raises:
        OSError: the disk refused.
    """
    study.best.write_text(json.dumps(best_document(best), sort_keys=True), "utf-8")
    study.trials_file.write_text(json.dumps(trial_documents(trials), sort_keys=True), "utf-8")


def best_document(trial: Trial) -> dict[str, object]:
    """The parameters that the training takes, and where they come from."""
    return {"params": dict(trial.params), "value": trial.value, "trial": trial.number}


def trial_documents(trials: Sequence[Trial], unended: str = "unfinished") -> list[object]:
    """All trials as JSON values, without what only the next attempt needs.

    Args:
        trials: of a study.
        unended: the state of those that have not ended.
    """
    documents: list[object] = []
    for trial in trials:
        document = {**asdict(trial), "digest": trial.digest, "value": trial.value}
        if trial.state == "running":
            document["state"], document["seconds"] = unended, trial.seconds or None
        del document["observed"], document["reads"], document["n_reports"]
        document["curve"] = document.pop("values")
        documents.append(_plain(document))
    return documents


def all_observed(trials: Sequence[Trial]) -> dict[str, list[str]]:
    """What any of the trials was seen to read, by kind."""
    found: dict[str, set[str]] = {}
    for trial in trials:
        for kind, names in trial.observed.items():
            if isinstance(names, list | tuple):
                found.setdefault(kind, set()).update(map(str, names))
    return {kind: sorted(names) for kind, names in found.items()}


def params_text(params: Mapping[str, object]) -> str:
    """Parameters in one line, such as `lr=0.003 n_hidden=128`."""
    return " ".join(f"{name}={number_text(value)}" for name, value in params.items()) or "no parameters"


def number_text(value: object) -> str:
    """A value of a parameter or a metric, short."""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _plain(value: object) -> object:
    """JSON knows no NaN: None in its place."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
