"""What `fiat runs` and `fiat show RUN` show, and the summary under a run on a terminal."""

from collections.abc import Sequence

from fiat.builtin.view_sheet import Cell, Sheet, Table, Tone
from fiat.builtin.view_text import count, interval, metric_value, moment, number, seconds, short
from fiat.builtin.view_usage import SPECIAL
from fiat.ports.deploy import MOVING
from fiat.run.model import GateResult, Metric, Run, StepResult

Block = Table | tuple[Cell, ...]

_VERDICTS: dict[str, tuple[str, Tone]] = {
    "pass": ("✓ pass", "good"),
    "warn": ("! warn", "doubt"),
    "fail": ("✗ fail", "bad"),
    "error": ("✗ error", "bad"),
}
_STEPS: dict[str, Tone] = {"ran": "good", "failed": "bad", "cancelled": "bad", "running": "strong"}
_GATES: dict[str, tuple[str, Tone]] = {
    "pass": ("✓ pass", "good"),
    "warn": ("! warn", "doubt"),
    "fail": ("✗ fail", "bad"),
    "skipped": ("- skipped", "quiet"),
}


def verdict_cell(run: Run) -> Cell:
    """Verdict with its sign; the run's state while there is none."""
    if run.verdict is None:
        return Cell(f"… {run.state}", "quiet")
    return Cell(*_VERDICTS[run.verdict])


def runs_sheet(runs: Sequence[Run]) -> Sheet:
    """One row a run, in the order given."""
    if not runs:
        return Sheet(((Cell("no runs yet; `fiat run SPEC` makes one"),),))
    rows = tuple(
        (
            Cell(run.id, "strong"),
            Cell(run.spec),
            verdict_cell(run),
            Cell(_commit(run), "quiet"),
            Cell(seconds(run_seconds(run)) if run.ended_at else "", "quiet"),
            Cell(run.reason),
        )
        for run in runs
    )
    return Sheet((Table(("run", "spec", "verdict", "commit", "time", "why"), rows, frozenset({4})),))


def run_sheet(run: Run, training: Sequence[Block] = ()) -> Sheet:
    """Everything that a run recorded, on one page of a terminal.

    Args:
        run: the record.
        training: what its trainings came to, see `view_training.py`.
    """
    facts = [("run", run.id), ("spec", run.spec_path or run.spec), ("commit", _commit(run, long=True))]
    facts.append(
        ("started", f"{moment(run.started_at)} on {run.host}" if run.host else moment(run.started_at))
    )
    if run.ended_at:
        facts.append(("took", seconds(run_seconds(run))))
    if run.overrides:
        facts.append(("overrides", " ".join(run.overrides)))
    table = Table(("", ""), tuple((Cell(name, "quiet"), Cell(value)) for name, value in facts if value))
    return Sheet((*verdict_lines(run), table, steps_table(run.steps), *training, *result_blocks(run)))


def verdict_lines(run: Run) -> tuple[Block, ...]:
    """`✓ pass  digits: 5 gates passed`."""
    return (
        (
            verdict_cell(run),
            Cell("  "),
            Cell(run.spec, "strong"),
            Cell(f": {run.reason}" if run.reason else ""),
        ),
    )


def result_blocks(run: Run) -> tuple[Block, ...]:
    """Gates, metrics, the worst slices and the model, each only when there is one."""
    blocks: list[Block] = []
    if run.gates:
        blocks.append(gates_table(run.gates))
    # How fast it went stands with its training.
    whole = [
        item for item in run.metrics if not item.slice and item.step is None and item.name not in SPECIAL
    ]
    if whole:
        blocks.append(metrics_table(whole))
    sliced = [item for item in run.metrics if item.slice]
    if sliced:
        blocks.append((Cell(""),))
        blocks.append((Cell(f"{count(len(sliced), 'slice metric')} in `fiat report {run.id}`", "quiet"),))
    if run.model_digest:
        blocks.append((Cell(""),))
        blocks.append((Cell("model  ", "quiet"), Cell(run.model_digest)))
    for step in run.steps:
        if url := step.resources.get("url"):
            moving = f", {step.reason}" if step.resources.get("phase") in MOVING else ""
            blocks.append((Cell("serves ", "quiet"), Cell(f"{url} ({step.name}{moving})")))
    return tuple(blocks)


def next_step(run: Run) -> tuple[Block, ...]:
    """The command that helps most after this run."""
    failed = next((step for step in run.steps if step.state == "failed"), None)
    moving = any(step.resources.get("phase") in MOVING for step in run.steps)
    if failed is not None:
        command = f"fiat logs {run.id} {failed.name}"
    elif moving:
        command = "fiat status --watch"
    elif run.gates or run.metrics:
        command = f"fiat report {run.id}"
    else:
        command = f"fiat show {run.id}"
    return ((Cell(""),), (Cell("next   ", "quiet"), Cell(command)))


def steps_table(steps: Sequence[StepResult]) -> Table:
    """State, time and reason of each step."""
    rows = tuple(
        (
            Cell(step.name),
            Cell(step.state, _STEPS.get(step.state, "quiet")),
            Cell(seconds(step.seconds) if step.state in ("ran", "failed", "cancelled") else "", "quiet"),
            Cell(step.reason, "bad" if step.state == "failed" else "quiet"),
        )
        for step in steps
    )
    return Table(("step", "state", "time", "why"), rows, frozenset({2}))


def gates_table(gates: Sequence[GateResult]) -> Table:
    """State and reason of each gate."""
    rows = tuple((Cell(gate.name), Cell(*_GATES[gate.state]), Cell(gate.reason)) for gate in gates)
    return Table(("gate", "state", "why"), rows)


def metrics_table(metrics: Sequence[Metric]) -> Table:
    """Value, interval and number of rows of each metric."""
    rows = tuple(
        (
            Cell(item.name),
            Cell(metric_value(item), "strong"),
            Cell(interval(item.low, item.high), "quiet"),
            Cell(number(item.n_rows) if item.n_rows else "", "quiet"),
        )
        for item in metrics
    )
    return Table(("metric", "value", "interval", "rows"), rows, frozenset({1, 3}))


def run_seconds(run: Run) -> float:
    """Wall clock of the whole run; 0 while it runs."""
    return (run.ended_at - run.started_at).total_seconds() if run.ended_at else 0.0


def _commit(run: Run, *, long: bool = False) -> str:
    if not run.commit:
        return "no commit" if long else ""
    text = short(run.commit, 40 if long else 8)
    branch = f" on {run.branch}" if run.branch and long else ""
    dirty = (", with uncommitted changes" if long else "+") if run.dirty else ""
    return text + branch + dirty
