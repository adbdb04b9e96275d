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
from fiat.builtin.view_text import count, metric_text, output_line
from fiat.builtin.view_usage import SPECIAL, THROUGHPUT, gpu_text, pace_text
from fiat.journal import read_metric
from fiat.plan.model import STUDY, Plan
from fiat.run.model import Metric, StepResult

Said = Literal["metric", "trial", "usage", "note", "output"]
TAIL_LINES = 20
MOST_METRICS = 6
MOST_NAMES = 1000
MOST_COURSES = 200
PULSE_S = 10.0
LONGEST_PULSE_S = 60.0
FIRST_TRIALS = 20
_PULSES = 20
_STILL = 50
"""A metric stands still when the others moved so many times since."""
_OURS, _GOES_ON = "[fiat] ", "[fiat] goes on "
_BEHIND = re.compile(r"goes on behind (\d{1,9}) of (\d{1,9}) trials")


@dataclass
class StepProgress:
    """One step.

    Attributes:
        result: as last reported, None while it waits.
        tail: its last lines of output, without metrics.
        metrics: newest value by name, in the order they were first seen; of the first MOST_NAMES.
        courses: how each metric with a place on the x axis went so far, in the order they were first seen.
        at: x axis of the newest metric that has one.
        study: how its search stands, None when it is none.
        machine: memory and load of its GPUs as last seen.
        note: from what it says that it goes on.
        began_s: when its attempt began, on the reporter's clock.
        said_at_s: when its metrics were last shown.
        finals: names of metrics that came without a place on the x axis.
        n_moves: how often a metric moved.
        moved: name to the move at which it did so last.
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
    finals: set[str] = field(default_factory=set)
    n_moves: int = 0
    moved: dict[str, int] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """The step's state, `waiting` before anything is known."""
        return self.result.state if self.result else "waiting"

    @property
    def resumed(self) -> str:
        """From what it went on, once that is known; empty when it began anew."""
        told = self.result.resources.get("resumed") if self.result else ""
        return str(told or self.note)

    def numbers(self, *, ended: bool = False) -> str:
        """The first metrics that still move on one line, and how many more there are; empty when there are none.

        Args:
            ended: final values come first.
        """
        shown = self._shown(ended=ended)
        words = [metric_text(Metric(name, self.metrics[name])) for name in shown]
        return " ".join([*words, f"and {self.n_hidden} more"] if self.n_hidden else words)

    @property
    def n_hidden(self) -> int:
        """How many metrics there are that `numbers` does not show."""
        return max(0, sum(name not in SPECIAL for name in list(self.metrics)) - MOST_METRICS)

    def more(self) -> str:
        """`44 more metrics`; empty when all are shown."""
        return count(self.n_hidden, "more metric") if self.n_hidden else ""

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
        more = self.more() if drawn else ""
        return [text for text in (*words, ": ".join(filter(None, (at, numbers))), more, *self.pace()) if text]

    def outcome(self) -> list[str]:
        """What a step that ran came to: its search, its numbers, its pace; empty when it said nothing."""
        words = [self.study.words()] if self.study else []
        return [text for text in (*words, self.numbers(ended=True), *self.pace()) if text]

    def take(self, name: str, value: float, at: int | None) -> None:
        """Take over a metric."""
        self.at = self.at if at is None else at
        if name not in self.metrics and len(self.metrics) >= MOST_NAMES:
            return
        self.n_moves += 1
        self.moved[name] = self.n_moves
        self.metrics[name] = value
        if at is None:
            self.finals.add(name)
        elif name in self.courses or len(self.courses) < MOST_COURSES:
            self.courses.setdefault(name, Course()).add(value)

    def is_due(self, now_s: float, said: Said) -> bool:
        """Whether its numbers are told now where nothing is drawn: now and then, the rarer the longer it takes.

        Args:
            now_s: on the reporter's clock.
            said: what the newest line was.
        """
        pulse_s = min(LONGEST_PULSE_S, max(PULSE_S, (now_s - self.began_s) / _PULSES))
        first = said == "trial" and self.study is not None and self.study.n_ended <= FIRST_TRIALS
        return said in ("metric", "trial") and (first or now_s - self.said_at_s >= pulse_s)

    def _shown(self, *, ended: bool = False) -> list[str]:
        """The first MOST_METRICS that say how good the model is, in the order they were first seen.

        Those that stand still make room for others that move: a line that changes its place is not read.
        """
        names = [name for name in list(self.metrics) if name not in SPECIAL]
        oldest = self.n_moves - _STILL * len(self.metrics)
        first = sorted(names, key=lambda name: (ended and name not in self.finals, self.moved[name] < oldest))
        first = first[:MOST_METRICS]
        return first if ended else [name for name in names if name in first]


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
