"""Reporter for pipes and CI: one line an event, no colour, nothing redrawn."""

import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

from fiat.builtin.view_run import result_blocks, verdict_lines
from fiat.builtin.view_sheet import Sheet, plain_text
from fiat.builtin.view_text import count, metric_text, number, output_line, seconds, visible
from fiat.journal import read_metric
from fiat.plan.model import Plan
from fiat.ports.report import Line
from fiat.run.model import Metric, Run, StepResult

TAIL_LINES = 20
PULSE_S = 10.0
_VERBS = {"running": "start", "ran": "done", "reused": "reuse", "skipped": "skip", "cancelled": "stop"}


@dataclass
class _Step:
    """What is remembered of a step while it runs."""

    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    metrics: dict[str, float] = field(default_factory=dict)
    at: int | None = None
    said_at_s: float = 0.0
    began_s: float = 0.0


class PlainReporter:
    """Prints a line when a step starts and ends, its newest metrics now and then, and the verdict at the end.

    A failed step's last lines are shown; with `verbose` every line is, as it comes. Control characters of the user's
    output are made visible. When the stream is gone (a closed pipe), the run goes on in silence.

    Args:
        stream: text is written here; flushed after each event.
        verbose: show every line that steps print.
        clock: seconds that only grow.
    """

    def __init__(
        self, stream: TextIO, *, verbose: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._verbose = verbose
        self._clock = clock
        self._width = 0
        self._steps: dict[str, _Step] = {}

    def planned(self, run: Run, plan: Plan) -> None:
        """Name the run and the number of its steps."""
        self._width = max((len(visible(step.name)) for step in plan.steps), default=0)
        commit = (
            f", commit {visible(run.commit[:8])}{' with changes' if run.dirty else ''}" if run.commit else ""
        )
        self._say(f"run    {visible(run.id)}  {visible(run.spec)}: {count(len(plan.steps), 'step')}{commit}")

    def stepped(self, run: Run, result: StepResult) -> None:
        """One line; for a failure its reason and the last lines it printed."""
        known = self._steps.get(result.name) or _Step()
        if result.state == "running":
            self._steps[result.name] = _Step(began_s=self._clock(), said_at_s=self._clock())
        elif result.state != "waiting":
            self._steps.pop(result.name, None)
        if result.state == "waiting":
            return
        verb = "FAIL" if result.state == "failed" else _VERBS[result.state]
        if result.state == "running" and result.attempt > 1:
            verb = "again"
        self._event(verb, result.name, _told(result, known))
        if result.state == "failed" and not self._verbose:
            for text in known.tail:
                self._say(f"       {visible(result.name)} | {text}")

    def printed(self, run: Run, line: Line) -> None:
        """Show the line, or keep it for the case of a failure; newest metrics at most every PULSE_S seconds."""
        step = self._steps.setdefault(line.step, _Step(began_s=self._clock(), said_at_s=self._clock()))
        text = output_line(line.text)
        metric = read_metric(line.text)
        if self._verbose:
            self._say(f"       {visible(line.step)} | {text}")
        if metric is None:
            step.tail.append(text)
            return
        name, step.metrics[name], step.at = metric[0], metric[1], metric[2]
        now = self._clock()
        if not self._verbose and now - step.said_at_s >= PULSE_S:
            step.said_at_s = now
            at = f"step {step.at}: " if step.at is not None else ""
            self._event("...", line.step, f"{at}{_metrics(step)} ({seconds(now - step.began_s)})")

    def ended(self, run: Run) -> None:
        """The verdict with gates, metrics and the model."""
        self._say("")
        self._say(plain_text(Sheet((*verdict_lines(run), *result_blocks(run)))).rstrip("\n"))

    def _event(self, verb: str, step: str, told: str) -> None:
        self._say(f"{verb:<6} {visible(step):<{self._width}}  {told}".rstrip())

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            encoding = self._stream.encoding or "utf-8"
            self._stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
            self._stream.flush()


def _told(result: StepResult, known: _Step) -> str:
    """What the line of an event says after the step's name."""
    reason = visible(result.reason)
    if result.state == "ran":
        metrics = _metrics(known)
        return f"{metrics} ({seconds(result.seconds)})" if metrics else f"({seconds(result.seconds)})"
    if result.state == "failed":
        attempt = f", attempt {number(result.attempt)}" if result.attempt > 1 else ""
        return f"{reason} ({seconds(result.seconds)}{attempt})"
    return reason


def _metrics(step: _Step) -> str:
    return " ".join(metric_text(Metric(name, value)) for name, value in step.metrics.items())
