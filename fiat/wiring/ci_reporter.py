"""Reporter for a CI job: a folded group a step, with what the step printed kept from being taken for commands."""

import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_hex
from typing import TextIO

from fiat.builtin.report_progress import Progress
from fiat.builtin.view_run import next_step, result_blocks, verdict_lines
from fiat.builtin.view_sheet import Sheet, plain_text
from fiat.builtin.view_text import count, output_line, seconds, visible
from fiat.plan.model import Plan
from fiat.ports.report import Line
from fiat.run.model import Run, StepResult
from fiat.wiring.ci_words import command, harmless

MOST_KEPT_LINES = 5000
_SIGNS = {"ran": "✓", "reused": "✓", "failed": "✗", "cancelled": "✗", "skipped": "-"}


@dataclass
class _Group:
    """A step that runs, and what it printed while the group of another one was open."""

    title: str
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_KEPT_LINES))
    n_lines: int = 0
    ended: str = ""


class JobReporter:
    """Writes groups one after the other, since they can't be nested: the first running step is shown as it prints.

    What steps print stands between `::stop-commands::` and a random word, so that no line of it is a command. Metrics
    are told now and then in place of a line each, and at the end of their step.

    Args:
        stream: standard output of the job's step.
        redact: masks secrets in what is written.
        make_token: words that can't be guessed.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        stream: TextIO,
        redact: Callable[[str], str] = lambda text: text,
        make_token: Callable[[], str] = lambda: token_hex(16),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._redact = redact
        self._make_token = make_token
        self._clock = clock
        self._progress = Progress(clock)
        self._token = ""
        self._groups: dict[str, _Group] = {}
        self._shown = ""

    def planned(self, run: Run, plan: Plan) -> None:
        """Name the run."""
        self._progress.plan(plan)
        commit = f", commit {run.commit[:12]}" if run.commit else ""
        self._say(f"{run.spec}: {count(len(plan.steps), 'step')}, run {run.id}{commit}")

    def stepped(self, run: Run, result: StepResult) -> None:
        """Open a group when a step starts, close it and say how it went when it ends."""
        step = self._progress.step(result)
        if result.state == "waiting":
            return
        if result.state == "running":
            again = f" (attempt {result.attempt})" if result.attempt > 1 else ""
            known = self._groups.setdefault(result.name, _Group(""))
            known.title = f"{result.name}{again}: {result.reason}"
            if not self._shown:
                self._open(result.name)
            return
        took = f" ({seconds(result.seconds)})" if result.state in ("ran", "failed") else ""
        words = [result.reason, *(step.outcome() if result.state == "ran" else ())]
        reason = f": {', '.join(filter(None, words))}" if any(words) else ""
        told = f"{_SIGNS.get(result.state, '-')} {result.name} {result.state}{took}{reason}"
        if result.name not in self._groups:
            self._outside(told)
            return
        self._groups[result.name].ended = told
        self._advance()

    def printed(self, run: Run, line: Line) -> None:
        """Show the line, or keep it until the group that is open ends; of metrics the newest, now and then."""
        step, said = self._progress.line(line.step, line.text)
        text = output_line(line.text)
        if said in ("metric", "trial", "usage"):
            now_s = self._clock()
            if not step.is_due(now_s, said):
                return
            step.said_at_s = now_s
            text = f"{', '.join(step.standing())} ({seconds(now_s - step.began_s)})"
        if line.step == self._shown:
            self._write(text)
        elif line.step in self._groups:
            group = self._groups[line.step]
            group.lines.append(text)
            group.n_lines += 1
        else:  # its group is over: a log that comes from afar may come late
            self._outside(f"{line.step} | {text}")

    def ended(self, run: Run) -> None:
        """Verdict, gates, metrics, and what to do next."""
        self.close()
        blocks = (*verdict_lines(run), *result_blocks(run), *next_step(run))
        for line in plain_text(Sheet(blocks)).rstrip("\n").split("\n"):
            self._say(line)

    def close(self) -> None:
        """Close whatever group is open and show what was kept; for a run that ended early, too."""
        for name in list(self._groups):
            if name != self._shown:
                self._shut()
                self._open(name)
            self._shut()
            self._tell_end(name)

    def _advance(self) -> None:
        """Close groups of steps that ended, and open those that waited, until one that still runs is open."""
        while self._shown and self._groups[self._shown].ended:
            name = self._shown
            self._shut()
            self._tell_end(name)
            following = sorted(self._groups, key=lambda item: not self._groups[item].ended)
            if following:
                self._open(following[0])

    def _tell_end(self, name: str) -> None:
        ended = self._groups.pop(name).ended
        if ended:
            self._say(ended)

    def _outside(self, text: str) -> None:
        """A line of ours while a group may be open: inside of it, where nothing is a command."""
        if self._shown:
            self._write(visible(text))
        else:
            self._say(text)

    def _open(self, name: str) -> None:
        group = self._groups[name]
        self._write(command("group", visible(group.title)))
        self._token = self._make_token()
        self._write(command("stop-commands", self._token))
        self._shown = name
        hidden = group.n_lines - len(group.lines)
        if hidden > 0:
            self._write(f"... {count(hidden, 'line')} before these are in `fiat logs`")
        for text in group.lines:
            self._write(text)
        group.lines.clear()

    def _shut(self) -> None:
        if self._shown:
            self._write(command(self._token))
            self._write(command("endgroup"))
            self._shown = ""

    def _say(self, text: str) -> None:
        self._write(harmless(text))

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # the stream is gone: the run goes on
            encoding = self._stream.encoding or "utf-8"
            self._stream.write(self._redact(text).encode(encoding, "replace").decode(encoding) + "\n")
            self._stream.flush()
