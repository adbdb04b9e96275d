"""The Action's steps, run as a job runs them: bash, inputs through the environment, files for outputs and summary."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))
from staged_runner import TOKEN, RunnerStage, StagedRun

from tests.e2e.runner_stage import API_TOKEN, runner_stage

ROOT = Path(__file__).parents[2]
SPEC = """\
fiat: 1
name: tiny
params: {n: 3}
steps:
  a: {run: "seq ${params.n} > {out.o}; echo counted; echo FIAT_METRIC rows=${params.n}", out: {o: file}, code: []}
"""
EXPRESSION = re.compile(r"\$\{\{ *([\w.-]+) *\}\}")
OUTPUT = re.compile(r"^([\w-]+)(?:<<(\S+)\n(.*?)\n\2|=(.*?))$", re.MULTILINE | re.DOTALL)


@dataclass
class ActionStage:
    """A job with a checkout, and the Action's files in a folder of their own, as the forge lays them out.

    Attributes:
        folder: everything of the job.
        inputs: as a workflow gives them.
        env: of the job.
        outputs: of the steps that ran, by id.
        log: standard output and error of all of them.
    """

    folder: Path
    inputs: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    log: str = ""

    def __post_init__(self) -> None:
        self.action: Any = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
        self.repo = self.folder / "repo"
        self.repo.mkdir(parents=True)
        (self.repo / "spec.yaml").write_text(SPEC)
        (self.folder / "temp").mkdir()

    def step(self, index: int) -> int:
        """Run one step; its exit code."""
        step = self.action["runs"]["steps"][index]
        files = {
            name: self.folder / f"{step['id']}-{name}" for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
        }
        for path in files.values():
            path.write_text("")
        script = self.folder / f"{step['id']}.sh"
        script.write_text(step["run"])
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("FIAT_", "GITHUB_", "RAY_", "CI"))
        }
        env = {
            **kept,
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_REPOSITORY": "acme/models",
            "GITHUB_WORKSPACE": str(self.repo),
            "GITHUB_ACTION_PATH": str(self.folder / "action"),
            "RUNNER_TEMP": str(self.folder / "temp"),
            **{name: str(path) for name, path in files.items()},
            **self.env,
            **{name: self._value(value) for name, value in step.get("env", {}).items()},
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.repo,
            env=env,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        self.log += done.stdout + done.stderr
        found = OUTPUT.finditer(files["GITHUB_OUTPUT"].read_text("utf-8"))
        self.outputs[step["id"]] = {match[1]: match[3] if match[2] else match[4] for match in found}
        return done.returncode

    def summary(self) -> str:
        return (self.folder / "fiat-GITHUB_STEP_SUMMARY").read_text("utf-8")

    def results(self) -> dict[str, str]:
        """Outputs of the Action."""
        return {name: self._value(output["value"]) for name, output in self.action["outputs"].items()}

    def _value(self, text: str) -> str:
        """A text of the description with its expressions replaced, as the forge does it."""
        return EXPRESSION.sub(lambda match: self._look(match[1]), text)

    def _look(self, name: str) -> str:
        kind, *rest = name.split(".")
        if kind == "inputs":
            return self.inputs.get(rest[0], self._value(self.action["inputs"][rest[0]].get("default", "")))
        if kind == "steps":
            return self.outputs.get(rest[0], {}).get(rest[2], "")
        assert name == "github.token", name
        return "ghs_of_the_job"


@pytest.fixture
def stage(tmp_path: Path) -> ActionStage:
    """A job whose environment with Fiat in it is that of this test: what a first call has installed."""
    stage = ActionStage(tmp_path / "job", {"spec": "spec.yaml", "compute": "local", "plugins": ""})
    stage.outputs["install"] = {"program": str(Path(sys.executable).with_name("fiat"))}
    return stage


def test_the_spec_is_run_and_its_outputs_are_the_actions(stage: ActionStage) -> None:
    assert stage.step(1) == 0, stage.log
    results = stage.results()
    assert results["verdict"] == "pass"
    assert json.loads(results["metrics"]) == {"rows": 3.0}
    assert Path(results["report"]).parent == stage.folder / "temp"
    assert results["run"] in stage.summary()
    assert (stage.repo / ".fiat").is_dir()


def test_overrides_store_and_folder_are_passed_on_as_they_are(stage: ActionStage) -> None:
    (stage.repo / "ml").mkdir()
    (stage.repo / "spec.yaml").rename(stage.repo / "ml" / "spec.yaml")
    hostile = '$(touch canary)`touch canary`"; touch canary; #'
    stage.inputs |= {
        "working-directory": "ml",
        "store": str(stage.folder / "kept store"),
        "overrides": f"params.n=7\r\n\n   \n+params.words='{hostile}'\n",
    }
    assert stage.step(1) == 0, stage.log
    assert json.loads(stage.results()["metrics"]) == {"rows": 7.0}
    assert (stage.folder / "kept store" / "store.db").is_file()
    assert not list(stage.folder.rglob("canary"))


@pytest.mark.parametrize("hostile", ["--help", "$(touch canary)", "a b; touch canary"])
def test_a_spec_that_looks_like_something_else_is_a_name(stage: ActionStage, hostile: str) -> None:
    stage.inputs["spec"] = hostile
    assert stage.step(1) == 2
    assert stage.results()["verdict"] == "error"
    assert not list(stage.folder.rglob("canary"))


def test_a_verdict_against_the_commit_fails_the_job(stage: ActionStage) -> None:
    (stage.repo / "spec.yaml").write_text(SPEC.replace("echo counted", "exit 3"))
    assert stage.step(1) == 1
    assert stage.results()["verdict"] == "error"
    assert "::error file=spec.yaml,line=5" in stage.log


def test_a_plan_and_a_wrong_mode(stage: ActionStage) -> None:
    stage.inputs["mode"] = "plan"
    assert stage.step(1) == 0, stage.log
    assert stage.results()["verdict"] == ""
    assert "Plan of" in stage.summary()
    stage.inputs["mode"] = "everything"
    assert stage.step(1) == 2


def test_with_a_runner_the_job_is_its_client(stage: ActionStage) -> None:
    runner = RunnerStage()
    try:
        runner.runs["r1"] = StagedRun("r1", "tiny", b"counted there\n", "ran", "pass")
        stage.inputs |= {"runner": runner.url, "runner-token": TOKEN, "overrides": "params.n=4"}
        stage.env["GITHUB_SHA"] = "a" * 40
        assert stage.step(1) == 0, stage.log
        (wish,) = runner.wishes.values()
        assert wish == {
            "repo": "acme/models",
            "ref": "a" * 40,
            "specs": ["spec.yaml"],
            "overrides": ["params.n=4"],
        }
        assert "counted there" in stage.log
        assert stage.results()["report"] == f"{runner.url}/runs/r1"
        assert "passed" in stage.summary()
        assert not (stage.repo / ".fiat").exists()
        stage.inputs["mode"] = "plan"
        assert stage.step(1) == 2
        assert "a runner decides itself" in stage.log
    finally:
        runner.down()


@pytest.mark.slow
def test_a_job_follows_a_real_runner(stage: ActionStage) -> None:
    with runner_stage(stage.folder / "world") as world:
        commit = world.commit(
            {"spec.yaml": SPEC.replace("echo counted", "sleep 1; echo ${params.n} counted")}, "a spec"
        )
        world.push("main", tell=False)
        world.start()
        stage.env["GITHUB_SHA"] = commit
        address = f"http://127.0.0.1:{world.port}"
        stage.inputs |= {"runner": address, "runner-token": API_TOKEN, "overrides": "params.n=4"}
        assert stage.step(1) == 0, stage.log
    results = stage.results()
    assert results["verdict"] == "pass"
    assert json.loads(results["metrics"]) == {"rows": 4.0}
    assert results["report"].endswith(f"/runs/{results['run']}")
    assert "4 counted" in stage.log
    assert "passed" in stage.summary()


def test_what_can_not_be_installed_is_said(stage: ActionStage) -> None:
    stage.inputs["plugins"] = "sklearn ../../evil"
    assert stage.step(0) == 3
    assert "::error title=Fiat::the input plugins takes torch and sklearn" in stage.log
    old = stage.folder / "old"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    stage.inputs |= {"plugins": "", "python": str(old)}
    assert stage.step(0) == 3
    assert "Python 3.11 or newer" in stage.log


def export(folder: Path) -> None:
    """The files of this repository that git tracks or would track, as the forge lays out an Action."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("specs/", "tests/", "bench/", "docs/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


