"""Training on a report page: curves by step, how fast the machine was, and the trials of a search."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from fiat.builtin.page_model import RunPage
from fiat.builtin.page_plots import Figure
from fiat.builtin.study_record import (
    StudyRecord,
    Trial,
    params_text,
    read_study,
    state_text,
    value_text,
)
from fiat.builtin.svg_curves import is_long, training_chart
from fiat.builtin.svg_lines import Series
from fiat.builtin.svg_trials import trials_chart
from fiat.builtin.view_spark import spans_decades
from fiat.builtin.view_text import count, number, seconds
from fiat.builtin.view_usage import GPU_LOAD, GPU_MEMORY, THROUGHPUT, pace_text, usage_pairs
from fiat.evaluate.catalog import direction_of
from fiat.run.model import Metric

MOST_FIGURES = 24
MOST_TRIALS = 15
MOST_MORE_TRIALS = 200
_MOST_LINES = 4
_MOST_CURVES = 60
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
class TrialRow:
    """A trial of a search: texts, and whether it is the best."""

    number: str
    state: str
    value: str
    params: str
    took: str
    is_best: bool


@dataclass(frozen=True)
class TrainingPart:
    """One step that trained or searched.

    Attributes:
        step: its name.
        facts: what it used, and what its search came to.
        best: parameters of the best trial.
        metric: that a search went by; empty for a training.
        trials: the best first, at most MOST_TRIALS.
        more: the next ones.
        n_hidden: those that are not shown at all.
        figures: curves and the history of a search.
        undrawn: names of curves that there was no room for.
    """

    step: str
    facts: list[tuple[str, str]]
    best: list[tuple[str, str]]
    metric: str
    trials: tuple[TrialRow, ...]
    more: tuple[TrialRow, ...]
    n_hidden: int
    figures: list[Figure]
    undrawn: str


def training_parts(page: RunPage) -> list[TrainingPart]:
    """One part a step that has curves, searched, or has something to say of GPUs and workers; in the run's order."""
    curves: dict[str, list[Metric]] = {}
    for step, metric in page.curves:
        curves.setdefault(step, []).append(metric)
    names = dict.fromkeys((*(step.name for step in page.run.steps), *curves, *page.studies))
    parts = [_part(page, name, curves.get(name, [])) for name in names]
    return [part for part in parts if part.figures or part.trials or _of_interest(part)]


def training_figures(metrics: Sequence[Metric]) -> list[Figure]:
    """One figure for each kind of metric; `loss` and `eval_loss` share one. What says how fast it went comes last."""
    lines: dict[str, Points] = {}
    for metric in metrics:
        if metric.step is not None and not metric.slice:
            lines.setdefault(metric.name, []).append((float(metric.step), metric.value))
    families: dict[str, dict[str, Points]] = {}
    for name, points in lines.items():
        families.setdefault(_family(name), {})[name] = points
    ordered = sorted(families, key=lambda family: family in _UNITS)
    return [
        _figure(family, families[family])
        for family in ordered
        if max(map(len, families[family].values())) > 1
    ]


def _part(page: RunPage, name: str, curves: Sequence[Metric]) -> TrainingPart:
    usage = usage_pairs(page.usage.get(name, {}))
    rates = [item.value for item in page.finals.get(name, ()) if item.name == THROUGHPUT]
    facts = [("throughput", pace_text(rates[-1]))] if rates else []
    figures = training_figures(curves)
    trials: tuple[TrialRow, ...] = ()
    study = StudyRecord("", "max", None, math.nan, {}, ())
    if name in page.studies:
        study = read_study(page.studies[name], page.run.config.get("tune"))
        facts = [("search", study.words()), ("best", study.best_words()), *facts]
        figures = [*study_figures(study), *figures]
        trials = tuple(_trial_row(trial, study) for trial in study.trials)
    shown, undrawn = figures[:MOST_FIGURES], figures[MOST_FIGURES:]
    return TrainingPart(
        step=name,
        facts=[(label[0].upper() + label[1:], value) for label, value in (*facts, *usage) if value],
        best=[(key, value_text(value)) for key, value in study.best_params.items()],
        metric=study.metric,
        trials=trials[:MOST_TRIALS],
        more=trials[MOST_TRIALS : MOST_TRIALS + MOST_MORE_TRIALS],
        n_hidden=max(0, len(trials) - MOST_TRIALS - MOST_MORE_TRIALS),
        figures=shown,
        undrawn=", ".join(figure.title for figure in undrawn),
    )


