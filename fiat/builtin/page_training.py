"""Training on a report page: curves by step, how fast the machine was, and the trials of a search."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fiat.builtin.page_curves import Family, curve_families, is_log, training_figure
from fiat.builtin.page_data_names import cut
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
from fiat.builtin.svg_curves import training_chart
from fiat.builtin.svg_lines import Series
from fiat.builtin.svg_trials import trials_chart
from fiat.builtin.view_text import count, number, seconds
from fiat.builtin.view_usage import THROUGHPUT, pace_text, usage_pairs
from fiat.run.model import Metric

MOST_FIGURES = 24
MOST_TRIALS = 15
MOST_MORE_TRIALS = 200
MOST_DOTS = 1000
MOST_NAMED = 40
_LONGEST_PARAMS = 400
_MOST_CURVES = 60


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
        undrawn: names of curves that there was no room for, the first MOST_NAMED.
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


def _part(page: RunPage, name: str, curves: Sequence[Metric]) -> TrainingPart:
    usage = usage_pairs(page.usage.get(name, {}))
    rates = [item.value for item in page.finals.get(name, ()) if item.name == THROUGHPUT]
    facts = [("throughput", pace_text(rates[-1]))] if rates else []
    families = curve_families(curves)
    figures: list[Figure] = []
    trials: tuple[TrialRow, ...] = ()
    study = StudyRecord("", "max", None, math.nan, {}, ())
    if name in page.studies:
        study = read_study(page.studies[name], page.run.config.get("tune"))
        facts = [("search", study.words()), ("best", study.best_words()), *facts]
        figures = study_figures(study)
        trials = tuple(_trial_row(trial, study) for trial in study.trials)
    shown, undrawn = _chosen(families, MOST_FIGURES - len(figures))
    return TrainingPart(
        step=name,
        facts=[(label[0].upper() + label[1:], value) for label, value in (*facts, *usage) if value],
        best=[(key, value_text(value)) for key, value in study.best_params.items()],
        metric=study.metric,
        trials=trials[:MOST_TRIALS],
        more=trials[MOST_TRIALS : MOST_TRIALS + MOST_MORE_TRIALS],
        n_hidden=max(0, len(trials) - MOST_TRIALS - MOST_MORE_TRIALS),
        figures=[*figures, *map(training_figure, shown)],
        undrawn=_names([family.title for family in undrawn]),
    )


def _chosen(families: Sequence[Family], room: int) -> tuple[list[Family], list[Family]]:
    """Those that are drawn, and the others; how fast it went always is."""
    pace = [family for family in families if family.is_pace]
    others = [family for family in families if not family.is_pace]
    n_others = max(0, room - len(pace))
    return [*others[:n_others], *pace], others[n_others:]


def _names(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _of_interest(part: TrainingPart) -> bool:
    """Whether there is more to say than that it used memory."""
    return any(name != "Memory" for name, _ in part.facts)


def study_figures(study: StudyRecord) -> list[Figure]:
    """What each trial of a search came to, and their curves; none without trials."""
    if not study.trials:
        return []
    ordered = sorted(study.trials, key=lambda trial: trial.number)
    values = [trial.value for trial in ordered if math.isfinite(trial.value)]
    lower, metric = study.mode == "min", study.metric or "value"
    drawn = _some(ordered, lower=lower)
    chart = trials_chart(
        f"{metric} of {count(len(ordered), 'trial')}",
        [(trial.number, state_text(trial.state), trial.value) for trial in drawn],
        lower=lower,
        log=is_log(metric, values),
    )
    words = "The line is the best so far."
    if any(trial.state != "done" and math.isfinite(trial.value) for trial in ordered):
        words += " Hollow dots were not trained to their end."
    if len(values) < len(ordered):
        words += " Crosses have no value."
    if len(drawn) < len(ordered):
        words += f" Of {len(ordered):,} trials, {len(drawn):,} are drawn, the best among them."
    figures = [Figure(f"{metric} by trial", chart, words)]
    curves = [trial for trial in study.trials if len(trial.curve) > 1][:_MOST_CURVES]
    if curves:
        figures.append(_curves_figure(metric, curves))
    return figures


def _some(ordered: Sequence[Trial], *, lower: bool) -> list[Trial]:
    """Of very many trials some of each stretch, and those that were the best so far; about MOST_DOTS of either."""
    best = math.inf
    leading = []
    for place, trial in enumerate(ordered):
        loss = trial.value if lower else -trial.value
        if trial.state == "done" and loss < best:
            best = loss
            leading.append(place)
    chosen = {*range(0, len(ordered), _stride(ordered)), *leading[:: _stride(leading)], *leading[-1:]}
    return [ordered[place] for place in sorted(chosen)]


def _stride(things: Sequence[object]) -> int:
    return max(1, -(-len(things) // MOST_DOTS))


def _curves_figure(metric: str, trials: Sequence[Trial]) -> Figure:
    """The curves of all trials, the best in colour."""
    best, *rest = trials
    series = [Series(f"trial {best.number}", best.curve, 1), *(Series("", trial.curve, 0) for trial in rest)]
    log = is_log(metric, [y for item in series for _, y in item.points])
    words = f"{count(len(trials), 'trial')}, the best in colour." + (" Logarithmic axis." if log else "")
    return Figure(f"{metric} by step", training_chart(f"{metric} of trials", series, log=log), words)


def _trial_row(trial: Trial, study: StudyRecord) -> TrialRow:
    return TrialRow(
        number=str(trial.number),
        state=state_text(trial.state),
        value=number(trial.value) if math.isfinite(trial.value) else "",
        params=cut(params_text(trial.params), _LONGEST_PARAMS),
        took=seconds(trial.seconds) if math.isfinite(trial.seconds) else "",
        is_best=trial.number == study.best,
    )
