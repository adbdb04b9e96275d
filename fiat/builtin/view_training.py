"""What a run's trainings and searches came to, as text: `fiat show RUN`."""

import math
from collections.abc import Mapping, Sequence

from fiat.builtin.page_data_names import cut
from fiat.builtin.study_record import Trial, params_text, read_study, state_text, value_text
from fiat.builtin.view_run import Block
from fiat.builtin.view_sheet import Cell, Table, Tone
from fiat.builtin.view_spark import WIDTH, course_line
from fiat.builtin.view_text import count, number, seconds, size
from fiat.builtin.view_usage import (
    GPU_LOAD,
    GPU_MEMORY,
    SPECIAL,
    THROUGHPUT,
    pace_text,
    percent,
    usage_pairs,
)
from fiat.run.model import Metric

MOST_CURVES = 12
MOST_TRIALS = 10
_LONGEST_PARAMS = 400
_LONGEST_NAME = 40
_LEAST_NAME = 12
_LEAST_DRAWN = 6
_GAP = 2
_WORDS = {"workers": "{value} workers", "throughput": "{value}", "GPUs": "{value}", "resumed": "{value}"}
_TONES: dict[str, Tone] = {"done": "good", "failed": "bad"}


def training_blocks(
    curves: Sequence[tuple[str, Metric]],
    finals: Mapping[str, Sequence[Metric]],
    usage: Mapping[str, Mapping[str, object]],
    studies: Mapping[str, Mapping[str, object]],
    tune: object,
    *,
    width: int = 0,
) -> tuple[Block, ...]:
    """A paragraph and tables for each step that trained or searched; empty for a run that did neither.

    Args:
        curves: (step, metric) with a place on the x axis, in order.
        finals: step to its metrics without such a place.
        usage: step to what its work used.
        studies: step that searched to its documents `best` and `trials`.
        tune: section `tune` of the composed spec.
        width: columns of the terminal, for which curves are drawn shorter; 0 for pipes.
    """
    lines: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for step, metric in curves:
        if metric.step is not None and not metric.slice:
            lines.setdefault(step, {}).setdefault(metric.name, []).append((metric.step, metric.value))
    blocks: list[Block] = []
    for step in dict.fromkeys((*studies, *lines, *usage)):
        facts = _facts(finals.get(step, ()), usage.get(step, {}))
        drawn = {name: points for name, points in lines.get(step, {}).items() if len(points) > 1}
        if step in studies:
            blocks += _study_blocks(step, studies[step], tune, facts)
        elif drawn or any(name != "memory" for name, _ in facts):
            blocks += [(Cell(""),), _said(step, facts)]
        if drawn:
            blocks.append(_curves_table(drawn, width))
            if len(drawn) > MOST_CURVES:
                blocks.append(
                    (Cell(f"{count(len(drawn) - MOST_CURVES, 'more curve')} in the report", "quiet"),)
                )
    return tuple(blocks)


def _facts(finals: Sequence[Metric], usage: Mapping[str, object]) -> list[tuple[str, str]]:
    rates = [metric.value for metric in finals if metric.name == THROUGHPUT]
    return [*([("throughput", pace_text(rates[-1]))] if rates else []), *usage_pairs(usage)]


def _said(step: str, facts: Sequence[tuple[str, str]], more: Sequence[str] = ()) -> tuple[Cell, ...]:
    said = [_WORDS.get(name, "{name} {value}").format(name=name, value=value) for name, value in facts]
    return (Cell(step, "strong"), Cell("  "), Cell(", ".join([*more, *said]), "quiet"))


def _curves_table(lines: Mapping[str, list[tuple[int, float]]], width: int) -> Table:
    pace = [name for name in lines if name in SPECIAL]
    ordered = [*[name for name in lines if name not in SPECIAL][: MOST_CURVES - len(pace)], *pace]
    longest = min(_LONGEST_NAME, max(_LEAST_NAME, width // 3)) if width else _LONGEST_NAME
    curves = [_curve(name, longest, lines[name]) for name in ordered]
    heads = ("curve", "first", "", "last", "steps")
    columns = zip(
        heads, *((name, first, "", last, steps) for name, first, _, last, steps, _ in curves), strict=True
    )
    room = width - sum(max(map(len, column)) + _GAP for column in columns)
    n_drawn = (min(room, WIDTH) if room >= _LEAST_DRAWN else 0) if width else WIDTH
    has_lost = any(lost for *_, lost in curves)
    rows = tuple(
        (
            Cell(name),
            Cell(first, "quiet"),
            Cell(course_line(values, n_drawn) if n_drawn else ""),
            Cell(last, "strong"),
            Cell(steps, "quiet"),
            *((Cell(lost, "bad"),) if lost else ()),
        )
        for name, first, values, last, steps, lost in curves
    )
    return Table((*heads, "") if has_lost else heads, rows, frozenset({1, 3}))


def _curve(
    name: str, longest: int, points: Sequence[tuple[int, float]]
) -> tuple[str, str, list[float], str, str, str]:
    """Name, first value, all values, last value, where they are, and how many are no number."""
    points = sorted(points, key=lambda point: point[0])
    (first, begin), (last, end) = points[0], points[-1]
    lost = sum(not math.isfinite(value) for _, value in points)
    said = f"{count(lost, 'value')} no finite number" if lost else ""
    values = [value for _, value in points]
    return cut(name, longest), _value(name, begin), values, _value(name, end), f"{first:,} to {last:,}", said


def _value(name: str, value: float) -> str:
    if not math.isfinite(value):
        return number(value)
    if name == GPU_MEMORY:
        return size(int(value))
    return percent(value) if name == GPU_LOAD else number(value)


def _study_blocks(
    step: str, documents: Mapping[str, object], tune: object, facts: Sequence[tuple[str, str]]
) -> list[Block]:
    study = read_study(documents, tune)
    best = f"best {said}" if (said := study.best_words()) else ""
    blocks: list[Block] = [(Cell(""),), _said(step, facts, [text for text in (study.words(), best) if text])]
    if study.best_params:
        pairs = study.best_params.items()
        best_rows = tuple((Cell(name, "quiet"), Cell(value_text(value))) for name, value in pairs)
        blocks.append(Table(("best parameter", "value"), best_rows))
    rows = tuple(_trial_cells(trial, best=trial.number == study.best) for trial in study.trials[:MOST_TRIALS])
    blocks.append(
        Table(("trial", study.metric or "value", "state", "time", "parameters"), rows, frozenset({1, 3}))
    )
    if len(study.trials) > MOST_TRIALS:
        more = count(len(study.trials) - MOST_TRIALS, "more trial")
        blocks.append((Cell(f"{more} in `fiat tune show`", "quiet"),))
    return blocks


def _trial_cells(trial: Trial, *, best: bool) -> tuple[Cell, ...]:
    return (
        Cell(f"{trial.number}{' best' if best else ''}", "strong" if best else ""),
        Cell(number(trial.value) if math.isfinite(trial.value) else "-"),
        Cell(state_text(trial.state), _TONES.get(trial.state, "quiet")),
        Cell(seconds(trial.seconds) if math.isfinite(trial.seconds) else "", "quiet"),
        Cell(cut(params_text(trial.params), _LONGEST_PARAMS)),
    )
