"""`fiat trigger` against a runner over real HTTP: submitted once, followed to the end, whatever the network does."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from fiat.run.model import StepResult

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "wiring"))
from job_log import read_log
from staged_runner import TOKEN, RunnerStage, StagedRun, wait_until

COMMAND = (sys.executable, "-m", "fiat", "trigger")
LINES = [f"epoch {index} ünï" for index in range(40)]


@pytest.fixture
def stage() -> Iterator[RunnerStage]:
    stage = RunnerStage()
    yield stage
    stage.down()


def over(verdict: str = "pass", **more: object) -> StagedRun:
    """A run that is over."""
    return StagedRun("r1", log="\n".join([*LINES, "the end"]).encode(), step="ran", verdict=verdict, **more)


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("FIAT_", "GITHUB_", "CI"))}
    return {**kept, "FIAT_RUNNER_TOKEN": TOKEN, "HOME": str(folder), **more}


def trigger(
    stage: RunnerStage, folder: Path, *words: str, code: int = 0, **env: str
) -> "subprocess.CompletedProcess[str]":
    command = [*COMMAND, "--runner", stage.url, *words]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder, **env),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    assert TOKEN not in done.stdout.replace(f"::add-mask::{TOKEN}\n", "") + done.stderr
    return done


ASK = ("--repo", "acme/models", "--commit", "main")


def shown(done: "subprocess.CompletedProcess[str]") -> list[str]:
    """The lines of the step, as they were printed."""
    return [line.partition("train | ")[2] for line in done.stdout.splitlines() if "train | " in line]


def test_what_is_asked_for_is_submitted_and_followed_to_its_verdict(
    stage: RunnerStage, tmp_path: Path
) -> None:
    stage.runs["r1"] = over(gates=[{"name": "accuracy >= 0.9", "state": "pass", "reason": "0.97"}])
    done = trigger(stage, tmp_path, "digits", "params.lr=0.1", *ASK)
    assert list(stage.wishes.values()) == [
        {"repo": "acme/models", "ref": "main", "specs": ["digits"], "overrides": ["params.lr=0.1"]}
    ]
    assert shown(done) == [*LINES, "the end"]
    assert "accuracy >= 0.9" in done.stdout
    assert f"{stage.url}/runs/r1" in done.stderr
    assert "fiat report" not in done.stdout, "the store is not here"


@pytest.mark.parametrize(("verdict", "code"), [("warn", 0), ("fail", 1), ("error", 1)])
def test_the_exit_code_is_the_verdict(stage: RunnerStage, tmp_path: Path, verdict: str, code: int) -> None:
    stage.runs["r1"] = over(verdict, reason="so it is")
    document = json.loads(trigger(stage, tmp_path, *ASK, "--json", code=code).stdout)
    assert document["verdict"] == verdict
    assert document["runs"][0]["metrics"] == {"accuracy": 0.97}


def test_what_must_be_edited_has_the_exit_code_of_that(stage: RunnerStage, tmp_path: Path) -> None:
    stage.runs["r1"] = StagedRun("r1", verdict="fail", reason="spec.yaml:3:1: no such key", attempt=0)
    trigger(stage, tmp_path, *ASK, "trian.with.lr=1", code=2)
    stage.runs.clear()
    stage.change = {"state": "done", "verdict": "fail", "reason": "there is no spec digit at 0123456789"}
    assert "there is no spec digit" in trigger(stage, tmp_path, "digit", *ASK, code=2).stderr
    stage.change["verdict"] = "error"
    trigger(stage, tmp_path, *ASK, code=1)


def test_of_several_specs_the_worst_counts_and_each_is_followed(stage: RunnerStage, tmp_path: Path) -> None:
    stage.runs = {"r1": over("fail"), "r2": StagedRun("r2", "wine", b"x\n", "ran", "pass")}
    document = json.loads(trigger(stage, tmp_path, *ASK, "--json", code=1).stdout)
    assert [(run["spec"], run["verdict"]) for run in document["runs"]] == [
        ("digits", "fail"),
        ("wine", "pass"),
    ]
    assert document["url"] == f"{stage.url}/changes/c1"


def test_a_commit_that_touches_nothing_is_done(stage: RunnerStage, tmp_path: Path) -> None:
    stage.change = {"state": "done", "verdict": "pass", "reason": "no change"}
    assert "nothing ran: no change" in trigger(stage, tmp_path, *ASK).stderr


def test_connections_that_are_cut_anywhere_lose_and_double_nothing(
    stage: RunnerStage, tmp_path: Path
) -> None:
    stage.runs["r1"] = over()
    stage.cut_after = [1, 150, 400, 7, 333]
    assert shown(trigger(stage, tmp_path, *ASK)) == [*LINES, "the end"]
    assert len(stage.connections) == 6
    assert stage.connections[-1] != ""


@pytest.mark.slow
def test_a_runner_that_is_started_anew_is_waited_for(stage: RunnerStage, tmp_path: Path) -> None:
    run = stage.runs["r1"] = StagedRun("r1", step="running", log=b"before\n")
    command = [*COMMAND, "--runner", stage.url, *ASK]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        while "before" not in process.stdout.readline():
            assert process.poll() is None
        stage.down()
        run.log += b"meanwhile\n"
        assert process.stderr is not None
        while "the runner is away" not in process.stderr.readline():
            assert process.poll() is None
        stage.up()
        run.log += b"after\n"
        run.step, run.verdict = "ran", "pass"
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert [line.partition("| ")[2] for line in out.splitlines() if "train | " in line] == [
        "meanwhile",
        "after",
    ]
    assert "the runner answers again" in err
    assert len(stage.wishes) == 1


def test_an_answer_that_gets_lost_starts_no_second_run(stage: RunnerStage, tmp_path: Path) -> None:
    stage.runs["r1"] = over()
    stage.lose_replies = 2
    trigger(stage, tmp_path, *ASK)
    assert len(stage.keys) == 3
    assert len(set(stage.keys)) == 1
    assert len(stage.keys[0]) >= 32
    trigger(stage, tmp_path, *ASK)
    assert len(set(stage.keys)) == 2, "another wish has another key"


@pytest.mark.slow
def test_a_busy_runner_is_asked_again_when_it_says(stage: RunnerStage, tmp_path: Path) -> None:
    stage.runs["r1"] = over()
    stage.refuse = [(503, {"Retry-After": "1"}), (429, {}), (502, {"Retry-After": "x"})]
    done = trigger(stage, tmp_path, *ASK)
    assert done.stderr.count("the runner is away (not now") == 3
    assert len(stage.wishes) == 1


def test_patience_ends_and_the_sentence_says_what_then(stage: RunnerStage, tmp_path: Path) -> None:
    stage.down()
    done = trigger(stage, tmp_path, *ASK, "--patience", "0", code=3)
    assert "did not answer" in done.stderr
    assert "what was submitted goes on" in done.stderr


def test_what_can_not_work_is_said_at_once(stage: RunnerStage, tmp_path: Path) -> None:
    assert "no such repository" in trigger(stage, tmp_path, "--repo", "a/b", "--commit", "x", code=2).stderr
    assert "refuses" in trigger(
        stage, tmp_path, *ASK, code=3, FIAT_RUNNER_TOKEN="wrong-but-long"
    ).stderr.replace("wrong-but-long", "")
    assert "OTHER is not set" in trigger(stage, tmp_path, *ASK, "--token-env", "OTHER", code=3).stderr
    assert "which repository" in trigger(stage, tmp_path, code=2).stderr
    assert "which commit" in trigger(stage, tmp_path, "--repo", "a/b", code=2).stderr
    assert "no such run" in trigger(stage, tmp_path, "--attach", "nope", code=2).stderr


def test_ctrl_c_detaches_and_says_how_to_attach_again(stage: RunnerStage, tmp_path: Path) -> None:
    run = stage.runs["r1"] = StagedRun("r1", step="running", log=b"one\n")
    process = subprocess.Popen(
        [*COMMAND, "--runner", stage.url, *ASK],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while "one" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"fiat trigger --runner {stage.url} --attach c1" in err
    run.log, run.step, run.verdict = b"one\ntwo\n", "ran", "pass"
    again = trigger(stage, tmp_path, "--attach", "c1")
    assert shown(again) == ["one", "two"]
    assert shown(trigger(stage, tmp_path, "--attach", "r1")) == ["one", "two"]
    assert len(stage.wishes) == 1


def test_in_a_ci_job_it_speaks_as_a_job_does(stage: RunnerStage, tmp_path: Path) -> None:
    stage.runs["r1"] = over()
    stage.runs["r1"].log = b"fine\n::error::forged\n"
    event = tmp_path / "event.json"
    event.write_text(
        json.dumps({"pull_request": {"number": 3, "head": {"sha": "f" * 40, "repo": {"id": 1}}}})
    )
    env = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_REPOSITORY": "acme/models",
        "GITHUB_SHA": "e" * 40,
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }
    log = read_log(trigger(stage, tmp_path, **env).stdout)
    assert next(iter(stage.wishes.values()))["ref"] == "f" * 40, (
        "the head, not the merge that only the forge knows"
    )
    assert log.named("add-mask") == [({}, TOKEN)]
    assert log.named("error") == []
    assert "::error::forged" in next(iter(log.groups.values()))
    outputs = (tmp_path / "output").read_text()
    for name, value in {"verdict": "pass", "run": "r1", "report": f"{stage.url}/runs/r1"}.items():
        assert f"{name}<<" in outputs
        assert f"\n{value}\n" in outputs
    assert '{"accuracy": 0.97}' in outputs
    summary = (tmp_path / "summary").read_text()
    assert "`digits` passed" in summary
    assert f"{stage.url}/runs/r1" in summary
    assert "accuracy" in summary


def test_in_a_ci_job_what_can_not_work_is_an_annotation(stage: RunnerStage, tmp_path: Path) -> None:
    env = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "acme/models", "GITHUB_SHA": "e" * 40}
    done = trigger(stage, tmp_path, code=3, **env, FIAT_RUNNER_TOKEN="")
    ((_, told),) = read_log(done.stdout).named("error")
    assert "FIAT_RUNNER_TOKEN is not set" in told
    assert "scopes read and trigger" in told
    assert "::error" not in trigger(stage, tmp_path, *ASK, code=3, FIAT_RUNNER_TOKEN="").stdout


def test_a_spec_is_named_by_its_path_in_the_checkout(stage: RunnerStage, tmp_path: Path) -> None:
    stage.runs["r1"] = over()
    folder = tmp_path / "repo" / "specs" / "digits"
    folder.mkdir(parents=True)
    (folder / "spec.yaml").write_text("fiat: 1\n")
    git = ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", "-C", str(tmp_path / "repo")]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "x"], check=True)
    head = subprocess.run(
        [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    trigger(stage, tmp_path / "repo" / "specs", "digits", "elsewhere", "--repo", "acme/models")
    wish = next(iter(stage.wishes.values()))
    assert (wish["specs"], wish["ref"]) == (["specs/digits/spec.yaml", "elsewhere"], head)


def test_only_submitting_does_not_wait(stage: RunnerStage, tmp_path: Path) -> None:
    stage.runs["r1"] = StagedRun("r1", step="running")
    document = json.loads(trigger(stage, tmp_path, *ASK, "--no-follow", "--json").stdout)
    assert document == {"change": "c1"}


def test_how_a_run_stands_is_told_once(stage: RunnerStage, tmp_path: Path) -> None:
    run = stage.runs["r1"] = StagedRun("r1")
    process = subprocess.Popen(
        [*COMMAND, "--runner", stage.url, *ASK],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: bool(stage.connections))
    run.cancel = "superseded by abc"
    run.step = "cancelled"
    run.verdict = "error"
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert err.count("waits for a worker") <= 1
    assert err.count("is asked to end: superseded by abc") == 1


def test_a_client_needs_the_command_line_alone() -> None:
    code = (
        "import sys, fiat.cli.main, fiat.cli.trigger; "
        "print(*{name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if not name.startswith("_")}
    allowed = {
        "fiat",
        "markupsafe",
        "typer",
        "click",
        "annotated_doc",
        "shellingham",
        "rich",
        "typing_extensions",
    }
    by_the_environment = {"sitecustomize", "markdown_it", "pygments", "mdurl"}
    assert loaded <= allowed | by_the_environment, loaded - allowed


def test_the_runners_own_web_server_is_understood(tmp_path: Path) -> None:
    web, server = _part_of_the_web_tests("stage"), _part_of_the_web_tests("server")
    door = web.Stage()
    steps = (
        StepResult("data.images", "data", "reused", "unchanged"),
        StepResult("train", "train", "ran", "train.py changed", 4.0, 1),
        StepResult("evaluate", "evaluate", "ran", "its input changed", 1.0, 1),
    )
    door.add("r9", change="c9", steps=steps)
    door.logs["r9", "train"] = "".join(f"{line}\n" for line in LINES).encode() + b"last"
    door.logs["r9", "evaluate"] = b"judged\n"
    listener = server.listening()
    url = server.address_of(listener)
    env = {"FIAT_RUNNER_TOKEN": web.CI, "GITHUB_ACTIONS": "true"}
    with server.served(web.app_of(door, url=url), listener):
        done = subprocess.run(
            [*COMMAND, "--runner", url, "fashion", "a.b=1", *ASK],
            cwd=tmp_path,
            env=environment(tmp_path, **env),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert door.asked == [("submit", "acme/models", "main", ("fashion",), ("a.b=1",), "ci")]
    log = read_log(done.stdout)
    assert log.groups == {
        "train: train.py changed": [*LINES, "last"],
        "evaluate: its input changed": ["judged"],
    }
    told = [line for line in log.lines if line.startswith("✓")]
    assert [line.split()[1] for line in told[:3]] == ["data.images", "train", "evaluate"]
    assert any("accuracy >= 0.9" in line for line in log.lines)


def _part_of_the_web_tests(name: str) -> ModuleType:
    """A module beside the tests of the web, under the name that they have for it."""
    known = f"web_{name}"
    if known not in sys.modules:
        path = Path(__file__).parents[1] / "web" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(known, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[known] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[known])
    return sys.modules[known]