@pytest.mark.slow
def test_it_installs_itself_and_a_plugin_once_and_runs(tmp_path: Path) -> None:
    stage = ActionStage(tmp_path / "job", {"spec": "spec.yaml", "compute": "local", "plugins": "sklearn"})
    stage.inputs["python"] = sys.executable
    export(stage.folder / "action")
    # What Fiat requires comes from the environment of this test: nothing is fetched.
    outer = sysconfig.get_path("purelib")
    stage.env = {"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PYTHONPATH": outer}
    assert stage.step(0) == 0, stage.log
    environment = stage.folder / "temp" / "fiat-environment"
    assert stage.outputs["install"]["program"] == str(environment / "bin" / "fiat")
    site = next(environment.glob("lib/python*/site-packages"))
    assert (site / "fiat" / "__init__.py").is_file()
    assert (site / "fiat_sklearn").is_dir()

    installed = (site / "fiat" / "__init__.py").stat().st_mtime_ns
    assert stage.step(0) == 0, stage.log
    assert (site / "fiat" / "__init__.py").stat().st_mtime_ns == installed, "it was installed already"
    assert stage.log.count("::group::Install Fiat") == 1

    del stage.env["PYTHONPATH"]
    (site / "outer.pth").write_text(f"{outer}\n")
    assert stage.step(1) == 0, stage.log
    assert stage.results()["verdict"] == "pass"


