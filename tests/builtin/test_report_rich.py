import io
import re
import sys
import time
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


def trained(reporter: RichReporter, n_steps: int = 40) -> None:
    """A training on its way."""
    run = sample_run()
    reporter.planned(run, PLAN)
    reporter.stepped(run, step("train", "running"))
    reporter.printed(run, Line("train", "[fiat] goes on from checkpoint 3 (step 80)"))
    for at in range(n_steps):
        reporter.printed(run, Line("train", f"FIAT_METRIC loss={1 / (at + 1)} step={at}"))
        reporter.printed(run, Line("train", f"FIAT_METRIC accuracy={at / n_steps} step={at}"))
        reporter.printed(run, Line("train", f"FIAT_METRIC samples_per_s=1234 step={at}"))
    reporter.printed(run, Line("train", "FIAT_USAGE gpu_memory_bytes=3221225472 gpu_load_ratio=0.93"))


def test_a_training_has_a_line_with_its_course_for_each_metric() -> None:
    console, _ = terminal()
    with RichReporter(console, clock=lambda: 5.0) as reporter:
        trained(reporter)
        lines = frame(reporter, 80)
    assert lines[2].split("0.0 s ")[1] == "step 39  1,234 samples/s  GPU 3.0 GiB 93 %"
    assert lines[3].split() == ["loss", "0.0250", "█▄▃▂▂▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁"]
    assert lines[4].split() == ["accuracy", "0.9750", "▁▁▁▁▂▂▂▂▃▃▃▃▄▄▄▄▅▅▅▅▆▆▆▆▇▇▇▇████"]
    assert lines[5].strip() == "goes on from checkpoint 3 (step 80)"
    assert lines[6].split() == ["·", "export", "waiting"]


def test_a_search_shows_how_far_it_is_and_its_best() -> None:
    console, _ = terminal()
    run = sample_run()
    with RichReporter(console, clock=lambda: 5.0) as reporter:
        reporter.planned(run, PLAN)
        reporter.stepped(run, step("train", "running"))
        for number, state, value in (
            (1, "done", 0.8),
            (2, "failed", "nan"),
            (3, "done", 0.9),
            (4, "stopped", 0.7),
        ):
            text = f"FIAT_TRIAL number={number} of=12 state={state} value={value} best={0.9 if number > 2 else 0.8}"
            reporter.printed(run, Line("train", text))
        lines = frame(reporter)
    assert lines[2].endswith("4 of 12 trials, best 0.9000 (trial 3), 1 failed, 1 stopped early")
    assert lines[3].split() == ["by", "trial", "0.7000", "▅█▁"]


def test_where_there_is_no_room_for_courses_the_numbers_are_on_the_line() -> None:
    console, _ = terminal()
    with RichReporter(console, clock=lambda: 5.0) as reporter:
        trained(reporter)
        narrow, low = frame(reporter, 44), frame(reporter, 100, height=7)
    assert len(narrow) == 6
    assert "step 39  loss=0" in narrow[2]
    assert "step 39  loss=0.0250 accuracy=0.9750  1,234 samples/s" in "".join(low)


def test_courses_never_make_the_table_higher_than_the_terminal() -> None:
    console, _ = terminal()
    with RichReporter(console, clock=lambda: 5.0) as reporter:
        trained(reporter)
        for height in range(10, 30):
            assert len(frame(reporter, 100, height)) <= height - 4


def test_what_ran_says_its_numbers_its_pace_and_from_where_it_went_on() -> None:
    console, _ = terminal()
    used = {
        "gpu_memory_bytes": 4 << 30,
        "gpu_load_ratio": 0.5,
        "resumed": "went on from checkpoint 3 (step 80)",
    }
    with RichReporter(console, clock=lambda: 5.0) as reporter:
        trained(reporter)
        reporter.stepped(sample_run(), replace(step("train"), resources=used))
        lines = frame(reporter)
    assert lines[2].endswith("loss=0.0250 accuracy=0.9750  1,234 samples/s  GPU 4.0 GiB 50 %")
    assert lines[3].strip() == "went on from checkpoint 3 (step 80)"


def test_hostile_names_of_metrics_do_nothing() -> None:
    console, _ = terminal()
    run = sample_run()
    with RichReporter(console, clock=lambda: 5.0) as reporter:
        reporter.planned(run, PLAN)
        reporter.stepped(run, step("train", "running"))
        for text in (
            "FIAT_METRIC a\x1b[2J=1 step=1",
            "FIAT_METRIC [red]a=1 step=1",
            "[fiat] goes on \x1b[2J\x07[bold]",
        ):
            reporter.printed(run, Line("train", text))
        text = "".join(frame(reporter))
    assert "\x1b" not in text
    assert "\x07" not in text


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


def test_the_cursor_is_never_taken_away_since_a_killed_run_could_not_give_it_back() -> None:
    console, stream = terminal()
    with RichReporter(console) as reporter:
        trained(reporter)
        assert stream.getvalue().rfind("\x1b[?25h") > stream.getvalue().rfind("\x1b[?25l")


def test_the_cursor_waits_below_the_table_where_a_key_that_is_pressed_moves_nothing() -> None:
    console, stream = terminal()
    with RichReporter(console) as reporter:
        trained(reporter)
        deadline = time.monotonic() + 20
        while "waiting" not in stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue()).endswith("\n")


def test_of_fifty_metrics_six_are_drawn_and_the_others_counted() -> None:
    console, _ = terminal()
    run = sample_run()
    with RichReporter(console, clock=lambda: 5.0) as reporter:
        reporter.planned(run, PLAN)
        reporter.stepped(run, step("train", "running"))
        for at in range(20):
            for k in range(50):
                reporter.printed(
                    run, Line("train", f"FIAT_METRIC layer{k}/attention/weight_norm={at} step={at}")
                )
        lines = frame(reporter)
    assert lines[2].endswith("step 19  44 more metrics")
    assert [line.split()[0] for line in lines[3:9]] == [f"layer{k}/attention/we…" for k in range(6)]


def test_nothing_is_drawn_where_nothing_was_planned() -> None:
    console, stream = terminal()
    with RichReporter(console):
        pass
    assert stream.getvalue() == ""
