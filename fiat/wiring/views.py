"""What commands show: sheets for people, printed in colour on a terminal and plainly elsewhere."""

import importlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from fiat.builtin.view_compare import comparison_sheet
from fiat.builtin.view_places import PlaceRow, differences_sheet, places_sheet
from fiat.builtin.view_plan import explain_sheet, plan_sheet
from fiat.builtin.view_run import run_sheet, runs_sheet
from fiat.builtin.view_sheet import Cell, Sheet, Table, plain_text
from fiat.builtin.view_text import interval, moment, number, output_line, short, size
from fiat.builtin.view_training import training_blocks
from fiat.builtin.view_why import why_sheet
from fiat.engine.silent import SilentReporter
from fiat.plan.model import Decision, Plan
from fiat.ports.report import Reporter
from fiat.run.model import Run
from fiat.store.store import Store
from fiat.wiring.compare import Comparison
from fiat.wiring.deploying import Difference
from fiat.wiring.models import ShownModel
from fiat.wiring.reproduce import Reproduction
from fiat.wiring.trained import Trained
from fiat.wiring.why import Why

size_text = size
clean_line = output_line


@contextmanager
def make_reporter(*, json: bool, verbose: bool) -> Iterator[Reporter]:
    """Who listens to a run: nobody for JSON, the live table on a terminal, plain lines elsewhere."""
    if json:
        yield SilentReporter()
    elif is_terminal() and not verbose and (sys.stdout.encoding or "").lower().startswith("utf"):
        rich = importlib.import_module("fiat.builtin.report_rich")
        with rich.RichReporter() as reporter:
            yield reporter
    else:
        plain = importlib.import_module("fiat.builtin.report_plain")
        yield plain.PlainReporter(sys.stdout, verbose=verbose)


def is_terminal() -> bool:
    """Whether a person reads standard output (and wants colour: see https://no-color.org)."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def show_plan(plan: Plan, decisions: Sequence[Decision]) -> None:
    """What would run and what is reused."""
    print_sheet(plan_sheet(plan, decisions))


def show_explanation(plan: Plan, decisions: Sequence[Decision]) -> None:
    """Every reason of each step."""
    print_sheet(explain_sheet(plan, decisions))


def show_places(rows: Sequence[PlaceRow]) -> None:
    """One row a place."""
    print_sheet(places_sheet(rows))


def show_why(story: Why) -> None:
    """The story of a package."""
    name = f"{story.model} {story.number}" if story.number else story.model
    print_sheet(
        why_sheet(
            f"{name} at {story.served}" if story.served else name,
            story.digest,
            story.manifest,
            story.release,
            story.run,
            story.gates,
            story.deployments,
        )
    )


def show_differences(
    spec: str,
    differences: Sequence[Difference],
    changes: Mapping[str, Sequence[tuple[str, object, object]]],
    names: Mapping[str, str],
) -> None:
    """What each target has beside what git says.

    Args:
        spec: name of the spec.
        differences: one a target.
        changes: target to what its model and the wanted one differ in.
        names: digest to what people call the package.
    """
    rows = [
        (
            item.target,
            names.get(item.wanted, "is not made yet"),
            names.get(item.has or "", "nothing"),
            item.same,
            item.faults,
        )
        for item in differences
    ]
    print_sheet(differences_sheet(spec, rows, changes))


def show_runs(runs: Sequence[Run]) -> None:
    """One row a run."""
    print_sheet(runs_sheet(runs))


def show_run(run: Run, trained: Trained) -> None:
    """One run with steps, what its trainings came to, gates and metrics."""
    blocks = training_blocks(
        trained.curves,
        trained.finals,
        trained.usage,
        trained.studies,
        run.config.get("tune"),
        width=_terminal_width(),
    )
    print_sheet(run_sheet(run, blocks))


def show_comparison(comparison: Comparison) -> None:
    """Two runs side by side."""
    print_sheet(comparison_sheet(comparison))


def show_model(model: ShownModel) -> None:
    """A packaged model: where it comes from, what it takes and gives, its metrics."""
    manifest = model.manifest
    facts = [
        ("model", str(manifest.get("name", ""))),
        ("digest", model.digest),
        ("folder", str(model.path)),
        ("commit", short(str(manifest.get("commit") or "none"))),
        ("spec", short(str(manifest.get("spec_digest") or ""))),
    ]
    facts += [
        (
            f"released {moment(item.released_at)}",
            f"from {item.branch or 'no branch'} by run {item.run} {item.alias}",
        )
        for item in model.releases[:5]
    ]
    rows = tuple((Cell(name, "quiet"), Cell(value)) for name, value in facts if value)
    ports = tuple(
        (Cell(kind), Cell(str(port["name"])), Cell(str(port["dtype"])), Cell(_shape(port["shape"])))
        for kind in ("inputs", "outputs")
        for port in _dicts(model.signature.get(kind))
    )
    metrics = tuple(
        (
            Cell(str(item["name"])),
            Cell(number(_number(item.get("value")))),
            Cell(interval(_number(item.get("low")), _number(item.get("high"))), "quiet"),
        )
        for item in model.metrics
        if not item.get("slice")
    )
    tables = [Table(("", ""), rows), Table(("", "name", "type", "shape"), ports, title="signature")]
    tables.append(Table(("metric", "value", "interval"), metrics, frozenset({1}), title="metrics"))
    print_sheet(Sheet(tuple(tables)))


def show_reproduction(outcome: Reproduction) -> None:
    """Each output, then and now."""
    rows = tuple(
        (
            Cell("✓ same" if item.same else "✗ differs", "good" if item.same else "bad"),
            Cell(f"{item.step}:{item.output}"),
            Cell(short(item.then), "quiet"),
            Cell("" if item.same else short(item.now or "missing"), "bad"),
        )
        for item in outcome.outputs
    )
    said = "every output has the same bytes" if outcome.same else "outputs differ"
    notes = tuple((Cell(f"note: {note}", "doubt"),) for note in outcome.notes)
    table = Table(("", "output", "then", "now"), rows)
    print_sheet(
        Sheet((table, *notes, (Cell(f"run {outcome.run}: {said}", "good" if outcome.same else "bad"),)))
    )


def step_logs(store: Store, state_dir: Path, run: Run, step: str | None) -> Mapping[str, Path]:
    """Log file of each step; for a reused step that of the run which made its result."""
    logs: dict[str, Path] = {}
    for item in run.steps:
        if step is not None and item.name != step:
            continue
        path = state_dir / "runs" / run.id / f"{item.name}.log"
        if not path.exists() and item.state == "reused":
            result = store.results.find(item.fingerprint)
            if result is not None:
                path = state_dir / "runs" / result.run / f"{result.step}.log"
        if path.exists():
            logs[item.name] = path
    return logs


def print_sheet(sheet: Sheet) -> None:
    """Print a sheet: in colour on a terminal, plainly elsewhere."""
    if is_terminal():
        importlib.import_module("fiat.builtin.view_rich").print_sheet(sheet)
        return
    sys.stdout.write(plain_text(sheet, _terminal_width()).rstrip("\n") + "\n")


def _terminal_width() -> int:
    """Columns; 0 where standard output is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def _shape(value: object) -> str:
    sizes = value if isinstance(value, list) else []
    return "(" + ", ".join("n" if axis is None else str(axis) for axis in sizes) + ")"


def _dicts(value: object) -> list[dict[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
