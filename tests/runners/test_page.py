"""The page about hosting, and the one about the runner: what they name is there, and what is there they name."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from fiat.builtin import forge_github_look
from fiat.cli.main import COMMANDS
from fiat.run.view import Numbers
from fiat.spec.operator_section import operator_schema
from fiat.web.meter import Meter
from fiat.web.requests import ApproveRequest, RollbackRequest, TriggerRequest

ROOT = Path(__file__).parents[2]
HOSTING = (ROOT / "runners" / "README.md").read_text("utf-8")
RUNNER = (ROOT / "docs" / "runner.md").read_text("utf-8")
ACTION = (ROOT / "docs" / "action.md").read_text("utf-8")
CALL = re.compile(rf"fiat ({'|'.join(COMMANDS)})\b([^`\n]*)")


def test_every_file_of_the_folder_is_named_and_every_link_leads_somewhere() -> None:
    for path in (ROOT / "runners").iterdir():
        if path.is_file() and path.name != "README.md":
            assert f"({path.name})" in HOSTING, path.name
    for target in re.findall(r"\]\(([^)\s]+)\)", HOSTING):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        place = ROOT / "runners" / file
        assert place.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", place.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("text", [HOSTING, RUNNER, ACTION], ids=["hosting", "runner", "action"])
def test_commands_that_are_named_exist_with_their_options(text: str) -> None:
    wanted: dict[str, set[str]] = {}
    for command, rest in CALL.findall(text):
        wanted.setdefault(command, set()).update(re.findall(r"(?<!\S)(--[a-z-]+)", rest))
    assert wanted
    for command, options in wanted.items():
        words = [sys.executable, "-m", "fiat", command, "--help"]
        told = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout
        for option in options:
            assert re.search(rf"{option}\b", told), f"fiat {command} {option}"


def test_the_first_walk_sets_every_variable_that_its_settings_name() -> None:
    settings = (ROOT / "runners" / "local.yaml").read_text("utf-8")
    walk = HOSTING.split("## 1. ")[1].split("## 2. ")[0]
    named = set(re.findall(r"\{env: ([A-Z_]+)\}", settings))
    assert named >= {"GITHUB_TOKEN", "FIAT_TOKEN"}
    assert named == set(re.findall(r"^export ([A-Z_]+)=", walk, re.MULTILINE))


def test_the_manifest_asks_for_what_doctor_looks_for_and_for_no_more_than_is_used() -> None:
    manifest = json.loads(re.findall(r"```json\n(.*?)```", HOSTING, re.DOTALL)[0])
    rank = {"read": 0, "write": 1}
    given = manifest["default_permissions"]
    for right, level in forge_github_look._APP_NEEDS.items():
        assert rank[given[right]] >= rank[level], right
    assert set(forge_github_look._EVENTS) <= set(manifest["default_events"])
    source = (ROOT / "fiat" / "builtin" / "trigger_github.py").read_text("utf-8")
    for event in manifest["default_events"]:
        assert f'"{event}": _' in source, f"{event} is not acted on"
    assert "administration" not in given
    assert given["contents"] == "read"
    assert manifest["public"] is False


def test_every_section_of_the_settings_has_its_table() -> None:
    sections = [name for name, part in operator_schema()["$defs"].items() if "properties" in part]
    assert len(sections) > 5
    for name in ("Runner", *sections):
        assert f"<!-- settings: {name} -->" in RUNNER, name


def test_every_line_of_doctor_is_explained() -> None:
    names = set()
    for file in ("doctor_runner", "doctor_repository", "doctor_store"):
        source = (ROOT / "fiat" / "wiring" / f"{file}.py").read_text("utf-8")
        names |= set(re.findall(r'Check\(\s*"([a-z ]+)"', source))
        names |= {
            f"REPO {word}" for word in re.findall(r'f"\{(?:name|repository\.policy\.name)\} (\w+)"', source)
        }
    for path in (ROOT / "fiat" / "builtin").glob("forge_*look*.py"):
        found = re.findall(r'Finding\(\s*"(\w+)"|tried\(\s*"(\w+)"', path.read_text("utf-8"))
        names |= {f"REPO {one or other}" for one, other in found}
    assert {"settings", "sandbox", "REPO git", "REPO clock", "REPO webhook"} <= names
    table = RUNNER.split("## When something is wrong")[1]
    for name in names - {"REPO permission"}:
        assert f"| `{name}` |" in table, name


def test_comments_and_scopes_are_those_that_are_read() -> None:
    words = (ROOT / "fiat" / "builtin" / "command_words.py").read_text("utf-8")
    usage = words.split("USAGE")[1].split("@dataclass")[0]
    for verb in re.findall(r"/fiat (\w+)", usage):
        assert f"`/fiat {verb}" in RUNNER, verb
    scopes = set(
        re.findall(
            r'"(\w+)"', re.findall(r"Scope = Literal\[(.*?)\]", (ROOT / "fiat/run/view.py").read_text())[0]
        )
    )
    assert {"read", "trigger", "admin"} <= scopes
    for scope in scopes:
        assert re.search(rf"\| `{scope}` \|", RUNNER), scope


def test_the_calls_that_are_shown_are_taken_and_each_that_acts_is_shown() -> None:
    shown = dict(re.findall(r"^post (/\S+) '(.*)'$", RUNNER, re.MULTILINE))
    forms: dict[str, type[BaseModel]] = {
        "/trigger": TriggerRequest,
        "/approve": ApproveRequest,
        "/rollback": RollbackRequest,
    }
    for path, form in forms.items():
        given = json.loads(shown[path])
        assert set(given) == set(form.model_fields)
        assert form.model_validate(given)
    text = (ROOT / "fiat" / "web" / "api_work.py").read_text("utf-8")
    acting = {re.sub(r"\{run_id\}", "ID", path) for path in re.findall(r'\("(/[\w/{}]+)", \w+, 20\d\)', text)}
    assert acting == {re.sub(r"/runs/[^/]+", "/runs/ID", path) for path in shown}


def test_every_number_of_the_metrics_is_named() -> None:
    page = Meter().page(Numbers(), []).decode()
    names = set(re.findall(r"^# TYPE (\S+)", page, re.MULTILINE))
    assert {"fiat_queue_runs", "fiat_build_info", "fiat_webhooks_total"} <= names
    for name in names:
        assert name.endswith("_created") or f"`{name}`" in RUNNER, name


def test_calls_of_the_api_are_there() -> None:
    text = "\n".join(path.read_text("utf-8") for path in (ROOT / "fiat" / "web").glob("*.py"))
    for path in re.findall(r"`(?:GET|POST) (?:/api/v1)?(/[\w/?=]+)`", RUNNER):
        route = re.sub(r"ID", "{run_id}", path.partition("?")[0]).replace("STEP", "{step}")
        route = route.replace("FORGE", "{forge}")
        assert f'"{route}"' in text, path
