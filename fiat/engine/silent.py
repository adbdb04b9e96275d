"""A reporter that says nothing."""

from fiat.plan.model import Plan
from fiat.ports.report import Line
from fiat.run.model import Run, StepResult


class SilentReporter:
    """For callers that read the run afterwards."""

    def planned(self, run: Run, plan: Plan) -> None:
        """Nothing."""

    def stepped(self, run: Run, result: StepResult) -> None:
        """Nothing."""

    def printed(self, run: Run, line: Line) -> None:
        """Nothing."""

    def ended(self, run: Run) -> None:
        """Nothing."""
