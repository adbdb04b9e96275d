"""The loop, with real processes: what runs, what is skipped, what is tried again, what is told."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from fiat.engine.silent import SilentReporter
from fiat.errors import EnvironmentFault, Interrupted, SpecErrors
from fiat.plan.model import Plan
from fiat.ports.report import Line
from fiat.run.model import Run, StepResult
from fiat.wiring.desk import Desk, open_desk
from fiat.wiring.settings import read_settings


class Listener(SilentReporter):
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.lines: list[str] = []

    def planned(self, run: Run, plan: Plan) -> None:
        self.heard.append("planned")

    def stepped(self, run: Run, result: StepResult) -> None:
        self.heard.append(f"{result.name} {result.state}")

    def printed(self, run: Run, line: Line) -> None:
        self.lines.append(f"{line.step}: {line.text}")

    def ended(self, run: Run) -> None:
        self.heard.append(f"ended {run.verdict}")


def desk(root: Path, steps: str, environment: Mapping[str, str] | None = None) -> Desk:
    (root / "spec.yaml").write_text(f"fiat: 1\nname: t\nenv: {{secrets: [TOKEN]}}\nsteps:\n{steps}")
    return open_desk(str(root / "spec.yaml"), [], read_settings({**os.environ, **(environment or {})}))


def go(root: Path, steps: str, environment: Mapping[str, str] | None = None) -> tuple[Run, Listener]:
    at, listener = desk(root, steps, environment), Listener()
    return at.apply(at.new_run(), listener, compute="local"), listener


def states(run: Run) -> dict[str, str]:
    return {step.name: step.state for step in run.steps}


def test_independent_steps_run_side_by_side(tmp_path: Path) -> None:
    meet = "for i in $(seq 200); do test -e {other} && exit 0; sleep 0.05; done; exit 9"
    left, right = tmp_path / "left", tmp_path / "right"
    steps = ""
    for name, own, other in (("a", left, right), ("b", right, left)):
        command = f"touch {own}; echo 1 > {{out.o}}; {meet.replace('{other}', str(other))}"
        steps += f'  {name}: {{run: "{command}", out: {{o: file}}, code: []}}\n'
    run, _ = go(tmp_path, steps)
    assert states(run) == {"a": "ran", "b": "ran"}


def test_a_failed_step_skips_what_needs_it_and_lets_the_rest_end(tmp_path: Path) -> None:
    run, listener = go(
        tmp_path,
        '  a: {run: "echo broken; exit 3", out: {o: file}, code: []}\n'
        '  b: {run: "cat {a.o} > {out.o}", out: {o: file}, code: []}\n'
        '  c: {run: "echo 1 > {out.o}", out: {o: file}, code: []}\n',
    )
    assert states(run) == {"a": "failed", "b": "skipped", "c": "ran"}
    assert run.verdict == "error"
    assert "exited with code 3" in run.reason
    assert "needs a, which failed" in next(step.reason for step in run.steps if step.name == "b")
    assert "a: broken" in listener.lines
    assert listener.heard[0] == "planned"
    assert listener.heard[-1] == "ended error"


def test_a_step_that_writes_no_output_fails_and_names_it(tmp_path: Path) -> None:
    run, _ = go(tmp_path, '  a: {run: "true", out: {rows: file}, code: []}\n')
    assert "did not write its output rows" in run.reason


def test_retries_are_taken_and_told_in_the_log(tmp_path: Path) -> None:
    counter = tmp_path / "tries"
    command = f"echo x >> {counter}; test $(wc -l < {counter}) -ge 3; echo 1 > {{out.o}}"
    run, listener = go(tmp_path, f'  a: {{run: "{command}", out: {{o: file}}, code: [], retries: 3}}\n')
    assert states(run) == {"a": "ran"}
    assert run.steps[0].attempt == 3
    assert counter.read_text() == "x\nx\nx\n"
    assert any("trying again" in line for line in listener.lines)


def test_what_an_attempt_printed_is_told_before_the_next_one_begins(tmp_path: Path) -> None:
    class InOrder(Listener):
        def printed(self, run: Run, line: Line) -> None:
            self.heard.append(line.text)

    tried = tmp_path / "tried"
    command = f"if test -e {tried}; then echo second; else touch {tried}; seq 400000; exit 3; fi"
    at, listener = desk(tmp_path, f'  a: {{run: "{command}", code: [], retries: 1}}\n'), InOrder()
    at.apply(at.new_run(), listener, compute="local")
    begun = [place for place, text in enumerate(listener.heard) if text == "a running"]
    assert len(begun) == 2
    assert listener.heard[begun[1] - 3 : begun[1] + 2] == [
        "400000",
        "[fiat] exited with code 3",
        "--- exited with code 3; trying again",
        "a running",
        "second",
    ]


def test_a_timeout_says_so(tmp_path: Path) -> None:
    started = time.monotonic()
    run, _ = go(tmp_path, '  a: {run: "sleep 60; echo 1 > {out.o}", out: {o: file}, code: [], timeout: 1s}\n')
    assert time.monotonic() - started < 30
    assert "limit of 1 s" in run.reason


def test_memory_over_the_limit_says_so(tmp_path: Path) -> None:
    (tmp_path / "eat.py").write_text("x = bytearray(400 << 20)\nimport time\ntime.sleep(30)\n")
    step = "run: python eat.py, out: {o: file}, code: [], resources: {memory: 200MiB}"
    run, _ = go(tmp_path, f"  a: {{{step}}}\n")
    assert "more than its limit of 200" in run.reason


def test_a_signal_says_so(tmp_path: Path) -> None:
    run, _ = go(tmp_path, '  a: {run: "kill -SEGV $$", out: {o: file}, code: []}\n')
    assert "SIGSEGV" in run.reason


def test_a_step_sees_declared_variables_and_nothing_of_ours(tmp_path: Path) -> None:
    run, listener = go(
        tmp_path,
        '  a: {run: "env; echo 1 > {out.o}", out: {o: file}, code: [], env: {COLOUR: blue}}\n',
        {"CANARY": "in the mine", "TOKEN": "t0ken"},
    )
    assert run.verdict == "pass"
    text = "\n".join(listener.lines)
    assert "COLOUR=blue" in text
    assert "CANARY" not in text
    assert "t0ken" not in text


def test_a_secret_reaches_only_the_step_that_names_it_and_no_fingerprint(tmp_path: Path) -> None:
    step = '  a: {run: "echo $TOKEN > {out.o}", out: {o: file}, code: [], secrets: [TOKEN]}\n'
    at = desk(tmp_path, step, {"TOKEN": "t0ken"})
    run = at.apply(at.new_run(), Listener(), compute="local")
    assert at.store.artifacts.object_path(run.steps[0].outputs["o"].digest).read_text() == "t0ken\n"
    walk = desk(tmp_path, step, {"TOKEN": "other"}).walk()
    walk.advance()
    assert walk.settled["a"].state == "reused"
    assert "t0ken" not in str(walk.decided["a"].parts)


def test_a_missing_secret_is_an_environment_fault(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="secret TOKEN"):
        go(tmp_path, '  a: {run: "echo 1 > {out.o}", out: {o: file}, code: [], secrets: [TOKEN]}\n')


def test_asking_for_more_than_there_is_starts_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "started"
    with pytest.raises(EnvironmentFault, match="gpu|GPU"):
        go(
            tmp_path,
            f'  a: {{run: "touch {marker}; echo 1 > {{out.o}}", out: {{o: file}}, code: []}}\n'
            '  b: {run: "cat {a.o} > {out.o}", out: {o: file}, code: [], resources: {gpus: 64}}\n',
        )
    assert not marker.exists()


def test_metrics_are_read_from_lines_and_from_declared_files(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"rows": 3}')
    run, _ = go(
        tmp_path,
        '  a: {run: "echo FIAT_METRIC loss=0.5; cp m.json {out.m}", out: {m: metrics}, code: [m.json]}\n',
    )
    assert run.verdict == "pass", run.reason
    assert {metric.name: metric.value for metric in run.metrics} == {"loss": 0.5, "rows": 3.0}


def test_of_what_is_logged_again_and_again_the_last_value_counts(tmp_path: Path) -> None:
    run, _ = go(tmp_path, '  a: {run: "echo FIAT_METRIC loss=0.5; echo FIAT_METRIC loss=0.25", code: []}\n')
    assert {metric.name: metric.value for metric in run.metrics} == {"loss": 0.25}


def test_a_step_that_was_stopped_says_how_long_it_ran(tmp_path: Path) -> None:
    class Stopping(Listener):
        def printed(self, run: Run, line: Line) -> None:
            raise KeyboardInterrupt

    at = desk(tmp_path, '  a: {run: "sleep 0.2; echo now; sleep 60", code: []}\n')
    run = at.new_run()
    with pytest.raises(Interrupted):
        at.apply(run, Stopping(), compute="local")
    (step,) = at.store.runs.find(run.id).steps
    assert step.state == "cancelled"
    assert step.seconds >= 0.2


def test_something_not_built_yet_is_named(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(
        "fiat: 1\nname: t\ndata: {d: {source: {path: d.csv}, label: k}}\ntrain: {call: 'a:b'}\n"
        "export: {quantize: dynamic}\n"
    )
    with pytest.raises(SpecErrors, match="not built yet") as caught:
        _ = open_desk(str(tmp_path / "spec.yaml"), [], read_settings(os.environ)).plan
    assert caught.value.errors[0].where is not None
    assert caught.value.errors[0].where.line == 5
