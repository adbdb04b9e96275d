"""The probe on real packages in the real server, and on servers that go wrong."""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fiat.builtin.versions import STEP_VERSIONS

sys.path.insert(0, str(Path(__file__).parent))
from probe_stage import N_ROWS, Stage, bad_server

from fiat.builtin.step_probe import ProbeStep

GENEROUS = {"p99_ms": 5_000.0, "load_s": 60.0, "memory": "8GiB", "size": "1MiB"}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def left_over(folder: Path) -> list[int]:
    """Processes that still run in a folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if Path(f"/proc/{pid}/cwd").readlink().is_relative_to(folder):
                found.append(int(pid))
        except OSError:
            continue
    return found


def test_the_version_that_plans_know_is_the_steps_own() -> None:
    assert STEP_VERSIONS["probe"] == (ProbeStep.version, ProbeStep.packages)


def test_a_server_that_answers_what_was_recorded_passes_with_its_numbers(stage: Stage) -> None:
    gate, outcome = stage.probe({**GENEROUS, "clients": 2, "duration": "300ms"})
    assert gate.state == "pass", gate.reason
    assert gate.name == "probe p99 <= 5000 ms, load <= 60 s, memory <= 8GiB, size <= 1MiB"
    assert gate.key == "gates[2]"
    assert "256 rows answered " in gate.reason
    assert "requests of 1 row by 2 clients" in gate.reason
    said = {metric.name: metric.value for metric in outcome.metrics}
    assert 0 < said["probe_p50_ms"] <= said["probe_p95_ms"] <= said["probe_p99_ms"] == gate.value
    assert said["probe_size_bytes"] == (stage.package / "model.onnx").stat().st_size
    assert 20 << 20 < said["probe_memory_bytes"] < 1 << 30
    assert 0 < said["probe_load_s"] < 60
    assert said["probe_max_abs"] < 1e-5
    assert left_over(stage.folder) == []


def test_a_model_that_answers_otherwise_than_it_was_measured_is_refused(stage: Stage) -> None:
    stage.write_graph(stage.package / "model.onnx", -stage.weights)
    gate, _ = stage.probe({**GENEROUS, "duration": "100ms"})
    assert gate.state == "fail"
    assert "of 256 rows are answered with another label than was recorded" in gate.reason


def test_scores_that_differ_are_refused_though_the_labels_are_the_same(stage: Stage) -> None:
    stage.write_graph(stage.package / "model.onnx", stage.weights * np.float32(1.01))
    gate, _ = stage.probe({**GENEROUS, "duration": "100ms"})
    assert gate.state == "fail"
    assert "answers differ from the recorded predictions by 0.00" in gate.reason
    assert gate.limit == 1e-4


def test_how_far_scores_may_differ_is_up_to_the_spec(stage: Stage) -> None:
    stage.write_graph(stage.package / "model.onnx", stage.weights * np.float32(1.01))
    allowed, _ = stage.probe({"max_abs": 0.05, "duration": "100ms", "rows": 50})
    assert allowed.state == "pass", allowed.reason
    assert "requests of 50 rows" in allowed.reason


def test_every_limit_that_is_missed_is_named_with_its_number(stage: Stage) -> None:
    tight = {
        "p50_ms": 1e-6,
        "p95_ms": 5000.0,
        "load_s": 0.001,
        "memory": "1MiB",
        "size": "10B",
        "duration": "100ms",
    }
    gate, _ = stage.probe(tight, severity="warn")
    assert gate.state == "warn"
    for word in ("p50 of", "load of", "memory of", "size of"):
        assert word in gate.reason.partition("(")[0]
    assert "p95 of" not in gate.reason
    assert "is above 1 MiB" in gate.reason
    assert (gate.value is not None and gate.value > 0, gate.limit) == (True, 1e-6)


def test_a_regression_is_compared_by_its_numbers(tmp_path: Path) -> None:
    stage = Stage(tmp_path, regression=True)
    gate, _ = stage.probe({"rows": N_ROWS, "p99_ms": 5_000.0, "duration": "100ms"})
    assert gate.state == "pass", gate.reason
    assert f"{N_ROWS} rows answered" in gate.reason


def test_a_regression_whose_numbers_differ_is_refused(tmp_path: Path) -> None:
    stage = Stage(tmp_path, regression=True)
    stage.write_graph(stage.package / "model.onnx", stage.weights + np.float32(10))
    gate, _ = stage.probe({"p99_ms": 5_000.0, "duration": "100ms"})
    assert gate.state == "fail"
    assert "answers differ from the recorded predictions by" in gate.reason


def test_a_package_that_does_not_load_is_refused_with_the_servers_words(stage: Stage) -> None:
    (stage.package / "model.onnx").write_bytes(b"this is no graph")
    gate, outcome = stage.probe(GENEROUS)
    assert gate.state == "fail"
    assert gate.reason.startswith("the server can't load the model: ")
    assert "its log ends with" in gate.reason
    assert outcome.metrics == ()


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (
            "dies",
            "the server ended with exit code 1 before it was ready; its log ends with: this model is cursed",
        ),
        ("dies when asked", "the server was ended by SIGKILL while it was asked"),
        ("hangs", "the server did not answer within 0.3 s; its log ends with: loading the model"),
        ("refuses", 'the server answered a row of the data with 500: {"error": "out of order"}'),
        ("nothing", "the answers lack the output scores"),
    ],
)
def test_a_server_that_goes_wrong_is_refused_with_the_reason(stage: Stage, mode: str, said: str) -> None:
    gate, outcome = stage.probe(GENEROUS, bad_server(mode), answer_timeout_s=0.3)
    assert gate.state == "fail"
    assert said in gate.reason
    assert outcome.metrics == ()
    assert left_over(stage.folder) == []


def test_a_server_that_is_never_ready_is_not_waited_for_without_end(stage: Stage) -> None:
    started = time.monotonic()
    gate, _ = stage.probe({"load_s": 0.1}, bad_server("never ready"), load_grace_s=0.4)
    assert time.monotonic() - started < 10
    assert gate.reason.startswith("the server was not ready after 0.5 s")
    assert left_over(stage.folder) == []


def test_a_warning_is_a_warning_when_the_server_dies_too(stage: Stage) -> None:
    gate, _ = stage.probe({"load_s": 5}, bad_server("dies"), severity="warn")
    assert gate.state == "warn"


def test_what_was_measured_is_kept_in_the_steps_output(stage: Stage) -> None:
    stage.probe({**GENEROUS, "duration": "100ms"})
    (path,) = stage.folder.glob("work*/probe")
    measured = json.loads(path.read_text())["measured"]
    assert measured["compared"] == 256
    assert measured["wrong"] == 0
