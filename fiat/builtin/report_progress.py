"""What is known of the steps of a run while it goes on; no drawing. Shared by the reporters."""

import math
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from fiat.builtin.page_json import mapping, whole
from fiat.builtin.report_study import StudyProgress
from fiat.builtin.study_line import read_trial
from fiat.builtin.usage_line import read_usage
from fiat.builtin.view_spark import Course
from fiat.builtin.view_text import metric_text, output_line
from fiat.builtin.view_usage import SPECIAL, THROUGHPUT, gpu_text, pace_text
from fiat.journal import read_metric
from fiat.plan.model import Plan
from fiat.plan.training import STUDY
from fiat.run.model import Metric, StepResult

Said = Literal["metric", "trial", "usage", "note", "output"]
TAIL_LINES = 20
MOST_METRICS = 6
MOST_COURSES = 200
_OURS, _GOES_ON = "[fiat] ", "[fiat] goes on "
_BEHIND = re.compile(r"goes on behind (\d{1,9}) of (\d{1,9}) trials")


@dataclass
class StepProgress:
    """One step.

    Attributes:
        result: as last reported, None while it waits.
        tail: its last lines of output, without metrics.
        metrics: newest value by name, in the order they were first seen.
        courses: how each metric with a place on the x axis went so far, in the order they were first seen.
        at: x axis of the newest metric that has one.
        study: how its search stands, None when it is none.
        machine: memory and load of its GPUs as last seen.
        note: from what it says that it goes on.
        began_s: when its attempt began, on the reporter's clock.
        said_at_s: when its metrics were last shown.
        moved: names of metrics, the one that came last at the end.
    """

    result: StepResult | None = None
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    metrics: dict[str, float] = field(default_factory=dict)
    courses: dict[str, Course] = field(default_factory=dict)
    at: int | None = None
    study: StudyProgress | None = None
    machine: dict[str, float] = field(default_factory=dict)
    note: str = ""
    began_s: float = 0.0
    said_at_s: float = 0.0
    moved: dict[str, None] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """The step's state, `waiting` before anything is known."""
        return self.result.state if self.result else "waiting"

    @property
    def resumed(self) -> str:
        """From what it went on, once that is known; empty when it began anew."""
        told = self.result.resources.get("resumed") if self.result else ""
        return str(told or self.note)

    def numbers(self) -> str:
        """The metrics that moved last on one line, at most MOST_METRICS; empty when there are none."""
        return " ".join(metric_text(Metric(name, self.metrics[name])) for name in self._shown())

    def drawn(self) -> list[tuple[str, Course]]:
        """What of these has a course to draw."""
        courses = [(name, self.courses[name]) for name in self._shown() if name in self.courses]
        return [(name, course) for name, course in courses if course.n_values > 1]

    def pace(self) -> list[str]:
        """How fast the machine is: samples a second, memory and load of its GPUs; what is not known is left out."""
        machine = {**self.metrics, **self.machine, **(self.result.resources if self.result else {})}
        return [
            text for text in (pace_text(self.metrics.get(THROUGHPUT, math.nan)), gpu_text(machine)) if text
        ]

    def standing(self, *, drawn: bool = False) -> list[str]:
        """Where a running step is: `step 3: loss=0.2500`, and its search and pace when it has them.

        Args:
            drawn: its metrics are said beside it.
        """
        at, numbers = f"step {self.at:,}" if self.at is not None else "", "" if drawn else self.numbers()
        words = [self.study.words()] if self.study else []
        return [text for text in (*words, ": ".join(filter(None, (at, numbers))), *self.pace()) if text]

    def outcome(self) -> list[str]:
        """What a step that ran came to: its search, its numbers, its pace; empty when it said nothing."""
        words = [self.study.words()] if self.study else []
        return [text for text in (*words, self.numbers(), *self.pace()) if text]

    def take(self, name: str, value: float, at: int | None) -> None:
        """Take over a metric."""
        self.at = self.at if at is None else at
        self.metrics[name] = value
        self.moved.pop(name, None)
        self.moved[name] = None
        if at is not None and (name in self.courses or len(self.courses) < MOST_COURSES):
            self.courses.setdefault(name, Course()).add(value)

    def _shown(self) -> list[str]:
        """The MOST_METRICS that moved last and say how good the model is, in the order they were first seen."""
        last = set([name for name in list(self.moved) if name not in SPECIAL][-MOST_METRICS:])
        return [name for name in list(self.metrics) if name in last]


class Progress:
    """All steps of a run, in plan order.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._n_trials: dict[str, int] = {}
        self.steps: dict[str, StepProgress] = {}

    def plan(self, plan: Plan) -> None:
        """Every step of the plan waits."""
        self.steps = {step.name: StepProgress() for step in plan.steps}
        studies = {step.name: mapping(step.params.get(STUDY)) for step in plan.steps}
        self._n_trials = {
            name: whole(study["trials"]) for name, study in studies.items() if "trials" in study
        }

    def step(self, result: StepResult) -> StepProgress:
        """Take over a new state; another attempt begins with an empty tail."""
        known = self.steps.setdefault(result.name, StepProgress())
        if result.state == "running":
            now = self._clock()
            n_trials = self._n_trials.get(result.name)
            study = None if n_trials is None else StudyProgress(n_trials)
            known = self.steps[result.name] = StepProgress(began_s=now, said_at_s=now, study=study)
        known.result = result
        return known

    def line(self, step: str, text: str) -> tuple[StepProgress, Said]:
        """Take over a line of output.

        Returns:
            The step, and what the line was.
        """
        known = self.steps.setdefault(step, StepProgress())
        metric = read_metric(text)
        if metric is not None:
            known.take(*metric)
            return known, "metric"
        trial = read_trial(text)
        if trial is not None:
            known.study = known.study or StudyProgress(trial.of)
            known.study.take(trial)
            return known, "trial"
        usage = read_usage(text)
        if usage is not None:
            known.machine.update(usage)
            return known, "usage"
        known.tail.append(output_line(text))
        if text.startswith(_GOES_ON):
            known.note = output_line(text.removeprefix(_OURS))
            if match := _BEHIND.fullmatch(known.note):
                known.study = StudyProgress(int(match[2]), int(match[1]))
            return known, "note"
        return known, "output"

    def count(self, *states: str) -> int:
        """Number of steps in one of these states."""
        return sum(step.state in states for step in self.steps.values())
