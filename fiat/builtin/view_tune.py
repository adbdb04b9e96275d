"""What `fiat tune show` shows: where a search stands, its best parameters, what mattered, every trial."""

import math

from fiat.builtin.study_record import Trial, params_text, state_text, value_text
from fiat.builtin.tuned_study import TunedStudy, search_text
from fiat.builtin.view_sheet import Cell, Sheet, Table, Tone
from fiat.builtin.view_text import number, seconds

MOST_TRIALS = 200
_WIDTH = 20
_TONES: dict[str, Tone] = {"done": "good", "failed": "bad"}
_STATES = {"done": "", "running": "running", "ended": "not done, the next run goes on"}


def tune_sheet(study: TunedStudy) -> Sheet:
    """The search on one page of a terminal."""
    record = study.record
    said = [study.standing(), _STATES[study.state], f"best {words}" if (words := record.best_words()) else ""]
    blocks: list[Table | tuple[Cell, ...]] = [
        (
            Cell(study.spec, "strong"),
            Cell(f"  run {study.run}  ", "quiet"),
            Cell(", ".join(part for part in said if part)),
        )
    ]
    if study.space or record.best_params:
        names = dict.fromkeys([*study.space, *record.best_params])
        rows = tuple(
            (
                Cell(name),
                Cell(value_text(record.best_params[name]) if name in record.best_params else "", "strong"),
                Cell(_share_text(study.importance.get(name)), "quiet"),
                Cell(search_text(study.space.get(name)), "quiet"),
            )
            for name in names
        )
        blocks.append(Table(("parameter", "best", "importance", "searched"), rows))
    shown = tuple(_trial_row(trial, study) for trial in record.trials[:MOST_TRIALS])
    if shown:
        heads = ("trial", record.metric or "value", "state", "time", "parameters")
        blocks.append(Table(heads, shown, frozenset({1, 3})))
    if (more := len(record.trials) - MOST_TRIALS) > 0:
        blocks.append((Cell(f"{more} more with --json", "quiet"),))
    return Sheet(tuple(blocks))


def _share_text(share: float | None) -> str:
    if share is None:
        return ""
    return f"{share:4.0%} {'█' * round(share * _WIDTH)}".rstrip()


def _trial_row(trial: Trial, study: TunedStudy) -> tuple[Cell, ...]:
    best = trial.number == study.record.best
    return (
        Cell(f"{trial.number}{' best' if best else ''}", "strong" if best else ""),
        Cell(number(trial.value) if math.isfinite(trial.value) else "-"),
        Cell(state_text(trial.state), _TONES.get(trial.state, "quiet")),
        Cell(seconds(trial.seconds) if math.isfinite(trial.seconds) else "", "quiet"),
        Cell(params_text(trial.params)),
    )
