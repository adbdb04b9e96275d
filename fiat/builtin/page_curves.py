"""Curves of a training on a report page: one figure for each kind of metric."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fiat.builtin.page_plots import Figure
from fiat.builtin.svg_curves import is_long, training_chart
from fiat.builtin.svg_lines import Series
from fiat.builtin.view_spark import spans_decades
from fiat.builtin.view_text import count
from fiat.builtin.view_usage import GPU_LOAD, GPU_MEMORY, THROUGHPUT
from fiat.evaluate.catalog import direction_of
from fiat.run.model import Metric

_MOST_LINES = 4
_ROLE = re.compile(
    r"^(train|training|eval|val|valid|validation|test)[_/.-]|[_/.-](train|eval|val|valid|test)$"
)
_UNITS = {
    THROUGHPUT: ("throughput", "Samples a second.", 1.0),
    GPU_MEMORY: ("GPU memory", "GiB, all of its GPUs together.", 1 / (1 << 30)),
    GPU_LOAD: ("GPU load", "Share of the time in which its GPUs were busy.", 1.0),
}

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Family:
    """Curves that one figure shows, such as those of `loss` and `eval_loss`.

    Attributes:
        name: of the metric, without the data that it was measured on.
        lines: name to its points, in the order of the steps.
    """

    name: str
    lines: Mapping[str, Points]

    @property
    def is_pace(self) -> bool:
        """Whether it says how fast the machine was."""
        return self.name in _UNITS

    @property
    def title(self) -> str:
        """What the figure is called."""
        return _UNITS[self.name][0] if self.is_pace else self.name


def curve_families(metrics: Sequence[Metric]) -> list[Family]:
    """The curves by kind of metric. What says how fast it went comes last; a single point is no curve."""
    lines: dict[str, Points] = {}
    for metric in metrics:
        if metric.step is not None and not metric.slice:
            lines.setdefault(metric.name, []).append((float(metric.step), metric.value))
    families: dict[str, dict[str, Points]] = {}
    for name, points in lines.items():
        families.setdefault(_family(name), {})[name] = sorted(points, key=lambda point: point[0])
    return [
        Family(name, families[name])
        for name in sorted(families, key=lambda name: name in _UNITS)
        if max(map(len, families[name].values())) > 1
    ]


def training_figure(family: Family) -> Figure:
    """The figure of some curves, with words on how to read it."""
    _, unit, factor = _UNITS.get(family.name, ("", "", 1.0))
    shown = list(family.lines.items())[:_MOST_LINES]
    series = [
        Series(family.title if unit else name, tuple((x, y * factor) for x, y in points), place + 1)
        for place, (name, points) in enumerate(shown)
    ]
    log = not unit and is_log(family.name, [y for item in series for _, y in item.points])
    words = [unit] if unit else []
    words += ["Logarithmic axis."] if log else []
    if any(is_long(item.points) for item in series):
        words.append("Each line is a mean of neighbours, its band reaches from the smallest to the largest.")
    words += [text for item in series if (text := _lost_text(item))]
    more = list(family.lines)[_MOST_LINES:]
    words += [f"Not drawn: {', '.join(more)}."] if more else []
    return Figure(family.title, training_chart(family.title, series, log=log), " ".join(words))


def is_log(name: str, values: Sequence[float]) -> bool:
    """A score that grows to 1 is not read by its decades, however small it began."""
    return direction_of(_family(name)) != "higher" and spans_decades(values)


def _family(name: str) -> str:
    """The metric's name without the data that it was measured on."""
    return _ROLE.sub("", name) or name


def _lost_text(item: Series) -> str:
    lost = [x for x, y in item.points if not math.isfinite(y)]
    if not lost:
        return ""
    verb = "is" if len(lost) == 1 else "are"
    return f"{count(len(lost), 'value')} of {item.name} {verb} no finite number, the first at step {lost[0]:,.0f}."
