"""Port `report`: whoever listens to a run (the terminal: rich or plain lines), and who puts it into words for a forge."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fiat.errors import SpecError, Where
from fiat.plan.model import Decision, Plan
from fiat.run.model import Metric, Run, StepResult
from fiat.run.queue import Change, QueuedRun
from fiat.run.report import Report


@dataclass(frozen=True)
class Line:
    """One line of a step's output, without its line end."""

    step: str
    text: str


class Reporter(Protocol):
    """Hears what a run does, from one thread, in order. Must not raise."""

    def planned(self, run: Run, plan: Plan) -> None:
        """The run is about to walk this plan."""
        ...

    def stepped(self, run: Run, result: StepResult) -> None:
        """A step changed its state."""
        ...

    def printed(self, run: Run, line: Line) -> None:
        """A step printed a line."""
        ...

    def ended(self, run: Run) -> None:
        """The run has its verdict."""
        ...


@dataclass(frozen=True)
class Told:
    """Everything that the end of a run is told with.

    Attributes:
        run: the record of the run.
        evaluation: `evaluation.json` of the exported model; empty when there is none.
        baseline: `evaluation.json` of the model it is compared with; empty when there is none.
        baseline_metrics: its metrics.
        baseline_name: which model that is, or why there is none.
        plots: `plots.json`.
        curves: step and metric with an x value, in order.
        data: dataset to what its step said about it.
        warnings: of steps.
        changed: sections of the spec that the pull request changes and that count only after the merge, each
            with its value before and after.
        refused: which rule refuses something that the spec asks for, one sentence each.
        logs: step that failed to its last lines.
        where: the place of a key of the spec, for annotations.
    """

    run: Run
    evaluation: Mapping[str, object] = field(default_factory=dict)
    baseline: Mapping[str, object] = field(default_factory=dict)
    baseline_metrics: tuple[Metric, ...] = ()
    baseline_name: str = ""
    plots: Mapping[str, object] = field(default_factory=dict)
    curves: tuple[tuple[str, Metric], ...] = ()
    data: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    changed: tuple[tuple[str, object, object], ...] = ()
    refused: tuple[str, ...] = ()
    logs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    where: Callable[[str], Where] = lambda key: Where("", key=key)


class Teller(Protocol):
    """Puts what a runner does into words for a forge. Pure: the same values give the same reports."""

    def change(self, change: Change, runs: Sequence[QueuedRun]) -> tuple[Report, ...]:
        """The check of a commit as a whole, from all runs that came of it; no runs yet means pending."""
        ...

    def waits(self, run: QueuedRun, errors: Sequence[SpecError] = ()) -> tuple[Report, ...]:
        """A run as the queue has it: held, waiting, or done without a record (superseded, cancelled, parked, no change).

        Args:
            run: the queue's row.
            errors: faults of its spec, each with its place.
        """
        ...

    def runs(
        self,
        run: QueuedRun,
        record: Run,
        plan: Plan,
        decisions: Sequence[Decision],
        expected_s: Mapping[str, Sequence[float]],
    ) -> tuple[Report, ...]:
        """A run on its way: the plan with what earlier runs of its steps took, and how far it is.

        Args:
            run: the queue's row.
            record: with the steps as they stand.
            plan: its graph.
            decisions: what was decided for each step so far.
            expected_s: step to the seconds of its last runs.
        """
        ...

    def ends(self, run: QueuedRun, told: Told) -> tuple[Report, ...]:
        """A run that has its verdict."""
        ...
