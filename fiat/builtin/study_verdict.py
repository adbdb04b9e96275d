"""What a study found: its best trial, and the files and sentences that say so."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from fiat.builtin.study_ledger import Trial

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


def write_best(trial: Trial, path: Path) -> None:
    """Write the parameters that the training takes.

    Raises:
        OSError: the disk refused.
    """
    document = {"params": dict(trial.params), "value": trial.value, "trial": trial.number}
    path.write_text(json.dumps(document, sort_keys=True), "utf-8")


def write_trials(trials: Sequence[Trial], path: Path) -> None:
    """Write all trials as a JSON list, without what only the next attempt needs.

    Raises:
        OSError: the disk refused.
    """
    documents = []
    for trial in trials:
        document = {**asdict(trial), "digest": trial.digest, "value": trial.value}
        if trial.state == "running":
            document["state"] = "unfinished"
        del document["observed"]
        document["curve"] = document.pop("values")
        documents.append(_plain(document))
    path.write_text(json.dumps(documents, sort_keys=True), "utf-8")


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
