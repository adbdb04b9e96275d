"""Find the search that `fiat tune show` means, and gather what is known of it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from fiat.builtin.page_tune import render_tune
from fiat.builtin.study_importance import importance
from fiat.builtin.study_ledger import Ledger
from fiat.builtin.study_record import read_study
from fiat.builtin.study_verdict import best_document, best_of, trial_documents
from fiat.builtin.tuned_study import TunedStudy
from fiat.builtin.view_tune import tune_sheet
from fiat.errors import SpecError
from fiat.plan.training import BEST, TRIALS, TUNE
from fiat.run.model import Run
from fiat.store.resume import STUDIES
from fiat.wiring.processes import may_live
from fiat.wiring.shelf import Shelf
from fiat.wiring.trained import trained_of
from fiat.wiring.views import print_sheet

_LOOKED_AT = 1000
_HINT = "a section `tune` in a spec makes one; `fiat run` runs it"


def find_study(shelf: Shelf, name: str, here: Path) -> TunedStudy:
    """The search that a name means.

    Args:
        shelf: the store.
        name: a run's id or `last`; or a spec's file, folder or name, for its newest search; empty for the newest of all.
        here: the folder that paths are relative to.

    Raises:
        SpecError: there is none.
    """
    run = _run(shelf, name, here)
    section = _mapping(run.config.get("tune"))
    objective = _mapping(section.get("objective"))
    mode: Literal["max", "min"] = "min" if objective.get("minimize") else "max"
    # The next run writes down that a killed one has ended; until then its record says that it runs.
    goes_on = run.state == "running" and may_live(run.pid, run.host)
    going: Literal["running", "ended"] = "running" if goes_on else "ended"
    documents = trained_of(shelf.store, shelf.state_dir, run).studies.get(TUNE)
    about: Mapping[str, object] = {}
    if documents is None:
        ledger = _ledger(shelf, run)
        if ledger is None:
            raise _nothing_of(run)
        about, trials = ledger.about(), ledger.trials()
        best = best_of(trials, mode)
        shown = trial_documents(trials, "running" if goes_on else "unfinished")
        documents = {BEST: best_document(best) if best else None, TRIALS: shown}
    record = read_study(documents, section)
    return TunedStudy(
        spec=run.spec,
        run=run.id,
        state=going if about else "done",
        of=int(str(about.get("n_trials", 0))),
        record=record,
        space=_mapping(section.get("search")),
        importance=importance(record.trials),
    )


def show_study(study: TunedStudy) -> None:
    """Print it."""
    print_sheet(tune_sheet(study))


def study_page(study: TunedStudy) -> str:
    """It as one HTML page."""
    return render_tune(study, datetime.now(UTC))


def _run(shelf: Shelf, name: str, here: Path) -> Run:
    runs = shelf.store.runs
    path = _spec_path(name, here, shelf.root)
    if name and path is None and not (known := runs.newest(spec=name, limit=_LOOKED_AT)):
        return runs.find(name)
    chosen = known if name and path is None else runs.newest(limit=_LOOKED_AT)
    if path is not None:
        chosen = [run for run in chosen if run.spec_path == path]
    searched = runs.steps_of([run.id for run in chosen], TUNE)
    newest = next((run for run in chosen if run.id in searched), None)
    if newest is None:
        raise SpecError(f"{name or 'this checkout'} has no search to show", hint=_HINT)
    return runs.find(newest.id)


def _nothing_of(run: Run) -> SpecError:
    if any(step.name == TUNE for step in run.steps):
        return SpecError(
            f"the search of run {run.id} is not known by it any more",
            hint=f"a later run goes on with it, or began it anew: fiat tune show {run.spec}",
        )
    return SpecError(f"run {run.id} has no search to show", hint=_HINT)


def _spec_path(name: str, here: Path, root: Path) -> str | None:
    """The spec's file relative to the checkout, when the name is that of a file or folder of one."""
    path = here / name
    if name and (path / "spec.yaml").is_file():
        path = path / "spec.yaml"
    if not name or path.suffix not in (".yaml", ".yml"):
        return None
    full = path.resolve()
    return str(full.relative_to(root.resolve())) if full.is_relative_to(root.resolve()) else str(full)


def _ledger(shelf: Shelf, run: Run) -> Ledger | None:
    """What is remembered of the search of a run that did not end, or not yet."""
    places = [shelf.state_dir / STUDIES, *sorted(shelf.state_dir.glob(f"scopes/*/{STUDIES}"))]
    for folder in (folder for place in places for folder in _folders(place)):
        ledger = Ledger(folder)
        if str(ledger.about().get("job", "")).startswith(f"{run.id}."):
            return ledger
    return None


def _folders(parent: Path) -> Sequence[Path]:
    return [path for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
