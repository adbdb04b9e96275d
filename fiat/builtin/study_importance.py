"""How much of the differences between trials goes with each parameter alone."""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from fiat.builtin.study_record import Trial

LEAST_TRIALS = 4
_GROUPS = 3


def importance(trials: Sequence[Trial]) -> dict[str, float]:
    """A share (0..1) for each parameter that more than one value was tried of, the largest first.

    It is the part of the variance of the trials' ranks that the parameter's values explain, less what as many random
    groups explain on average: 0 means no more than by chance. A number is looked at in both ways, by a line through its
    rank and by thirds, and the larger counts. A parameter that not all trials have is judged among those that have it.

    Args:
        trials: of which those with a value count, also those that were stopped early.

    Source: T. L. Kelley, An unbiased correlation ratio measure (1935), epsilon squared; over ranks as by Kruskal and
        Wallis (1952).
    """
    counted = [trial for trial in trials if math.isfinite(trial.value)]
    names = dict.fromkeys(name for trial in counted for name in trial.params)
    found: dict[str, float] = {}
    for name in names:
        pairs = [(trial.params[name], trial.value) for trial in counted if name in trial.params]
        if len(pairs) >= LEAST_TRIALS and len({_key(value) for value, _ in pairs}) > 1:
            found[name] = _share(pairs)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _share(pairs: Sequence[tuple[object, float]]) -> float:
    scores = _ranks([score for _, score in pairs])
    values = [value for value, _ in pairs]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return _epsilon(_grouped([_key(value) for value in values], scores))
    places = _ranks([float(str(value)) for value in values])
    thirds = [min(_GROUPS - 1, int(_GROUPS * (place - 0.5) / len(places))) for place in places]
    return max(_along(places, scores), _epsilon(_grouped(thirds, scores)))


def _ranks(values: Sequence[float]) -> list[float]:
    """From 1; equal values share the mean of their places."""
    ordered = sorted(values)
    first: dict[float, int] = {}
    last: dict[float, int] = {}
    for place, value in enumerate(ordered, 1):
        first.setdefault(value, place)
        last[value] = place
    return [(first[value] + last[value]) / 2 for value in values]


def _grouped(keys: Iterable[object], scores: Sequence[float]) -> list[list[float]]:
    groups: dict[object, list[float]] = defaultdict(list)
    for key, score in zip(keys, scores, strict=True):
        groups[key].append(score)
    return list(groups.values())


def _epsilon(groups: Sequence[Sequence[float]]) -> float:
    everything = [score for group in groups for score in group]
    total = _spread(everything)
    free = len(everything) - len(groups)
    if not total or free < 1 or len(groups) < 2:
        return 0.0
    within = sum(map(_spread, groups))
    return max(0.0, 1 - (within / free) * (len(everything) - 1) / total)


def _along(places: Sequence[float], scores: Sequence[float]) -> float:
    """The same of a line through both ranks."""
    n_pairs = len(places)
    if n_pairs < _GROUPS or not _spread(places) or not _spread(scores):
        return 0.0
    middle_x, middle_y = sum(places) / n_pairs, sum(scores) / n_pairs
    shared = sum((x - middle_x) * (y - middle_y) for x, y in zip(places, scores, strict=True))
    square = shared * shared / (_spread(places) * _spread(scores))
    return max(0.0, 1 - (1 - square) * (n_pairs - 1) / (n_pairs - 2))


def _spread(values: Sequence[float]) -> float:
    middle = sum(values) / len(values)
    return sum((value - middle) ** 2 for value in values)


def _key(value: object) -> str:
    return json.dumps(value, sort_keys=True)
