"""The Action's description: valid by the published schema, without findings of the auditor, and in step with itself."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "action.yml"
EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")


def run(program: str, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name(program)), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def action() -> Any:
    return yaml.safe_load(ACTION.read_text("utf-8"))


def test_it_fits_the_published_schema(tmp_path: Path) -> None:
    done = run("check-jsonschema", "--builtin-schema", "vendor.github-actions", str(ACTION))
    assert done.returncode == 0, done.stdout + done.stderr
    broken = tmp_path / "action.yml"
    broken.write_text(ACTION.read_text("utf-8").replace("using: composite", "using: nothing"), "utf-8")
    assert run("check-jsonschema", "--builtin-schema", "vendor.github-actions", str(broken)).returncode


def test_the_auditor_finds_nothing_even_when_it_is_strict(tmp_path: Path) -> None:
    done = run("zizmor", "--offline", "--persona", "auditor", str(ACTION))
    assert done.returncode == 0, done.stdout + done.stderr
    broken = tmp_path / "action.yml"
    text = ACTION.read_text("utf-8").replace('"$INPUT_SPEC"', "${{ inputs.spec }}")
    broken.write_text(text, "utf-8")
    assert run("zizmor", "--offline", str(broken)).returncode


def test_scripts_take_inputs_through_the_environment_only(action: Any) -> None:
    for step in action["runs"]["steps"]:
        assert step["shell"] == "bash"
        assert not EXPRESSION.search(step["run"])
        for name in re.findall(r"\$\{?(INPUT_[A-Z_]+)", step["run"]):
            assert name in step["env"], name


def test_every_input_is_used_and_every_used_one_is_there(action: Any) -> None:
    used = {
        name for step in action["runs"]["steps"] for value in step["env"].values() for name in _inputs(value)
    }
    assert used == set(action["inputs"])
    for step in action["runs"]["steps"]:
        for name, value in step["env"].items():
            if name.startswith("INPUT_"):
                assert _inputs(value) == [name.removeprefix("INPUT_").lower().replace("_", "-")]
                assert f"${name}" in step["run"] or f"${{{name}" in step["run"], name


def _inputs(value: str) -> list[str]:
    return re.findall(r"inputs\.([\w-]+)", value)


def test_outputs_are_those_that_the_program_writes(action: Any) -> None:
    source = (ROOT / "fiat" / "wiring" / "ci.py").read_text("utf-8")
    written = re.findall(r'"([\w-]+)"', re.findall(r"OUTPUTS = \((.*?)\)", source)[0])
    assert list(action["outputs"]) == written
    for name, output in action["outputs"].items():
        assert output["value"] == f"${{{{ steps.fiat.outputs.{name} }}}}"


def test_it_uses_no_action_of_others_and_can_be_listed(action: Any) -> None:
    assert all("uses" not in step for step in action["runs"]["steps"])
    assert set(action["branding"]) == {"icon", "color"}
    assert len(action["description"]) <= 125
    assert all(item["description"] for kind in ("inputs", "outputs") for item in action[kind].values())


def test_scripts_are_sound_shell(action: Any) -> None:
    for step in action["runs"]["steps"]:
        done = subprocess.run(["bash", "-n"], input=step["run"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert step["run"].startswith("set -u")


def test_every_input_and_output_is_explained(action: Any) -> None:
    text = (ROOT / "docs" / "action.md").read_text("utf-8")
    for kind in ("inputs", "outputs"):
        for name in action[kind]:
            assert f"| `{name}` |" in text, name


def test_the_workflow_in_the_documents_is_valid_and_names_inputs_and_outputs_that_exist(
    action: Any, tmp_path: Path
) -> None:
    text = (ROOT / "docs" / "action.md").read_text("utf-8")
    whole, part = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "model.yaml"
    path.write_text(whole, "utf-8")
    done = run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    steps = [*yaml.safe_load(whole)["jobs"]["fiat"]["steps"], *yaml.safe_load(part)]
    ours = [step for step in steps if "/fiat@" in step["uses"]]
    assert len(ours) == 2
    assert all(set(step["with"]) <= set(action["inputs"]) for step in ours)
    assert set(re.findall(r"steps\.fiat\.outputs\.([\w-]+)", whole)) <= set(action["outputs"])
