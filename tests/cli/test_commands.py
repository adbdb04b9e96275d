"""The command line from outside: exit codes, JSON documents, sentences."""

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fiat.cli.main import COMMANDS

FIAT = (sys.executable, "-m", "fiat")
SPEC = """\
fiat: 1
name: chain
params: {n: 3}
steps:
  a: {run: "seq ${params.n} > {out.o}; echo counted; echo FIAT_METRIC rows=${params.n}", out: {o: file}, code: []}
  b: {run: "wc -l < {a.o} > {out.o}", out: {o: file}, code: [], with: {}}
"""


def fiat(root: Path, *words: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "FIAT_COMPUTE": "local", "COLUMNS": "100"}
    done = subprocess.run(
        [*FIAT, *words], cwd=root, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


def read(root: Path, *words: str, code: int = 0) -> dict[str, object]:
    document = json.loads(fiat(root, *words, "--json", code=code).stdout)
    assert isinstance(document, dict)
    return document


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "spec.yaml").write_text(SPEC)
    return tmp_path


@pytest.fixture
def ran(project: Path) -> Path:
    fiat(project, "run", "spec.yaml")
    return project


def test_help_lists_every_command_and_each_has_its_own(project: Path) -> None:
    text = fiat(project, "--help").stdout
    for name, entry in COMMANDS.items():
        assert name in text
        assert entry.line in text
        own = fiat(project, name, "--help").stdout
        assert own.startswith(f"Usage: fiat {name}")
        assert entry.line.split()[0] in own.split("\n\n")[1].split()[:1], name
        assert "--help" in own


@pytest.mark.parametrize("words", [("run", "spec.yaml"), ("show", "last")])
def test_a_terminal_of_another_encoding_gets_what_it_can_show(ran: Path, words: tuple[str, ...]) -> None:
    env = {**os.environ, "FIAT_COMPUTE": "local", "PYTHONIOENCODING": "ascii", "TERM": "xterm"}
    near, far = os.openpty()
    done = subprocess.run(
        [*FIAT, *words],
        cwd=ran,
        env=env,
        stdin=far,
        stdout=far,
        stderr=subprocess.PIPE,
        timeout=120,
        check=False,
    )
    os.close(far)
    text = os.read(near, 1 << 16).decode("ascii")
    os.close(near)
    assert (done.returncode, done.stderr) == (0, b"")
    assert re.search(r"\? pass.*chain", text)


def test_a_plan_runs_nothing_and_a_run_then_reuses(project: Path) -> None:
    plan = read(project, "plan", "spec.yaml")
    assert [step["action"] for step in plan["steps"]] == ["run", "wait"]
    assert not list((project / ".fiat").glob("runs/*"))
    first = read(project, "run", "spec.yaml")
    assert [step["state"] for step in first["steps"]] == ["ran", "ran"]
    assert set(first) == {"run", "verdict", "steps", "metrics", "gates", "model"}
    assert first["metrics"] == {"rows": 3.0}
    again = read(project, "run", "spec.yaml")
    assert [step["state"] for step in again["steps"]] == ["reused", "reused"]
    assert [step["action"] for step in read(project, "plan", "spec.yaml")["steps"]] == ["reuse", "reuse"]


def test_explain_names_what_an_override_changed(ran: Path) -> None:
    told = read(ran, "explain", "spec.yaml", "a", "params.n=4")
    assert any("params: n 3 -> 4" in reason for reason in told["steps"][0]["reasons"])
    assert "nothing changed" in fiat(ran, "explain", "spec.yaml").stdout
    assert "there is no step zzz" in fiat(ran, "explain", "spec.yaml", "zzz", code=2).stderr


def test_errors_of_a_spec_are_all_told_at_their_places(project: Path) -> None:
    (project / "spec.yaml").write_text(
        "fiat: 1\nname: t\nparms: {}\nsteps:\n  a: {rum: 'true', out: {o: file}}\n"
    )
    done = fiat(project, "validate", "spec.yaml", code=2)
    assert "spec.yaml:3:1: error" in done.stderr
    assert "params" in done.stderr
    assert "spec.yaml:5:7: error" in done.stderr
    document = json.loads(fiat(project, "validate", "spec.yaml", "--json", code=2).stdout)
    assert {item["line"] for item in document["error"]} >= {3, 5}


