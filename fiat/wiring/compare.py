"""Two runs side by side."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from fiat.evaluate.catalog import direction_of
from fiat.run.model import Metric, Run
from fiat.store.store import Store

Change = Literal["better", "worse", "same", "unclear", "changed"]


@dataclass(frozen=True)
class Row:
    """One thing, in run A and in run B; None where a run has none.

    Attributes:
        name: parameter, dataset or metric.
        a: its value in A.
        b: its value in B.
        change: whether B is better; `unclear` when the intervals overlap or no direction is known.
        a_interval: confidence interval in A.
        b_interval: confidence interval in B.
    """

    name: str
    a: object
    b: object
    change: Change
    a_interval: tuple[float, float] | None = None
    b_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Comparison:
    """What differs between two runs.

    Attributes:
        a: the first run.
        b: the second run.
        parameters: every leaf of the composed spec that differs.
        data: digest of each dataset.
        metrics: every metric of either.
        steps: output digests that differ, by step.
    """

    a: str
    b: str
    parameters: tuple[Row, ...]
    data: tuple[Row, ...]
    metrics: tuple[Row, ...]
    steps: tuple[Row, ...]


def compare_runs(store: Store, a: Run, b: Run) -> Comparison:
    """Compare parameters, data, metrics and outputs of two runs."""
    left, right = dict(_leaves(a.config)), dict(_leaves(b.config))
    parameters = [
        Row(key, left.get(key), right.get(key), "changed")
        for key in sorted({*left, *right})
        if left.get(key) != right.get(key)
    ]
    digests_a, digests_b = dict(_digests(a)), dict(_digests(b))
    outputs = [_digest_row(key, digests_a, digests_b) for key in sorted({*digests_a, *digests_b})]
    metrics_a, metrics_b = _metrics(a), _metrics(b)
    names = list(dict.fromkeys([*metrics_a, *metrics_b]))
    return Comparison(
        a=a.id,
        b=b.id,
        parameters=tuple(parameters),
        data=tuple(row for row in outputs if row.name.startswith("data.")),
        metrics=tuple(_metric_row(name, metrics_a.get(name), metrics_b.get(name)) for name in names),
        steps=tuple(row for row in outputs if not row.name.startswith("data.") and row.change != "same"),
    )


def _leaves(value: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value


def _digests(run: Run) -> Iterator[tuple[str, str]]:
    for step in run.steps:
        for output, artifact in step.outputs.items():
            yield (step.name if step.name.startswith("data.") else f"{step.name}:{output}"), artifact.digest


def _digest_row(key: str, a: Mapping[str, str], b: Mapping[str, str]) -> Row:
    return Row(key, a.get(key), b.get(key), "same" if a.get(key) == b.get(key) else "changed")


def _metrics(run: Run) -> dict[str, Metric]:
    return {f"{item.name} [{item.slice}]" if item.slice else item.name: item for item in run.metrics}


def _metric_row(name: str, a: Metric | None, b: Metric | None) -> Row:
    return Row(
        name,
        a.value if a else None,
        b.value if b else None,
        _change(a, b),
        _interval(a),
        _interval(b),
    )


def _interval(metric: Metric | None) -> tuple[float, float] | None:
    if metric is None or metric.low is None or metric.high is None:
        return None
    return metric.low, metric.high


def _change(a: Metric | None, b: Metric | None) -> Change:
    if a is None or b is None:
        return "changed"
    if a.value == b.value:
        return "same"
    direction = direction_of(a.name)
    span_a, span_b = _interval(a), _interval(b)
    overlap = span_a is not None and span_b is not None and span_a[0] <= span_b[1] and span_b[0] <= span_a[1]
    if direction is None or overlap:
        return "unclear"
    return "better" if (b.value > a.value) == (direction == "higher") else "worse"
