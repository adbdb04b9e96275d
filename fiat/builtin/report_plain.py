"""Reporter for pipes and CI: one line an event, no colour, nothing redrawn."""

import contextlib
import time
from collections.abc import Callable
from typing import TextIO

from fiat.builtin.report_progress import Progress, StepProgress
from fiat.builtin.view_run import next_step, result_blocks, verdict_lines
from fiat.builtin.view_sheet import Sheet, plain_text
from fiat.builtin.view_text import count, output_line, seconds, visible
from fiat.plan.model import Plan
from fiat.ports.report import Line
from fiat.run.model import Run, StepResult

_VERBS = {
    "running": "run",
    "ran": "done",
    "reused": "reuse",
    "failed": "FAIL",
    "skipped": "skip",
    "cancelled": "stop",
}


class PlainReporter:
    """Prints a line when a step starts and ends, its newest metrics now and then, and the verdict at the end.

    A failed step's last lines are shown; with `verbose` every line is, as it comes. Control characters of the user's
    output are made visible. When the stream is gone (a closed pipe), the run goes on in silence.

    Args:
        stream: text is written here, flushed after each event.
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
        self._progress = Progress(clock)

    def planned(self, run: Run, plan: Plan) -> None:
        """Name the run and the number of its steps."""
        self._progress.plan(plan)
        self._width = max((len(visible(step.name)) for step in plan.steps), default=0)
        commit = f", commit {visible(run.commit[:8])}" if run.commit else ""
        dirty = " with uncommitted changes" if run.commit and run.dirty else ""
        self._say(
            f"{visible(run.spec)}: {count(len(plan.steps), 'step')}, run {visible(run.id)}{commit}{dirty}"
        )

    def stepped(self, run: Run, result: StepResult) -> None:
        """One line; for a failure its reason and the last lines that it printed."""
        step = self._progress.step(result)
        if result.state == "waiting":
            return
        again = result.state == "running" and result.attempt > 1
        self._event("again" if again else _VERBS[result.state], result.name, _told(result, step))
        if result.state == "failed" and not self._verbose:
            for text in step.tail:
                self._output(result.name, text)

    def printed(self, run: Run, line: Line) -> None:
        """Show the line, or keep it in case the step fails; newest metrics now and then, the rarer the longer it takes."""
        step, kind = self._progress.line(line.step, line.text)
        if self._verbose:
            self._output(line.step, output_line(line.text))
            return
        if kind == "note":
            self._event("...", line.step, step.note)
        now = self._clock()
        if step.is_due(now, kind):
            step.said_at_s = now
            self._event("...", line.step, f"{', '.join(step.standing())} ({seconds(now - step.began_s)})")

    def ended(self, run: Run) -> None:
        """The verdict with gates, metrics, the model, and what to do next."""
        self._say("")
        self._say(plain_text(Sheet((*verdict_lines(run), *result_blocks(run), *next_step(run)))).rstrip("\n"))

    def _event(self, verb: str, step: str, told: str) -> None:
        self._say(f"{verb:<5}  {visible(step):<{self._width}}  {told}".rstrip())

    def _output(self, step: str, text: str) -> None:
        self._say(f"       {visible(step)} | {text}".rstrip())

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            encoding = self._stream.encoding or "utf-8"
            self._stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
            self._stream.flush()


def _told(result: StepResult, step: StepProgress) -> str:
    """What the line of an event says after the step's name."""
    reason = visible(result.reason)
    if result.state == "ran":
        return f"{', '.join(step.outcome())} ({seconds(result.seconds)})".lstrip()
    if result.state == "failed":
        attempt = f", attempt {result.attempt}" if result.attempt > 1 else ""
        return f"{reason} ({seconds(result.seconds)}{attempt})"
    return reason
