"""How a run on a runner is shown here: as if it ran here, but for what only makes sense beside its store."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from fiat.builtin.report_plain import PlainReporter
from fiat.builtin.view_run import Block, gates_table, metrics_table, verdict_lines
from fiat.builtin.view_sheet import Sheet, plain_text
from fiat.builtin.view_usage import SPECIAL
from fiat.plan.model import Plan
from fiat.ports.report import Line
from fiat.run.model import Run, StepResult
from fiat.wiring.ci_reporter import JobReporter
from fiat.wiring.ci_words import harmless


@dataclass(frozen=True)
class FarReporter:
    """Shows steps and lines like a run here, and at the end no commands that need its store.

    Attributes:
        near: shows the steps.
        stream: where it writes.
    """

    near: JobReporter | PlainReporter
    stream: TextIO

    def planned(self, run: Run, plan: Plan) -> None:
        """As for a run here."""
        self.near.planned(run, plan)

    def stepped(self, run: Run, result: StepResult) -> None:
        """As for a run here."""
        self.near.stepped(run, result)

    def printed(self, run: Run, line: Line) -> None:
        """As for a run here."""
        self.near.printed(run, line)

    def ended(self, run: Run) -> None:
        """Verdict, gates and metrics; everything else is on the run's page."""
        clean: Callable[[str], str] = str
        if isinstance(self.near, JobReporter):
            self.near.close()
            clean = harmless
        blocks: list[Block] = [*verdict_lines(run)]
        if run.gates:
            blocks.append(gates_table(run.gates))
        whole = [metric for metric in run.metrics if not metric.slice and metric.name not in SPECIAL]
        if whole:
            blocks.append(metrics_table(whole))
        for line in plain_text(Sheet(tuple(blocks))).rstrip("\n").split("\n"):
            self.stream.write(clean(line) + "\n")
        self.stream.flush()