def test_a_client_of_a_runner_installs_the_command_line_alone(tmp_path: Path) -> None:
    stage = ActionStage(
        tmp_path / "job", {"spec": "tiny", "runner": "http://127.0.0.1:1", "runner-token": TOKEN}
    )
    stage.inputs["constraints"] = "false"
    (stage.folder / "action").mkdir()
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copyfile(ROOT / name, stage.folder / "action" / name)
    outer = sysconfig.get_path("purelib")
    stage.env = {
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PYTHONPATH": outer,
        "PIP_FIND_LINKS": "",
    }
    calls = stage.folder / "calls"
    _record_pip(stage, calls)
    assert stage.step(0) == 0, stage.log
    asked = [line.split() for line in calls.read_text().splitlines()]
    assert asked[0][-2:] == ["typer", "markupsafe"]
    assert asked[1][-2:] == ["--no-deps", str(stage.folder / "action")]
    assert len(asked) == 2


def _record_pip(stage: ActionStage, calls: Path) -> None:
    """A Python whose environments only write down what pip is asked for."""
    python = stage.folder / "python"
    python.write_text(
        f'#!/bin/bash\nif [ "$2" = venv ]; then\n  mkdir -p "${{@: -1}}/bin"\n'
        f'  printf \'#!/bin/bash\\necho "$@" >> {calls}\\n\' > "${{@: -1}}/bin/python"\n'
        f'  chmod +x "${{@: -1}}/bin/python"; touch "${{@: -1}}/bin/fiat"\nelse\n  exec {sys.executable} "$@"\nfi\n'
    )
    python.chmod(0o755)
    stage.inputs["python"] = str(python)
