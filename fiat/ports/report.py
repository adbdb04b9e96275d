"""Port `report`: whoever listens to a run. Plugins: the terminal (rich or plain lines)."""

from dataclasses import dataclass
from typing import Protocol

from fiat.plan.model import Plan
from fiat.run.model import Run, StepResult


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