def test_a_failed_step_is_exit_code_one_with_the_document(project: Path) -> None:
    (project / "spec.yaml").write_text(
        'fiat: 1\nname: t\nsteps:\n  a: {run: "exit 3", out: {o: file}, code: []}\n'
    )
    document = read(project, "run", "spec.yaml", code=1)
    assert document["verdict"] == "error"
    assert document["steps"][0]["state"] == "failed"
    assert "code 3" in document["steps"][0]["reason"]


def test_runs_show_and_logs_tell_what_happened(ran: Path) -> None:
    runs = read(ran, "runs")["runs"]
    assert len(runs) == 1
    run_id = runs[0]["id"]
    assert run_id in fiat(ran, "runs").stdout
    shown = read(ran, "show", "last")
    assert [step["name"] for step in shown["steps"]] == ["a", "b"]
    assert shown["config"]["params"] == {"n": 3}
    assert "counted" in fiat(ran, "logs", run_id, "a").stdout
    assert "counted" in read(ran, "logs", "last")["logs"]["a"]
    fiat(ran, "run", "spec.yaml")
    assert "a | counted" in fiat(ran, "logs", "last").stdout
    assert "b" in fiat(ran, "show", run_id[:-2]).stdout


def test_unknown_runs_and_missing_stores_are_sentences(project: Path) -> None:
    assert "no store" in fiat(project, "runs", code=3).stderr
    fiat(project, "run", "spec.yaml")
    assert "nothing-like-it" in fiat(project, "show", "nothing-like-it", code=2).stderr


def test_compare_tells_parameters_and_metrics_apart(ran: Path) -> None:
    fiat(ran, "run", "spec.yaml", "params.n=5")
    ids = [run["id"] for run in read(ran, "runs")["runs"]]
    compared = read(ran, "compare", ids[1], ids[0])
    assert {row["name"]: (row["a"], row["b"]) for row in compared["parameters"]}["params.n"] == (3, 5)
    assert [(row["name"], row["a"], row["b"]) for row in compared["metrics"]] == [("rows", 3.0, 5.0)]
    assert "params.n" in fiat(ran, "compare", ids[1], ids[0]).stdout


def test_gc_says_how_much_and_keeps_what_runs_need(ran: Path) -> None:
    fiat(ran, "run", "spec.yaml", "params.n=5")
    before = read(ran, "gc", "--keep-runs", "1", "--dry-run")
    assert "removed_bytes" in before
    fiat(ran, "gc", "--keep-runs", "1")
    again = read(ran, "run", "spec.yaml", "params.n=5")
    assert [step["state"] for step in again["steps"]] == ["reused", "reused"]


def test_the_schema_of_specs_is_one_document(project: Path) -> None:
    schema = json.loads(fiat(project, "schema", "spec").stdout)
    assert "steps" in schema["properties"]
    assert "No such command" in fiat(project, "schema", "nothing", code=2).stderr


def test_doctor_looks_at_each_link(project: Path) -> None:
    names = {check["name"] for check in read(project, "doctor")["checks"]}
    assert {"python", "git", "store", "disk", "ray", "gpus", "sandbox", "exporter"} <= names


def test_init_writes_a_spec_that_validates_and_overwrites_nothing(tmp_path: Path) -> None:
    fiat(tmp_path, "init")
    fiat(tmp_path, "validate", "spec.yaml")
    assert "is there already" in fiat(tmp_path, "init", code=2).stderr


def test_a_report_is_one_page(ran: Path) -> None:
    fiat(ran, "report", "last", "-o", "page.html")
    text = (ran / "page.html").read_text()
    assert text.lower().startswith("<!doctype html>")
    assert "chain" in text
    assert 'src="http' not in text


def test_a_command_line_that_makes_no_sense_is_exit_code_two(project: Path) -> None:
    assert "No such command" in fiat(project, "frobnicate", code=2).stderr
    assert "Missing argument" in fiat(project, "run", code=2).stderr
    assert "there is no spec" in fiat(project, "validate", "absent.yaml", code=2).stderr


