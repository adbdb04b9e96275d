"""What several workers logged, as one series: the mean over the workers, by name and step."""

from collections.abc import Sequence

from fiat.run.model import Metric

Key = tuple[str, int | None, int]


def mean_metrics(series: Sequence[Sequence[Metric]]) -> tuple[Metric, ...]:
    """Average what the workers logged under one name at one step.

    A value that a worker logs again under the same name and step belongs to the others' value of the same turn. Who
    did not log it does not count.

    Args:
        series: of each worker, in the order in which it logged; the first worker's order is kept.

    Returns:
        One metric for each (name, step, turn).
    """
    values: dict[Key, list[float]] = {}
    for metrics in series:
        turns: dict[tuple[str, int | None], int] = {}
        for metric in metrics:
            place = (metric.name, metric.step)
            turn = turns[place] = turns.get(place, -1) + 1
            values.setdefault((*place, turn), []).append(metric.value)
    return tuple(Metric(name, sum(found) / len(found), step) for (name, step, _), found in values.items())
