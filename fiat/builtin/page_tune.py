"""A search as one HTML page: its history, what mattered, how parameters go together, every trial."""

import math
from collections.abc import Sequence
from datetime import datetime

from markupsafe import Markup

from fiat.builtin.page_data_names import cut
from fiat.builtin.page_frame import page_style, page_template
from fiat.builtin.page_plots import Figure
from fiat.builtin.page_training import study_figures
from fiat.builtin.study_record import Trial, params_text, state_text, value_text
from fiat.builtin.svg_draw import clipped, drawing, element, label, line
from fiat.builtin.svg_parallel import Dimension, parallel_chart
from fiat.builtin.tuned_study import TunedStudy, is_list, is_log, search_text
from fiat.builtin.view_text import moment, number, seconds

MOST_LINES = 400
MOST_AXES = 12
MOST_NAMES = 12
MOST_TRIALS = 1000
_ROW, _NAMES, _BAR, _VALUE = 24.0, 130.0, 240.0, 50.0
_SIGNS = {
    "done": ("✓", "Done", "good"),
    "running": ("…", "Running", "quiet"),
    "ended": ("!", "Not done", "doubt"),
}


def render_tune(study: TunedStudy, made_at: datetime) -> str:
    """The page as one self-contained HTML document: no script, no request to anywhere.

    Args:
        study: what to show.
        made_at: aware UTC.
    """
    record = study.record
    sign, word, tone = _SIGNS[study.state]
    names = list(dict.fromkeys([*study.space, *record.best_params]))
    facts = [
        ("Trials", study.standing()),
        ("Best", record.best_words()),
        ("Run", study.run),
        ("Made at", moment(made_at)),
    ]
    return page_template("tune.html").render(
        style=page_style("run.css", "tune.css"),
        title=cut(study.spec, 200),
        sign=sign,
        word=word,
        tone=tone,
        facts=[(name, value) for name, value in facts if value],
        parameters=[
            (
                cut(name),
                value_text(record.best_params[name]) if name in record.best_params else "–",
                f"{study.importance[name]:.0%}" if name in study.importance else "–",
                search_text(study.space.get(name)),
            )
            for name in names
        ],
        figures=[*study_figures(record), *_importance_figures(study)],
        parallel=_parallel(study),
        metric=record.metric or "value",
        trials=[_row(trial, study) for trial in record.trials[:MOST_TRIALS]],
        more=max(0, len(record.trials) - MOST_TRIALS),
    )


def _row(trial: Trial, study: TunedStudy) -> dict[str, object]:
    return {
        "number": trial.number,
        "best": trial.number == study.record.best,
        "value": number(trial.value) if math.isfinite(trial.value) else "–",
        "state": state_text(trial.state),
        "time": seconds(trial.seconds) if math.isfinite(trial.seconds) else "",
        "params": cut(params_text(trial.params), 400),
    }


def _importance_figures(study: TunedStudy) -> list[Figure]:
    if not study.importance:
        return []
    words = (
        "How much of the differences between trials goes with each parameter alone, beyond chance. "
        "With few trials this says little."
    )
    return [Figure("Importance", importance_chart(list(study.importance.items())), words)]


def importance_chart(shares: Sequence[tuple[str, float]]) -> Markup:
    """A bar for each parameter; the whole width is all of the differences.

    Args:
        shares: (name, 0 to 1), one or more.
    """
    parts = []
    for place, (name, share) in enumerate(shares):
        y = 6 + place * _ROW
        parts.append(label(_NAMES - 8, y + 15, clipped(name, 18), "tick strong", "end"))
        told = element("title", f"{name}: {share:.0%}")
        width = max(1.0, share * _BAR)
        parts.append(
            element("rect", told, x=_NAMES, y=y + 3, width=width, height=_ROW - 8, class_="bar tone1")
        )
        parts.append(label(_NAMES + width + 6, y + 15, f"{share:.0%}", "tick"))
    bottom = 6 + len(shares) * _ROW
    parts.append(line(_NAMES, 4, _NAMES, bottom, "axis"))
    return drawing(_NAMES + _BAR + _VALUE, bottom + 6, "Importance of parameters", parts)


def _parallel(study: TunedStudy) -> Markup | None:
    """One line a trial with a value; None when there is nothing to compare."""
    record = study.record
    trials = [trial for trial in record.trials if math.isfinite(trial.value)][:MOST_LINES]
    names = list(dict.fromkeys([*study.importance, *(name for trial in trials for name in trial.params)]))
    names = names[: MOST_AXES - 1]
    if len(trials) < 2 or not names:
        return None
    dimensions = [_dimension(name, trials, study.space.get(name)) for name in names]
    dimensions.append(Dimension(record.metric or "value", [trial.value for trial in trials]))
    best = next((at for at, trial in enumerate(trials) if trial.number == record.best), None)
    title = f"Parameters and {record.metric or 'value'} of trials"
    return parallel_chart(title, dimensions, _goodness(trials, record.mode), best)


def _dimension(name: str, trials: Sequence[Trial], search: object) -> Dimension:
    numbers = [_number(trial.params.get(name)) for trial in trials]
    all_numbers = all(
        number is not None for number, trial in zip(numbers, trials, strict=True) if name in trial.params
    )
    if all_numbers and not (is_list(search) and len(set(numbers)) <= MOST_NAMES):
        return Dimension(name, numbers, log=is_log(search))
    texts = [value_text(trial.params[name]) if name in trial.params else None for trial in trials]
    # Of a list the values themselves stand on the axis, numbers by their size.
    sizes = {text: number or 0.0 for text, number in zip(texts, numbers, strict=True) if text is not None}
    return Dimension(name, texts, tuple(sorted(sizes, key=lambda text: (sizes[text], text))))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _goodness(trials: Sequence[Trial], mode: str) -> list[float]:
    """By rank, so that one hopeless trial does not make all others look alike."""
    order = sorted(range(len(trials)), key=lambda at: trials[at].value, reverse=mode == "min")
    places = {at: place / (len(trials) - 1) for place, at in enumerate(order)}
    return [places[at] for at in range(len(trials))]