def test_output_cut_off_by_the_reader_is_no_error(ran: Path) -> None:
    command = " ".join([*(f"'{word}'" for word in FIAT), "schema", "spec", "|", "head", "-1"])
    done = subprocess.run(["bash", "-c", command], cwd=ran, capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr


def test_reading_commands_run_no_code_of_the_repository(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (tmp_path / "evil.py").write_text(f"open({str(canary)!r}, 'w').write('ran')\ndef go(out): pass\n")
    (tmp_path / "sitecustomize.py").write_text(f"open({str(canary)!r}, 'w').write('ran')\n")
    (tmp_path / "spec.yaml").write_text(
        f'fiat: 1\nname: t\nsteps:\n  a: {{call: "evil:go", out: {{o: file}}}}\n  b: {{run: "touch {canary}"}}\n'
    )
    for words in (("validate",), ("plan",), ("explain",)):
        fiat(tmp_path, *words, "spec.yaml")
        assert not canary.exists(), words


def test_no_compute_is_touched_when_nothing_changed(ran: Path) -> None:
    again = read(ran, "run", "spec.yaml", "--compute", "there-is-no-such-thing")
    assert {step["state"] for step in again["steps"]} == {"reused"}
    assert (
        "there-is-no-such-thing"
        in fiat(ran, "run", "spec.yaml", "params.n=9", "--compute", "there-is-no-such-thing", code=3).stderr
    )


def test_what_is_missing_is_found_before_anything_starts(tmp_path: Path) -> None:
    marker = tmp_path / "started"
    (tmp_path / "spec.yaml").write_text(
        f'fiat: 1\nname: t\nsteps:\n  a: {{run: "touch {marker}; touch {{out.o}}", out: {{o: file}}, code: []}}\n'
        '  b: {call: "absent.module:go", inputs: [a.o]}\n'
    )
    assert "absent.module" in fiat(tmp_path, "run", "spec.yaml", code=2).stderr
    assert not marker.exists()


def test_a_followed_log_ends_with_its_run(project: Path) -> None:
    (project / "spec.yaml").write_text(
        'fiat: 1\nname: t\nsteps:\n  a: {run: "for i in 1 2 3 4; do echo line $i; sleep 0.5; done; touch {out.o}",'
        " out: {o: file}, code: []}\n"
    )
    env = {**os.environ, "FIAT_COMPUTE": "local"}
    run = subprocess.Popen([*FIAT, "run", "spec.yaml"], cwd=project, env=env, stdout=subprocess.DEVNULL)
    try:
        while not list((project / ".fiat" / "runs").glob("*/a.log")):
            assert run.poll() is None
        done = fiat(project, "logs", "last", "-f")
    finally:
        assert run.wait(timeout=60) == 0
    assert [line for line in done.stdout.splitlines() if "line" in line] == [
        f"a | line {i}" for i in (1, 2, 3, 4)
    ]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps memory in its own way")
@pytest.mark.parametrize(("own", "kept"), [("", True), ("env: {MALLOC_TRIM_THRESHOLD_: '0'}", False)])
def test_a_step_keeps_the_memory_of_a_batch_for_the_next_unless_told_otherwise(
    tmp_path: Path, own: str, kept: bool
) -> None:
    (tmp_path / "batches.py").write_text(
        "import resource\n"
        "def go():\n"
        "    for step in range(50):\n"
        "        batch = [b'x' * (3 << 20) for _ in range(10)]\n"
        "        del batch\n"
        "    print('got', resource.getrusage(resource.RUSAGE_SELF).ru_minflt * resource.getpagesize() >> 20, 'MiB')\n"
    )
    (tmp_path / "spec.yaml").write_text(f"fiat: 1\nname: t\nsteps:\n  a: {{call: 'batches:go', {own}}}\n")
    fiat(tmp_path, "run", "spec.yaml")
    said = re.search(r"got (\d+) MiB", fiat(tmp_path, "logs", "last").stdout)
    assert said
    n_batches = int(said[1]) / 30
    assert n_batches < 10 if kept else n_batches > 25, n_batches
