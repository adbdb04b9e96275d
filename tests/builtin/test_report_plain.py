import io
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from page_samples import INPUTS, sample_run, step

from fiat.builtin.report_plain import PlainReporter
from fiat.builtin.report_progress import FIRST_TRIALS, LONGEST_PULSE_S, PULSE_S
from fiat.plan.model import Plan, Step
from fiat.ports.report import Line

PLAN = Plan("digits", ".", "", tuple(Step(name, "run") for name in INPUTS))


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def heard(verbose: bool = False) -> tuple[PlainReporter, io.StringIO, Clock]:
    stream, clock = io.StringIO(), Clock()
    reporter = PlainReporter(stream, verbose=verbose, clock=clock)
    reporter.planned(sample_run(), PLAN)
    return reporter, stream, clock


def test_each_event_is_one_line() -> None:
    reporter, stream, _ = heard()
    run = sample_run()
    reporter.stepped(run, step("data.scans", "reused", "nothing changed"))
    reporter.stepped(run, step("train", "running", "no result yet"))
    reporter.printed(run, Line("train", "FIAT_METRIC accuracy=0.5 step=0"))
    reporter.printed(run, Line("train", "FIAT_METRIC accuracy=0.91 step=1"))
    reporter.stepped(run, step("train", took=12.3))
    assert stream.getvalue().splitlines() == [
        "digits: 5 steps, run 20261121-061500-4f2a1c, commit 0b88f556 with uncommitted changes",
        "reuse  data.scans  nothing changed",
        "run    train       no result yet",
        "done   train       accuracy=0.9100 (12 s)",
    ]


def test_output_is_kept_for_a_failure() -> None:
    reporter, stream, _ = heard()
    run = sample_run()
    reporter.stepped(run, step("train", "running"))
    for number in range(30):
        reporter.printed(run, Line("train", f"line {number}"))
    assert "line" not in stream.getvalue()
    reporter.stepped(run, step("train", "failed", "exit code 1"))
    lines = stream.getvalue().splitlines()
    assert lines[2] == "FAIL   train       exit code 1 (2.0 s)"
    assert lines[3:] == [f"       train | line {number}" for number in range(10, 30)]


def test_another_attempt_begins_with_nothing() -> None:
    reporter, stream, _ = heard()
    run = sample_run()
    reporter.stepped(run, replace(step("train", "running"), attempt=1))
    reporter.printed(run, Line("train", "first try"))
    reporter.stepped(run, replace(step("train", "running"), attempt=2))
    reporter.printed(run, Line("train", "second try"))
    reporter.stepped(run, replace(step("train", "failed", "exit code 1"), attempt=2))
    text = stream.getvalue()
    assert "again  train" in text
    assert "first try" not in text
    assert "second try" in text
    assert "attempt 2" in text


def test_verbose_shows_every_line_as_it_comes_and_not_again() -> None:
    reporter, stream, _ = heard(verbose=True)
    run = sample_run()
    reporter.stepped(run, step("train", "running"))
    reporter.printed(run, Line("train", "epoch 1"))
    reporter.printed(run, Line("train", "FIAT_METRIC loss=1.0"))
    reporter.stepped(run, step("train", "failed", "exit code 1"))
    assert stream.getvalue().count("train | epoch 1") == 1
    assert "train | FIAT_METRIC loss=1.0" in stream.getvalue()


def test_metrics_of_a_long_step_are_told_now_and_then() -> None:
    reporter, stream, clock = heard()
    run = sample_run()
    reporter.stepped(run, step("train", "running"))
    for number in range(100):
        clock.now_s += PULSE_S / 25
        reporter.printed(run, Line("train", f"FIAT_METRIC loss={number} step={number}"))
    pulses = [line for line in stream.getvalue().splitlines() if line.startswith("...")]
    assert len(pulses) in (3, 4)
    assert pulses[0].startswith("...    train       step 2")


def test_fifty_metrics_a_step_are_a_line_now_and_then_and_not_longer_for_that() -> None:
    reporter, stream, clock = heard()
    run = sample_run()
    reporter.stepped(run, step("train", "running"))
    for at in range(800):
        clock.now_s += PULSE_S / 80
        for k in range(50):
            reporter.printed(run, Line("train", f"FIAT_METRIC layer{k}/weight_norm=0.5 step={at}"))
    pulses = [line for line in stream.getvalue().splitlines() if line.startswith("...")]
    assert len(pulses) == 10
    assert pulses[-1].endswith(" layer5/weight_norm=0.5000 and 44 more (1 m 40 s)")


def test_the_longer_a_step_takes_the_rarer_it_is_told() -> None:
    reporter, stream, clock = heard()
    run = sample_run()
    reporter.stepped(run, step("train", "running"))
    for at in range(4 * 3600):
        clock.now_s += 1.0
        reporter.printed(run, Line("train", f"FIAT_METRIC loss=0.5 step={at}"))
    pulses = [line for line in stream.getvalue().splitlines() if line.startswith("...")]
    assert 4 * 3600 / LONGEST_PULSE_S <= len(pulses) < 300
    assert pulses[0].endswith("step 9: loss=0.5000 (10 s)")


