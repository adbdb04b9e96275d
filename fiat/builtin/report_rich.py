"""Reporter for a terminal: the steps as a live table while they run, then the summary."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from fiat.builtin.report_progress import Progress, StepProgress
from fiat.builtin.report_rich_step import MOST_BELOW, below, doing
from fiat.builtin.view_rich import STYLES, print_sheet
from fiat.builtin.view_run import next_step, result_blocks, verdict_lines
from fiat.builtin.view_sheet import Sheet, Tone
from fiat.builtin.view_text import count, seconds, visible
from fiat.plan.model import Plan
from fiat.ports.report import Line
from fiat.run.model import Run, StepResult

_SIGNS: dict[str, tuple[str, Tone]] = {
    "ran": ("✓", "good"),
    "reused": ("=", "quiet"),
    "failed": ("✗", "bad"),
    "cancelled": ("✗", "bad"),
    "skipped": ("-", "quiet"),
    "waiting": ("·", "quiet"),
}
_SPARE_LINES = 4
_NARROW = 56
_MOST_LEFT = 40
_STATE_WIDTH = 7
_BESIDE = 5
_REFRESH_PER_S = 8


class RichReporter:
    """Redraws one table until the run ends. A context manager: leaving it gives the terminal back.

    Args:
        console: where to draw; None is standard output.
        clock: seconds that only grow.
    """

    def __init__(
        self, console: Console | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console or Console(highlight=False)
        self._clock = clock
        self._progress = Progress(clock)
        self._spinner = Spinner("dots", style="cyan")
        self._head = Text()
        self._began_s = 0.0
        self._live: Live | None = None

    def __enter__(self) -> Self:
        """Nothing is drawn before there is a plan."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop drawing and leave the table as it was."""
        self._stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The live table."""
        yield self._frame(options.max_width, max(6, console.height - _SPARE_LINES))

    def planned(self, run: Run, plan: Plan) -> None:
        """Begin to draw."""
        self._began_s = self._clock()
        self._progress.plan(plan)
        self._head = Text.assemble((visible(run.spec), "bold"), (f"  {visible(run.id)}", "dim"))
        if run.commit:
            commit = f"  {visible(run.branch)}@{visible(run.commit[:8])}{'+' if run.dirty else ''}"
            self._head.append(commit, "dim")
        if self._console.is_terminal:
            # The cursor waits on a line of its own, where a ^C that the terminal shows moves nothing.
            drawn = Group(self, Text())
            self._live = Live(drawn, console=self._console, refresh_per_second=_REFRESH_PER_S, transient=True)
            self._live.start()
            # Nobody gives the cursor back to the terminal of a run that is killed: it is never taken away.
            self._console.show_cursor(True)

    def stepped(self, run: Run, result: StepResult) -> None:
        """Take over the state; the next frame shows it."""
        self._progress.step(result)

    def printed(self, run: Run, line: Line) -> None:
        """Take over the line; the next frame shows the newest."""
        self._progress.line(line.step, line.text)

    def ended(self, run: Run) -> None:
        """The table as it ended, the last lines of what failed, and the summary."""
        self._stop()
        blocks = (*verdict_lines(run), *result_blocks(run), *next_step(run))
        self._console.print()
        print_sheet(Sheet(blocks), self._console)

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        if self._progress.steps:
            most = max(_MOST_LEFT, self._progress.count("ran", "failed", "cancelled", "running"))
            self._console.print(self._frame(self._console.width, most + 2))
            for name, step in self._progress.steps.items():
                if step.state == "failed":
                    self._console.print(_tail(name, step), soft_wrap=True)
            self._progress.steps = {}

    def _frame(self, width: int, height: int) -> RenderableType:
        steps = dict(self._progress.steps)
        name_width = min(max(12, width // 3), max((len(visible(name)) for name in steps), default=0))
        lines = {
            name: below(step, width - name_width - _STATE_WIDTH - _BESIDE)
            for name, step in steps.items()
            if step.state in ("running", "ran")
        }
        spare = height - 2 - len(steps)
        # Lines of a running step say more than the names of steps that wait.
        kept = min(sum(map(len, lines.values())), max(spare, min(MOST_BELOW, (height - 2) // 3)))
        shown = _chosen(steps, height - 2 - kept)
        table = Table.grid(padding=(0, 1))
        table.add_column(width=1)
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=max(12, width // 3))
        table.add_column(no_wrap=True, justify="right", min_width=_STATE_WIDTH)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        table.expand = True
        for name in shown:
            fits = lines.get(name, [])[:kept]
            kept -= len(fits)
            self._add_row(table, name, steps[name], width, alone=not fits or len(fits) < len(lines[name]))
            for line in fits:
                table.add_row("", "", "", line)
        done = self._progress.count("ran", "reused", "failed", "skipped", "cancelled")
        parts = [f"{done} of {count(len(steps), 'step')}", seconds(self._clock() - self._began_s)]
        head = Text.assemble(self._head, ("  " + ", ".join(parts), "dim"), no_wrap=True, overflow="ellipsis")
        hidden = len(steps) - len(shown)
        rest = [Text(f"  {count(hidden, 'more step')} not shown", "dim")] if hidden else []
        return Group(head, table, *rest)

    def _add_row(self, table: Table, name: str, step: StepProgress, width: int, *, alone: bool) -> None:
        result = step.result
        if result is not None and step.state == "running":
            sign: RenderableType = self._spinner
            elapsed = seconds(self._clock() - step.began_s)
            table.add_row(sign, Text(visible(name), "bold"), Text(elapsed, "cyan"), doing(step, alone=alone))
            return
        mark, tone = _SIGNS[step.state]
        took = seconds(result.seconds) if result and step.state in ("ran", "failed", "cancelled") else ""
        told = "" if result is None else visible(result.reason)
        if step.state == "ran":
            told = "  ".join(step.outcome()) or told
        quiet = step.state in ("waiting", "skipped", "reused")
        table.add_row(
            Text(mark, STYLES[tone]),
            Text(visible(name), "dim" if quiet else ""),
            Text(took or (step.state if width >= _NARROW else ""), "dim"),
            Text(told, "" if step.state == "failed" else "dim"),
        )


def _chosen(steps: dict[str, StepProgress], most: int) -> list[str]:
    """The names to draw when not all fit: what failed and runs, then what comes next, then what is done."""
    if len(steps) <= most:
        return list(steps)
    order = {"failed": 0, "cancelled": 0, "running": 0, "waiting": 1, "ran": 2}
    places = {name: place for place, name in enumerate(steps)}
    ranked = sorted(
        steps,
        key=lambda name: (
            order.get(steps[name].state, 3),
            places[name] if steps[name].state == "waiting" else -places[name],
        ),
    )
    return sorted(ranked[:most], key=places.__getitem__)


def _tail(name: str, step: StepProgress) -> Text:
    lines = [Text.assemble((f"{visible(name)} | ", "dim"), line) for line in step.tail]
    return Text("\n").join([Text(), *lines]) if lines else Text()
