"""`fiat ci` in a job that the test plays: event, files for outputs and summary, and the forge's API over real HTTP."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "wiring"))
sys.path.insert(0, str(Path(__file__).parents[1] / "builtin"))
from forge_stage import FORBIDDEN, UNAVAILABLE, ForgeStage, busy, forge_stage
from job_log import JobLog, read_log

SPEC = """\
fiat: 1
name: chain
params: {n: 3}
env: {secrets: [HUB_TOKEN]}
steps:
  count: {run: "seq ${params.n} > {out.o}; echo counted; echo FIAT_METRIC rows=${params.n}", out: {o: file}, code: []}
  use: {run: "wc -l < {count.o} > {out.o}; echo got $HUB_TOKEN", out: {o: file}, code: [], secrets: [HUB_TOKEN]}
"""
SECRET = "hub-secret-of-some-length"
OUTPUT = re.compile(r"^([\w-]+)<<(fiat-[0-9a-f]{32})\n(.*?)\n\2$", re.MULTILINE | re.DOTALL)


@dataclass
class JobStage:
    """A checkout on `main` with one commit, and the job around it."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "repo").mkdir(parents=True)
        self.write("spec.yaml", SPEC)
        self.write(".gitignore", ".fiat/\n")
        self.git("init", "-q", "-b", "main")
        self.commit()

    def write(self, name: str, text: str) -> None:
        (self.folder / "repo" / name).write_text(text, "utf-8")

    def git(self, *words: str) -> str:
        command = ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", *words]
        done = subprocess.run(command, cwd=self.folder / "repo", capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "x")
        return self.git("rev-parse", "HEAD")

    def pull_request(self, *, fork: bool = False) -> None:
        """The next call is in a job of pull request 5, on a detached merge commit as `actions/checkout` leaves it."""
        self.git("checkout", "-q", "--detach")
        head = {"sha": "b" * 40, "repo": {"id": 8 if fork else 4711}}
        self.env["GITHUB_EVENT_NAME"] = "pull_request"
        self.event = {"pull_request": {"number": 5, "head": head, "base": {"repo": {"id": 4711}}}}

    event: Any = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        (self.folder / "event.json").write_text(json.dumps(self.event), "utf-8")
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("FIAT_", "GITHUB_", "RAY_", "CI"))
        }
        return {
            **kept,
            "HUB_TOKEN": SECRET,
            "FIAT_COMPUTE": "local",
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": "acme/models",
            "GITHUB_SERVER_URL": "https://forge.example",
            "GITHUB_RUN_ID": "77",
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
            "GITHUB_SHA": self.git("rev-parse", "HEAD"),
            "GITHUB_WORKSPACE": str(self.folder / "repo"),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "RUNNER_TEMP": str(self.folder),
            **self.env,
        }

    def ci(self, *words: str, code: int = 0) -> "Told":
        for name in ("output", "summary"):
            (self.folder / name).write_text("")
        done = subprocess.run(
            [sys.executable, "-m", "fiat", "ci", "spec.yaml", *words],
            cwd=self.folder / "repo",
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return self.told(done.stdout, done.stderr)

    def told(self, out: str, err: str = "") -> "Told":
        outputs = {
            match[1]: match[3] for match in OUTPUT.finditer((self.folder / "output").read_text("utf-8"))
        }
        return Told(out, err, outputs, (self.folder / "summary").read_text("utf-8"))


@dataclass(frozen=True)
class Told:
    """What the job was told."""

    out: str
    err: str
    outputs: dict[str, str]
    summary: str

    @property
    def log(self) -> JobLog:
        return read_log(self.out)


@pytest.fixture
def stage(tmp_path: Path) -> JobStage:
    return JobStage(tmp_path / "job")


@pytest.fixture
def forge(stage: JobStage) -> Iterator[ForgeStage]:
    with forge_stage("github") as forge:
        stage.env |= {"GITHUB_API_URL": forge.url, "GITHUB_TOKEN": forge.world.token}
        yield forge


def test_a_push_is_run_and_the_job_is_told_everything(stage: JobStage) -> None:
    told = stage.ci()
    assert set(told.outputs) == {"verdict", "run", "metrics", "model", "model-digest", "report"}
    assert told.outputs["verdict"] == "pass"
    assert json.loads(told.outputs["metrics"]) == {"rows": 3.0}
    report = Path(told.outputs["report"])
    assert report.read_text().lower().startswith("<!doctype html>")
    groups = told.log.groups
    assert [title.partition(":")[0] for title in groups] == ["count", "use"]
    assert "counted" in next(iter(groups.values()))
    assert "chain" in told.summary
    assert "rows" in told.summary
    assert told.outputs["run"] in told.summary
    assert "https://forge.example/acme/models/actions/runs/77" in told.summary

    again = stage.ci()
    assert again.log.groups == {}
    assert "reused" in again.out
    assert again.outputs["verdict"] == "pass"


def test_secrets_are_masked_everywhere(stage: JobStage) -> None:
    told = stage.ci()
    assert ({}, SECRET) in told.log.named("add-mask")
    seen = told.out.replace(f"::add-mask::{SECRET}\n", "") + told.err + told.summary + str(told.outputs)
    assert "got ***" in seen
    assert SECRET not in seen
    assert SECRET not in Path(told.outputs["report"]).read_text()


def test_the_jobs_own_token_is_not_for_steps(stage: JobStage) -> None:
    stage.env["GITHUB_TOKEN"] = "ghs_of_the_job_itself"
    stage.write("spec.yaml", SPEC.replace("HUB_TOKEN", "GITHUB_TOKEN"))
    told = stage.ci(code=3)
    assert "GITHUB_TOKEN" in told.summary
    assert "ghs_of_the_job_itself" not in told.out + told.err + told.summary


def test_a_pull_request_is_judged_and_commented_on_in_place(stage: JobStage, forge: ForgeStage) -> None:
    stage.pull_request()
    told = stage.ci()
    assert "is only judged" in told.summary
    (body,) = forge.world.texts(5)
    assert body.startswith("<!-- fiat:")
    assert "chain" in body
    told = stage.ci("params.n=4")
    (after,) = forge.world.texts(5)
    assert after.splitlines()[0] == body.splitlines()[0]
    assert after != body
    # One text for both: what the comment says stands in the summary.
    assert after.split("\n", 1)[1].strip() in told.summary
    assert "/fiat run" not in after, "nobody listens to comments here"


def test_somebody_elses_comment_with_our_marker_is_left_alone(stage: JobStage, forge: ForgeStage) -> None:
    stage.pull_request()
    stage.ci()
    marker = forge.world.texts(5)[0].splitlines()[0]
    forge.world.comments[5] = []
    forge.world.add_comment(5, f"{marker}\nmine", user=(1, "stranger"))
    stage.ci()
    assert forge.world.texts(5)[0] == f"{marker}\nmine"
    assert len(forge.world.texts(5)) == 2


def test_a_forks_token_may_only_read_and_that_is_said(stage: JobStage, forge: ForgeStage) -> None:
    stage.pull_request(fork=True)
    forge.fail(FORBIDDEN, times=99, method="POST")
    told = stage.ci()
    assert "comes from a fork" in told.summary
    assert told.outputs["verdict"] == "pass"
    assert forge.world.texts(5) == []


def test_a_forge_that_is_down_fails_nothing(stage: JobStage, forge: ForgeStage) -> None:
    stage.pull_request()
    forge.outage = busy(3600)
    assert "No comment is written" in stage.ci().summary
    forge.heal()
    forge.fail(UNAVAILABLE, times=1)
    assert "No comment" not in stage.ci().summary
    assert len(forge.world.texts(5)) == 1


def test_no_comment_is_written_when_none_is_wanted_or_no_token_is_given(
    stage: JobStage, forge: ForgeStage
) -> None:
    stage.pull_request()
    assert "No comment" not in stage.ci("--no-comment").summary
    del stage.env["GITHUB_TOKEN"]
    assert "was given no token" in stage.ci().summary
    assert forge.requests == []


def test_gitea_takes_the_comment_as_well(stage: JobStage) -> None:
    with forge_stage("gitea") as forge:
        stage.env |= {"GITHUB_API_URL": forge.url, "GITHUB_TOKEN": forge.world.token, "GITEA_ACTIONS": "true"}
        stage.pull_request()
        stage.ci()
        stage.ci("params.n=5")
        assert len(forge.world.texts(5)) == 1


def test_faults_of_a_spec_stand_at_their_lines(stage: JobStage) -> None:
    stage.write("spec.yaml", "fiat: 1\nname: t\nparms: {}\nsteps:\n  a: {rum: 'true', out: {o: file}}\n")
    told = stage.ci(code=2)
    places = {(item["file"], item["line"], item["col"]) for item, _ in told.log.named("error")}
    assert {("spec.yaml", "3", "1"), ("spec.yaml", "5", "7")} <= places
    assert told.outputs["verdict"] == "error"
    assert "can't run" in told.summary
    assert "spec.yaml:3:1" in told.summary
    assert "spec.yaml:3:1: error" in told.err


def test_of_many_faults_ten_are_annotated_and_the_rest_is_in_the_summary(stage: JobStage) -> None:
    stage.write("spec.yaml", SPEC + "".join(f"wrong{index}: 1\n" for index in range(25)))
    told = stage.ci(code=2)
    remarks = told.log.named("error")
    assert len(remarks) == 10
    assert remarks[-1] == ({}, "16 more are in the summary of this job")
    assert all(f"wrong{index}" in told.summary for index in range(25))


def test_hostile_names_in_a_spec_make_no_commands(stage: JobStage) -> None:
    name = "x\\n::error::forged\\n##[add-path]/evil"
    stage.write("spec.yaml", f'fiat: 1\nname: t\n"{name}": 1\nsteps: {{a: {{run: "true"}}}}\n')
    told = stage.ci(code=2)
    log = read_log(told.out + _resume(told.out))
    assert [value for _, value in log.named("error") if value.startswith("forged")] == []
    assert log.named("add-path") == []


def _resume(out: str) -> str:
    """What ends the last stop, which stays on since errors are shown behind it."""
    return f"::{out.splitlines()[-1].removeprefix('::stop-commands::')}::\n"


def test_a_step_that_fails_is_an_error_at_its_section(stage: JobStage) -> None:
    stage.write("spec.yaml", SPEC.replace("echo counted", "echo no; exit 3"))
    told = stage.ci(code=1)
    ((properties, value),) = told.log.named("error")
    assert properties["title"] == "step count failed"
    assert (properties["file"], properties["line"]) == ("spec.yaml", "6")
    assert "code 3" in value
    assert told.outputs["verdict"] == "error"
    assert "code 3" in told.summary


def test_a_plan_runs_nothing(stage: JobStage) -> None:
    told = stage.ci("--mode", "plan")
    assert told.outputs["verdict"] == ""
    assert "Plan of `chain`" in told.summary
    assert "count" in told.summary
    assert told.log.groups == {}
    assert not list((stage.folder / "repo" / ".fiat").glob("runs/*/count.log"))


def test_judging_releases_nothing_on_a_push_either(stage: JobStage) -> None:
    told = stage.ci("--mode", "judge")
    assert told.outputs["verdict"] == "pass"
    assert "is only judged" not in told.summary


def test_a_privileged_event_does_not_run_code_of_a_pull_request(stage: JobStage) -> None:
    stage.env |= {"GITHUB_EVENT_NAME": "pull_request_target", "GITHUB_SHA": "0" * 40}
    told = stage.ci(code=3)
    assert "pull_request_target" in told.summary
    assert not (stage.folder / "repo" / ".fiat" / "runs").exists()


def test_outside_of_a_job_it_is_a_run_like_any_other(stage: JobStage) -> None:
    stage.env["GITHUB_ACTIONS"] = ""
    told = stage.ci()
    assert "::" not in told.out
    assert told.outputs == {}
    assert told.summary == ""
    assert "pass" in told.out


def test_a_job_that_is_cancelled_leaves_its_reason(stage: JobStage) -> None:
    stage.write("spec.yaml", SPEC.replace("echo counted", "echo begun; sleep 60"))
    for name in ("output", "summary"):
        (stage.folder / name).write_text("")
    process = subprocess.Popen(
        [sys.executable, "-m", "fiat", "ci", "spec.yaml"],
        cwd=stage.folder / "repo",
        env=stage.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    printed = ""
    while "begun" not in printed:
        printed += process.stdout.readline()
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    rest, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    told = stage.told(printed + rest, err)
    assert told.outputs["verdict"] == "error"
    assert "did not finish" in told.summary
    assert read_log(printed + rest + _resume(printed + rest)).groups


@pytest.mark.slow
def test_a_refused_model_is_told_at_its_gate_and_deploys_nothing(stage: JobStage) -> None:
    subprocess.run(
        [sys.executable, "-m", "fiat", "init", "start"], cwd=stage.folder, check=True, capture_output=True
    )
    for name in ("train.py", "leaves.csv"):
        stage.write(name, (stage.folder / "start" / name).read_text())
    spec = (stage.folder / "start" / "spec.yaml").read_text()
    stage.write("spec.yaml", re.sub(r"min: 0\.85", "min: 1.0", spec).replace("trees: 50", "trees: 1"))
    stage.commit()
    told = stage.ci(code=1)
    assert told.outputs["verdict"] == "fail"
    assert json.loads(told.outputs["metrics"])["accuracy"] < 1
    (properties, value), *_ = told.log.named("error")
    assert properties["title"].startswith("gate accuracy")
    line = int(properties["line"])
    assert "min: 1.0" in (stage.folder / "repo" / "spec.yaml").read_text().splitlines()[line - 1]
    assert "is refused" in told.summary
    assert not (stage.folder / "repo" / "models").exists()
    assert "accuracy" in value