def test_pace_and_gpus_are_told_with_the_metrics() -> None:
    reporter, stream, clock = heard()
    run = sample_run()
    reporter.stepped(run, step("train", "running"))
    reporter.printed(run, Line("train", "FIAT_USAGE gpu_memory_bytes=3221225472 gpu_load_ratio=0.93"))
    reporter.printed(run, Line("train", "FIAT_METRIC samples_per_s=1234 step=3"))
    clock.now_s += PULSE_S
    reporter.printed(run, Line("train", "FIAT_METRIC loss=0.5 step=3"))
    reporter.stepped(run, step("train", took=12.3))
    assert stream.getvalue().splitlines()[2:] == [
        "...    train       step 3: loss=0.5000, 1,234 samples/s, GPU 3.0 GiB 93 % (10 s)",
        "done   train       loss=0.5000, 1,234 samples/s, GPU 3.0 GiB 93 % (12 s)",
    ]


def test_from_where_a_step_goes_on_is_told_at_once() -> None:
    reporter, stream, _ = heard()
    run = sample_run()
    reporter.stepped(run, step("train", "running"))
    reporter.printed(run, Line("train", "[fiat] goes on from checkpoint 3 (step 80)"))
    assert stream.getvalue().endswith("...    train       goes on from checkpoint 3 (step 80)\n")


def test_the_first_trials_of_a_search_are_told_and_then_some() -> None:
    reporter, stream, clock = heard()
    run = sample_run()
    reporter.stepped(run, step("train", "running"))
    for number in range(1, 1001):
        clock.now_s += 0.1
        text = f"FIAT_TRIAL number={number} of=1000 state=done value={number} best={number}"
        reporter.printed(run, Line("train", text))
    reporter.stepped(run, step("train", took=100.0))
    told = stream.getvalue().splitlines()[2:]
    assert told[0] == "...    train       1 of 1,000 trials, best 1 (trial 1) (0.1 s)"
    assert FIRST_TRIALS < len(told) < 2 * FIRST_TRIALS
    assert told[-1] == "done   train       1,000 of 1,000 trials, best 1,000 (trial 1000) (1 m 40 s)"


def test_a_search_that_goes_on_counts_what_it_has() -> None:
    reporter, stream, _ = heard()
    run = sample_run()
    reporter.stepped(run, step("train", "running"))
    reporter.printed(run, Line("train", "[fiat] goes on behind 8 of 12 trials"))
    reporter.printed(run, Line("train", "FIAT_TRIAL number=9 of=12 state=done value=0.8 best=0.9"))
    assert stream.getvalue().splitlines()[2:] == [
        "...    train       goes on behind 8 of 12 trials",
        "...    train       9 of 12 trials, best 0.9000 (0.0 s)",
    ]


def test_control_characters_of_output_and_names_do_nothing() -> None:
    reporter, stream, _ = heard(verbose=True)
    run = sample_run()
    reporter.printed(run, Line("train", "\x1b[2J\x1b]0;title\x07red\x9b31m \u202eevil\r"))
    reporter.stepped(run, step("tr\x1b[2Jain", "failed", "a\x07b\nc"))
    reporter.ended(replace(run, reason="\x1b[2J"))
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\r"} & set(stream.getvalue())
    assert "train | red<U+009B>31m <U+202E>evil" in stream.getvalue()
    assert "a␇b␊c" in stream.getvalue()


def test_the_end_says_verdict_gates_metrics_model_and_what_is_next() -> None:
    reporter, stream, _ = heard()
    reporter.ended(sample_run())
    text = stream.getvalue()
    assert "! warn  digits: gate fairness:check: the gap is 0.041\n" in text
    assert "accuracy >= 0.95  ✓ pass  0.9722 is at least 0.95\n" in text
    assert ["accuracy", "0.9722", "0.9510", "to", "0.9846", "360"] in [
        line.split() for line in text.splitlines()
    ]
    assert "model  9e107d9d372bb6826bd81d3542a419d6.dir\n" in text
    assert "next   fiat report 20261121-061500-4f2a1c\n" in text


def test_after_a_failed_step_its_log_is_next() -> None:
    reporter, stream, _ = heard()
    reporter.ended(replace(sample_run(), verdict="error", steps=(step("train", "failed"),)))
    assert stream.getvalue().endswith("next   fiat logs 20261121-061500-4f2a1c train\n")


def test_a_stream_of_another_encoding_gets_what_it_can_take() -> None:
    raw = io.BytesIO()
    reporter = PlainReporter(io.TextIOWrapper(raw, encoding="ascii"))
    reporter.planned(sample_run(), PLAN)
    reporter.ended(sample_run())
    assert b"? pass" in raw.getvalue()


def test_a_closed_pipe_does_not_stop_the_run() -> None:
    reporter, stream, _ = heard()
    stream.close()
    reporter.stepped(sample_run(), step("train"))
    reporter.ended(sample_run())
