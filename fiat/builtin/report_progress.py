"""What is known of the steps of a run while it goes on; no drawing. Shared by the reporters."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from fiat.builtin.view_text import metric_text, output_line
from fiat.journal import read_metric
from fiat.plan.model import Plan
from fiat.run.model import Metric, StepResult

TAIL_LINES = 20
MOST_METRICS = 6


@dataclass
class StepProgress:
    """One step.

    Attributes:
        result: as last reported, None while it waits.
        tail: its last lines of output, without metrics.
        metrics: newest value by name.
        at: x axis of the newest metric.
        began_s: when its attempt began, on the reporter's clock.
        said_at_s: when its metrics were last shown.
    """

    result: StepResult | None = None
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    metrics: dict[str, float] = field(default_factory=dict)
    at: int | None = None
    began_s: float = 0.0
    said_at_s: float = 0.0

    @property
    def state(self) -> str:
        """The step's state, `waiting` before anything is known."""
        return self.result.state if self.result else "waiting"

    def numbers(self) -> str:
        """The newest metrics on one line, at most MOST_METRICS; empty when there are none."""
        return " ".join(metric_text(Metric(*item)) for item in list(self.metrics.items())[-MOST_METRICS:])


class Progress:
    """All steps of a run, in plan order.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.steps: dict[str, StepProgress] = {}

    def plan(self, plan: Plan) -> None:
        """Every step of the plan waits."""
        self.steps = {step.name: StepProgress() for step in plan.steps}

    def step(self, result: StepResult) -> StepProgress:
        """Take over a new state; another attempt begins with an empty tail."""
        known = self.steps.setdefault(result.name, StepProgress())
        if result.state == "running":
            now = self._clock()
            known = self.steps[result.name] = StepProgress(began_s=now, said_at_s=now)
        known.result = result
        return known

    def line(self, step: str, text: str) -> tuple[StepProgress, bool]:
        """Take over a line of output.

        Returns:
            The step, and whether the line was a metric.
        """
        known = self.steps.setdefault(step, StepProgress())
        metric = read_metric(text)
        if metric is None:
            known.tail.append(output_line(text))
            return known, False
        name, value, known.at = metric
        known.metrics.pop(name, None)
        known.metrics[name] = value
        return known, True

    def count(self, *states: str) -> int:
        """Number of steps in one of these states."""
        return sum(step.state in states for step in self.steps.values())
