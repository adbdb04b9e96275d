import io
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parent))

from page_samples import INPUTS, sample_run, step

from fiat.builtin.report_rich import RichReporter
from fiat.plan.model import Plan, Step
from fiat.ports.report import Line

PLAN = Plan("digits", ".", "", tuple(Step(name, "run") for name in INPUTS))


def terminal(width: int = 100, height: int = 30) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    console = Console(
        file=stream, force_terminal=True, width=width, height=height, color_system=None, legacy_windows=False
    )
    return console, stream


def frame(reporter: RichReporter, width: int = 100, height: int = 30) -> list[str]:
    """The live table as lines of text."""
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    with console.capture() as capture:
        console.print(reporter)
    return [line.rstrip() for line in capture.get().splitlines()]


def test_a_frame_has_a_row_for_each_step() -> None:
    console, _ = terminal()
    run = sample_run()
    with RichReporter(console, clock=lambda: 5.0) as reporter:
        reporter.planned(run, PLAN)
        reporter.stepped(run, step("data.scans", "reused", "nothing changed"))
        reporter.stepped(run, step("train", "running", "code: train.py changed"))
        lines = frame(reporter)
        assert lines[0].startswith("digits  20261121-061500-4f2a1c  improve@0b88f556+  1 of 5 steps")
        assert lines[1].split() == ["=", "data.scans", "reused", "nothing", "changed"]
        assert lines[2].endswith("code: train.py changed")
        assert [line.split()[-1] for line in lines[3:]] == ["waiting"] * 3


def test_a_running_step_shows_its_newest_metrics_and_line() -> None:
    console, _ = terminal()
    run = sample_run()
    with RichReporter(console, clock=lambda: 5.0) as reporter:
        reporter.planned(run, PLAN)
        reporter.stepped(run, step("train", "running"))
        reporter.printed(run, Line("train", "FIAT_METRIC loss=0.5 step=3"))
        reporter.printed(run, Line("train", "epoch [bold]3[/bold]\x1b[31m"))
        assert frame(reporter)[2].endswith("step 3  loss=0.5000  epoch [bold]3[/bold]")


@pytest.mark.parametrize("width", [20, 40, 60, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    console, _ = terminal(width)
    run = sample_run()
    with RichReporter(console, clock=lambda: 5.0) as reporter:
        reporter.planned(run, PLAN)
        reporter.stepped(run, step("train", "running", "a long reason " * 20))
        lines = frame(reporter, width)
        assert max(map(len, lines)) <= width
        assert len(lines) == 6


def test_of_many_steps_those_that_run_are_shown() -> None:
    console, _ = terminal(height=12)
    run = sample_run()
    names = [f"s{number:03}" for number in range(300)]
    with RichReporter(console, clock=lambda: 5.0) as reporter:
        reporter.planned(run, Plan("long", ".", "", tuple(Step(name, "run") for name in names)))
        for name in names[:150]:
            reporter.stepped(run, step(name))
        reporter.stepped(run, step(names[3], "failed", "exit code 1"))
        reporter.stepped(run, step(names[150], "running"))
        lines = frame(reporter, height=12)
    assert len(lines) <= 12
    assert "149" not in " ".join(lines[1:])
    assert any("s003" in line for line in lines)
    assert any("s150" in line for line in lines)
    assert lines[-1].strip() == "294 more steps not shown"


def test_the_end_leaves_table_failure_and_summary() -> None:
    console, stream = terminal()
    run = replace(sample_run(), verdict="error", steps=(step("train", "failed", "exit code 1"),))
    with RichReporter(console, clock=lambda: 5.0) as reporter:
        reporter.planned(run, PLAN)
        reporter.stepped(run, step("train", "running"))
        reporter.printed(run, Line("train", "the last words"))
        reporter.stepped(run, step("train", "failed", "exit code 1"))
        reporter.ended(run)
    text = stream.getvalue()
    assert "train | the last words" in text
    assert "✗ error  digits: gate" in text
    assert text.rstrip().endswith("next   fiat logs 20261121-061500-4f2a1c train")


def test_leaving_early_gives_the_cursor_back() -> None:
    console, stream = terminal()
    with RichReporter(console) as reporter:
        reporter.planned(sample_run(), PLAN)
    assert stream.getvalue().rfind("\x1b[?25h") > stream.getvalue().rfind("\x1b[?25l") >= 0


def test_nothing_is_drawn_where_nothing_was_planned() -> None:
    console, stream = terminal()
    with RichReporter(console):
        pass
    assert stream.getvalue() == ""
