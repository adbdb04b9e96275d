"""What a search left behind, read from its JSON documents: trials, which is the best, and how many ended how."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from fiat.builtin.page_json import items, leaves, mapping, real, reals, text, whole
from fiat.builtin.view_text import count, number

_STATES = {"done": "done", "stopped": "stopped early"}


@dataclass(frozen=True)
class Trial:
    """One combination of parameters that was tried.

    Attributes:
        number: of the trial.
        params: its parameters, dotted name to value.
        state: such as `done`, `stopped` or `failed`.
        value: of the metric that is searched by, NaN when it has none.
        seconds: how long it took; NaN when unknown.
        curve: (step, value) of that metric, in order.
    """

    number: int
    params: Mapping[str, object]
    state: str
    value: float
    seconds: float
    curve: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class StudyRecord:
    """A search.

    Attributes:
        metric: that it searched by; empty when unknown.
        mode: `max` or `min`.
        best: number of the best trial, None when none has a value.
        best_value: its value; NaN when there is none.
        best_params: its parameters.
        trials: those that were trained to their end first, the best of them at the front.
    """

    metric: str
    mode: str
    best: int | None
    best_value: float
    best_params: Mapping[str, object]
    trials: tuple[Trial, ...]

    def words(self) -> str:
        """`12 trials: 9 done, 2 stopped early, 1 failed`."""
        counts = Counter(trial.state for trial in self.trials)
        told = ", ".join(f"{n} {_STATES.get(state, state)}" for state, n in sorted(counts.items()))
        return f"{count(len(self.trials), 'trial')}: {told}" if told else "no trials"

    def best_words(self, name: str = "") -> str:
        """`0.9312 in trial 3`; empty when there is none."""
        if not math.isfinite(self.best_value):
            return ""
        trial = f" in trial {self.best}" if self.best is not None else ""
        return f"{name or self.metric} {number(self.best_value)}{trial}".lstrip()


def read_study(documents: Mapping[str, object], tune: object) -> StudyRecord:
    """Read a search; what is not there or of a wrong shape is left out.

    Args:
        documents: `best` and `trials` as the search wrote them.
        tune: section `tune` of the composed spec.
    """
    objective = mapping(mapping(tune).get("objective"))
    mode = "min" if objective.get("minimize") else "max"
    sign = 1.0 if mode == "min" else -1.0
    trials = [_trial(mapping(item)) for item in items(documents.get("trials"))]
    trials.sort(
        key=lambda trial: (trial.state != "done", math.isnan(trial.value), sign * trial.value, trial.number)
    )
    best = mapping(documents.get("best"))
    known = best.get("trial")
    return StudyRecord(
        metric=text(objective.get("maximize") or objective.get("minimize")),
        mode=mode,
        best=known if isinstance(known, int) else None,
        best_value=real(best.get("value")),
        best_params=dict(leaves(best.get("params"))),
        trials=tuple(trials),
    )


def state_text(state: str) -> str:
    """How a trial ended, for people."""
    return _STATES.get(state, state)


def params_text(params: Mapping[str, object]) -> str:
    """Parameters on one line: `lr=0.01 layers=3`."""
    return " ".join(f"{name}={value_text(value)}" for name, value in params.items())


def value_text(value: object) -> str:
    """A parameter's value: numbers in few decimals, text as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return text(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _trial(item: Mapping[str, object]) -> Trial:
    pairs = [reals(point) for point in items(item.get("curve"))]
    # Of what was logged without a place on the x axis, the order is the place.
    curve = [
        (pair[0] if math.isfinite(pair[0]) else float(place), pair[1])
        for place, pair in enumerate(pairs)
        if len(pair) == 2
    ]
    value = real(item.get("value"))
    return Trial(
        number=whole(item.get("number")),
        params=dict(leaves(item.get("params"))),
        state=text(item.get("state")),
        value=value if math.isfinite(value) else math.nan,
        seconds=real(item.get("seconds")),
        curve=tuple(sorted(curve, key=lambda point: point[0])),
    )
