"""What the end of a run is told with, gathered from its record, its results and its artifacts."""

from collections.abc import Callable
from pathlib import Path

from fiat.errors import Where
from fiat.ports.report import Told
from fiat.run.model import Run
from fiat.store.store import Store
from fiat.wiring.pages import gather


def told_of(
    store: Store,
    state_dir: Path,
    run: Run,
    changed: tuple[tuple[str, object, object], ...] = (),
    where: Callable[[str], Where] = lambda key: Where("", key=key),
) -> Told:
    """Gather everything that a report may show; what is gone from the store is left out.

    Args:
        store: that remembers the run.
        state_dir: folder with the logs.
        run: the record, whole.
        changed: sections of the spec that a pull request changes and that are not in force yet.
        where: the place of a key of the spec.
    """
    page = gather(store, state_dir, run)
    return Told(
        run=run,
        evaluation=page.evaluation,
        baseline_metrics=page.baseline_metrics or (),
        baseline_name=page.baseline,
        plots=page.plots,
        curves=page.curves,
        data=page.data,
        warnings=page.warnings,
        refused=tuple(
            step.reason
            for step in run.steps
            if step.kind == "deploy" and step.state in ("failed", "skipped") and "not granted" in step.reason
        ),
        logs=page.logs,
        changed=changed,
        where=where,
    )