def _of_interest(part: TrainingPart) -> bool:
    """Whether there is more to say than that it used memory."""
    return any(name != "Memory" for name, _ in part.facts)


def _figure(family: str, lines: dict[str, Points]) -> Figure:
    title, unit, factor = _UNITS.get(family, (family, "", 1.0))
    series = [
        Series(name, tuple((x, y * factor) for x, y in sorted(points, key=lambda point: point[0])), place + 1)
        for place, (name, points) in enumerate(list(lines.items())[:_MOST_LINES])
    ]
    if unit:
        series = [Series(title, item.points, item.tone) for item in series]
    log = not unit and _is_log(family, [y for item in series for _, y in item.points])
    words = [unit] if unit else []
    words += ["Logarithmic axis."] if log else []
    if any(is_long(item.points) for item in series):
        words.append("Each line is a mean of neighbours, its band reaches from the smallest to the largest.")
    words += [text for item in series if (text := _lost_text(item))]
    more = list(lines)[_MOST_LINES:]
    words += [f"Not drawn: {', '.join(more)}."] if more else []
    return Figure(title, training_chart(title, series, log=log), " ".join(words))


def _is_log(name: str, values: Sequence[float]) -> bool:
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
    return f"{count(len(lost), 'value')} of {item.name} {verb} no finite number, the first at step {number(lost[0])}."


def study_figures(study: StudyRecord) -> list[Figure]:
    """What each trial of a search came to, and their curves; none without trials."""
    if not study.trials:
        return []
    ordered = sorted(study.trials, key=lambda trial: trial.number)
    values = [trial.value for trial in ordered if math.isfinite(trial.value)]
    lower, metric = study.mode == "min", study.metric or "value"
    chart = trials_chart(
        f"{metric} of {count(len(ordered), 'trial')}",
        [(trial.number, state_text(trial.state), trial.value) for trial in ordered],
        lower=lower,
        log=_is_log(metric, values),
    )
    words = "The line is the best so far."
    if any(trial.state != "done" and math.isfinite(trial.value) for trial in ordered):
        words += " Hollow dots were not trained to their end."
    if len(values) < len(ordered):
        words += " Crosses have no value."
    figures = [Figure(f"{metric} by trial", chart, words)]
    curves = [trial for trial in study.trials if len(trial.curve) > 1][:_MOST_CURVES]
    if curves:
        figures.append(_curves_figure(metric, curves))
    return figures


def _curves_figure(metric: str, trials: Sequence[Trial]) -> Figure:
    """The curves of all trials, the best in colour."""
    best, *rest = trials
    series = [Series(f"trial {best.number}", best.curve, 1), *(Series("", trial.curve, 0) for trial in rest)]
    log = _is_log(metric, [y for item in series for _, y in item.points])
    words = f"{count(len(trials), 'trial')}, the best in colour." + (" Logarithmic axis." if log else "")
    return Figure(f"{metric} by step", training_chart(f"{metric} of trials", series, log=log), words)


def _trial_row(trial: Trial, study: StudyRecord) -> TrialRow:
    return TrialRow(
        number=str(trial.number),
        state=state_text(trial.state),
        value=number(trial.value) if math.isfinite(trial.value) else "",
        params=params_text(trial.params),
        took=seconds(trial.seconds) if math.isfinite(trial.seconds) else "",
        is_best=trial.number == study.best,
    )
