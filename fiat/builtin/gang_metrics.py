"""What several workers logged, as one series: the mean over the workers, by name and step."""

from collections.abc import Sequence

from fiat.run.model import Metric

Key = tuple[str, int | None, int]


def mean_metrics(series: Sequence[Sequence[Metric]]) -> tuple[Metric, ...]:
    """Average what the workers logged under one name at one step; each worker counts the same.

    A value that a worker logs again under the same name and step belongs to the others' value of the same turn. Who
    did not log it does not count.

    Args:
        series: of each worker, in the order in which it logged; the first worker's order is kept.

    Returns:
        One metric for each (name, step, turn). Where others logged at other steps than the first worker, the values of
        that name are in the order of steps.
    """
    values: dict[Key, list[float]] = {}
    late: set[str] = set()
    for metrics in series:
        first = not values
        turns: dict[tuple[str, int | None], int] = {}
        for metric in metrics:
            place = (metric.name, metric.step)
            turn = turns[place] = turns.get(place, -1) + 1
            found = values.setdefault((*place, turn), [])
            if not found and not first:
                late.add(metric.name)
            found.append(metric.value)
    means = [Metric(name, sum(found) / len(found), step) for (name, step, _), found in values.items()]
    for name in late:
        _order(means, name)
    return tuple(means)


def _order(metrics: list[Metric], name: str) -> None:
    """Put the metrics of one name in the order of their steps, into the same places."""
    places = [
        place for place, metric in enumerate(metrics) if metric.name == name and metric.step is not None
    ]
    found = sorted((metrics[place] for place in places), key=lambda metric: metric.step or 0)
    for place, metric in zip(places, found, strict=True):
        metrics[place] = metric
