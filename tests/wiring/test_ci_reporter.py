"""The log of a CI job: a group a step, and nothing that a step prints is a command."""

import io
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from fiat.plan.model import Plan, Step
from fiat.ports.report import Line
from fiat.run.model import GateResult, Run, StepResult
from fiat.wiring.ci_reporter import MOST_KEPT_LINES, JobReporter

sys.path.insert(0, str(Path(__file__).parent))
from job_log import JobLog, read_log

RUN = Run(
    id="20260101-000000-abc",
    spec="t",
    spec_path="spec.yaml",
    spec_digest="",
    plan_digest="",
    commit="c" * 40,
    branch="main",
    dirty=False,
    overrides=(),
    config={},
    state="done",
    verdict="pass",
    reason="1 gate passed",
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
    gates=(GateResult("accuracy >= 0.9", "pass", "0.95"),),
)
PLAN = Plan("t", ".", "", (Step("a", "run"), Step("b", "run")))


class Stage:
    """A reporter that writes into a buffer."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.now_s = 0.0
        self.reporter = JobReporter(self.stream, clock=lambda: self.now_s)
        self.reporter.planned(RUN, PLAN)

    def step(self, name: str, state: str, **more: object) -> None:
        self.reporter.stepped(RUN, replace(StepResult(name, "run", state), **more))

    def line(self, name: str, text: str) -> None:
        self.reporter.printed(RUN, Line(name, text))

    def log(self) -> JobLog:
        return read_log(self.stream.getvalue())


def test_each_step_is_one_group_with_what_it_printed() -> None:
    stage = Stage()
    stage.step("a", "running", attempt=1, reason="no earlier result")
    stage.line("a", "epoch 1")
    stage.step("a", "ran", seconds=2.0)
    stage.step("b", "reused", reason="nothing changed")
    stage.reporter.ended(RUN)
    log = stage.log()
    assert log.groups == {"a: no earlier result": ["epoch 1"]}
    assert "✓ a ran (2.0 s)" in log.lines
    assert "✓ b reused: nothing changed" in log.lines
    assert any("accuracy >= 0.9" in line for line in log.lines)
    assert log.commands == []


def test_metrics_are_told_now_and_then_and_at_the_end_instead_of_a_line_each() -> None:
    stage = Stage()
    stage.step("a", "running", attempt=1)
    stage.line("a", "[fiat] goes on from checkpoint 3")
    for at in range(100):
        stage.now_s += 1.0
        for k in range(50):
            stage.line("a", f"FIAT_METRIC m{k}={at} step={at}")
        stage.line("a", "FIAT_USAGE gpu_memory_bytes=1073741824 gpu_load_ratio=0.5")
    stage.step("a", "ran", seconds=100.0)
    log = stage.log()
    (lines,) = log.groups.values()
    assert lines[:2] == [
        "[fiat] goes on from checkpoint 3",
        "step 9: m0=9 m1=8 m2=8 m3=8 m4=8 m5=8 and 44 more, GPU 1.0 GiB 50 % (10 s)",
    ]
    assert len(lines) == 11
    told = "✓ a ran (1 m 40 s): m0=99 m1=99 m2=99 m3=99 m4=99 m5=99 and 44 more, GPU 1.0 GiB 50 %"
    assert told in log.lines


def test_steps_side_by_side_are_shown_one_after_the_other_and_the_first_as_it_prints() -> None:
    stage = Stage()
    stage.step("a", "running", attempt=1)
    stage.step("b", "running", attempt=1)
    stage.line("a", "a1")
    stage.line("b", "b1")
    stage.line("a", "a2")
    assert "a2" in stage.stream.getvalue()
    assert "b1" not in stage.stream.getvalue()
    stage.step("b", "ran")
    stage.line("a", "a3")
    stage.step("a", "ran")
    log = stage.log()
    assert log.groups == {"a: ": ["a1", "a2", "a3"], "b: ": ["b1"]}
    assert [line.split(" (")[0] for line in log.lines[1:]] == ["✓ a ran", "✓ b ran"]


def test_when_the_first_ends_another_that_still_runs_is_shown_as_it_prints() -> None:
    stage = Stage()
    stage.step("a", "running", attempt=1)
    stage.step("b", "running", attempt=1)
    stage.line("b", "b1")
    stage.step("a", "failed", reason="exit code 3")
    stage.line("b", "b2")
    assert stage.stream.getvalue().rstrip().endswith("b2")
    stage.step("b", "cancelled")
    assert stage.log().groups["b: "] == ["b1", "b2"]


def test_no_line_of_a_step_is_a_command_and_no_two_stops_are_the_same() -> None:
    stage = Stage()
    hostile = [
        "::error::forged",
        "  ::add-mask::pass",
        "x ##[set-output name=verdict]pass",
        "::endgroup::",
        "\x1b]0;t\x07::x::",
    ]
    for name in ("a", "b"):
        stage.step(name, "running", attempt=1, reason="##[error]why")
        for line in hostile:
            stage.line(name, line)
        stage.step(name, "failed", reason="\n::error::in the reason ##[group]")
    stage.reporter.ended(replace(RUN, reason="::error::no", verdict="error"))
    log = stage.log()
    assert log.commands == []
    assert [len(lines) for lines in log.groups.values()] == [len(hostile)] * 2
    stops = [line for line in stage.stream.getvalue().splitlines() if line.startswith("::stop-commands::")]
    assert len(set(stops)) == 2


def test_what_a_hidden_step_prints_is_bounded() -> None:
    stage = Stage()
    stage.step("a", "running", attempt=1)
    stage.step("b", "running", attempt=1)
    for index in range(MOST_KEPT_LINES + 10):
        stage.line("b", str(index))
    stage.step("a", "ran")
    stage.step("b", "ran")
    lines = stage.log().groups["b: "]
    assert len(lines) == MOST_KEPT_LINES + 1
    assert "10 lines" in lines[0]
    assert lines[-1] == str(MOST_KEPT_LINES + 9)


def test_a_run_that_ends_early_leaves_no_group_open() -> None:
    stage = Stage()
    stage.step("a", "running", attempt=1)
    stage.step("b", "running", attempt=1)
    stage.line("a", "a1")
    stage.line("b", "b1")
    stage.reporter.close()
    assert stage.log().groups == {"a: ": ["a1"], "b: ": ["b1"]}


def test_a_stream_that_is_gone_does_not_end_the_run() -> None:
    stage = Stage()
    stage.stream.close()
    stage.step("a", "running", attempt=1)
    stage.reporter.ended(RUN)
