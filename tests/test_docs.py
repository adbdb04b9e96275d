"""The documents say what the program does: every key, command, setting and exit code, and the texts are the program's."""

import importlib.util
import json
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from typer import Typer

import fiat.errors
from fiat.cli.main import COMMANDS
from fiat.spec.load import load_spec
from fiat.spec.support import unsupported
from fiat.wiring.documents import SCHEMAS

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("specs/*/README.md")),
]
SPEC_TEXT = (ROOT / "docs" / "spec.md").read_text("utf-8")
CLI_TEXT = (ROOT / "docs" / "cli.md").read_text("utf-8")
README_TEXT = (ROOT / "README.md").read_text("utf-8")
TRAINING_TEXT = (ROOT / "docs" / "training.md").read_text("utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", SPEC_TEXT, re.DOTALL)
BUILTINS = {"commit": "0" * 40, "ref": "main"}
NOT_BUILT: set[str] = set()
"""What the reference's examples use and this version refuses by name, without the names that users give."""
BASE = {
    "fiat": "fiat: 1",
    "name": "name: example",
    "data": "data: {images: {source: {path: data/images.csv}, label: label}}",
    "train": 'train: {call: "train:train"}',
}


def _load(name: str) -> ModuleType:
    place = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    assert place is not None
    assert place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


fields = _load("fields")


@pytest.fixture(scope="module")
def fill() -> ModuleType:
    return _load("fill")


def _whole(example: str) -> str:
    """The example with what a spec needs beside it."""
    there = {line.split(":")[0] for line in example.splitlines() if line[:1].isalpha()}
    return "\n".join([*(text for key, text in BASE.items() if key not in there), example])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_tables_and_help_texts_are_the_programs_own(path: Path, fill: ModuleType) -> None:
    text = path.read_text("utf-8")
    assert fill.fill(text) == text, "run `make docs`"


def test_every_section_of_the_language_has_a_table_with_its_heading(fill: ModuleType) -> None:
    sections = fields.sections(fill.schema())
    assert len(sections) > 40
    for name in sections:
        assert f"<!-- fields: {name} -->" in SPEC_TEXT, f"docs/spec.md has no table of {name}"
        if name != "Spec":
            assert re.search(rf"^#+ {name}$", SPEC_TEXT, re.MULTILINE | re.IGNORECASE), f"no heading {name}"


def test_every_key_of_the_language_is_in_its_table_with_type_and_meaning(fill: ModuleType) -> None:
    schema = fill.schema()
    for name, section in fields.sections(schema).items():
        rows = {line.split("|")[1].strip(): line for line in fields.table(schema, name).splitlines()[2:]}
        assert set(rows) == {f"`{key}`" for key in section["properties"]}
        for row in rows.values():
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)]
            assert cells[2], f"{name}: a key without a type: {row}"
            assert len(cells[4]) > 5, f"{name}: a key without a meaning: {row}"


def test_every_key_of_the_language_stands_in_an_example(fill: ModuleType) -> None:
    blocks = re.findall(r"```yaml\n.*?```", SPEC_TEXT, re.DOTALL)
    shown = " ".join(
        [*blocks, *re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", SPEC_TEXT, flags=re.DOTALL))]
    )
    used = set(re.findall(r"[A-Za-z_0-9]+(?=:)", shown)) | set(re.findall(r"[\[ ]([a-z_0-9]+)[\],]", shown))
    missing = {
        f"{name}.{key}"
        for name, section in fields.sections(fill.schema()).items()
        for key in section["properties"]
        if key not in used
    }
    assert not missing


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.splitlines()[0][:40])
def test_every_example_of_the_reference_is_a_valid_spec(example: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(_whole(example), "utf-8")
    assert load_spec(path, root=tmp_path, builtins=BUILTINS).spec.fiat == 1


def test_the_ten_lines_of_the_readme_are_a_valid_spec(tmp_path: Path) -> None:
    example = re.findall(r"```yaml\n(.*?)```", README_TEXT, re.DOTALL)[0]
    assert len(example.strip().splitlines()) <= 10
    path = tmp_path / "spec.yaml"
    path.write_text(example, "utf-8")
    loaded = load_spec(path, root=tmp_path, builtins=BUILTINS).spec
    assert not unsupported(loaded)


@pytest.mark.parametrize(
    "text", [README_TEXT.split("\n## Train with")[1], TRAINING_TEXT], ids=["readme", "training"]
)
def test_the_training_that_is_shown_is_a_valid_spec(text: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(_whole(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0]), "utf-8")
    loaded = load_spec(path, root=tmp_path, builtins=BUILTINS).spec
    assert loaded.train is not None
    assert loaded.train.warm_start == "baseline"
    assert not unsupported(loaded)


def test_what_is_not_built_is_named_at_the_top_of_the_reference(tmp_path: Path) -> None:
    paragraph = SPEC_TEXT.split("**Not built yet")[1].split("\n\n")[0]
    found = set()
    for index, example in enumerate(EXAMPLES):
        path = tmp_path / f"{index}.yaml"
        path.write_text(_whole(example), "utf-8")
        found |= {key for key, _ in unsupported(load_spec(path, root=tmp_path, builtins=BUILTINS).spec)}
    assert {re.sub(r"^(deploy)\.\w+|^(data)\.\w+|\[\d+\]", r"\1\2", key) for key in found} == NOT_BUILT
    assert "`export.quantize`" in paragraph
    for key in found:
        words = [word for word in re.split(r"[.\[\]]", key) if word and not word.isdigit()]
        assert any(f"`{word}`" in paragraph or f".{word}`" in paragraph for word in (words[-1], words[0])), (
            key
        )


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_its_section(command: str) -> None:
    assert f"\n## {command}\n" in CLI_TEXT
    module = import_module(f"fiat.cli.{command}")
    words = [
        each.name or each.callback.__name__ for each in getattr(module, "group", Typer()).registered_commands
    ]
    for name in (command, *(f"{command} {word}" for word in words if word not in SCHEMAS)):
        assert f"<!-- help: {name} -->" in CLI_TEXT, name
    assert re.search(rf"^ +{command} ", README_TEXT, re.MULTILINE), f"{command} is not in the README"


def test_every_exit_code_is_explained() -> None:
    codes = {value for name, value in vars(fiat.errors).items() if name.startswith("EXIT_")}
    assert len(codes) >= 6
    for text in (CLI_TEXT, README_TEXT):
        for code in codes:
            assert re.search(rf"^\| {code} \| \w+", text, re.MULTILINE), code


def test_every_setting_is_explained() -> None:
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "fiat" / "wiring").glob("*.py"))
    settings = set(re.findall(r'"(FIAT_[A-Z_]+|RAY_ADDRESS)"', sources))
    assert {"FIAT_STORE", "FIAT_COMPUTE", "RAY_ADDRESS"} <= settings
    for name in settings:
        assert f"| `{name}` |" in CLI_TEXT, name


def test_every_variable_that_a_step_gets_is_in_the_code_contract() -> None:
    source = (ROOT / "fiat" / "engine" / "jobs.py").read_text("utf-8")
    contract = (ROOT / "docs" / "code-contract.md").read_text("utf-8")
    names = set(re.findall(r'"(FIAT_[A-Z]+)"', source))
    assert {"FIAT_PARAMS", "FIAT_INPUTS", "FIAT_OUTPUTS"} <= names
    for name in names:
        assert f"`{name}`" in contract, name


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        place = (path.parent / file) if file else path
        assert place.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", place.read_text("utf-8"), re.MULTILINE)
            assert anchor in {
                re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in headings
            }, target


def test_the_five_minute_table_names_files_that_hold_what_it_says() -> None:
    for name, word in {
        "fiat/spec/model.py": "class Spec",
        "fiat/plan/build.py": "def build_plan",
        "fiat/evaluate/gates.py": "def ",
        "fiat/engine/verdict.py": "def fold",
        "fiat/ports/deploy.py": "class DeployTarget",
        "fiat/store/schema.py": "verdict TEXT",
        "fiat/errors.py": "class EnvironmentFault",
    }.items():
        assert f"`{name}`" in README_TEXT
        assert word in (ROOT / name).read_text("utf-8"), name


def test_the_json_shown_for_a_run_has_the_fields_that_the_program_prints() -> None:
    block = re.findall(r"```json\n(.*?)```", CLI_TEXT, re.DOTALL)[0]
    shown = json.loads(block)
    assert set(shown) == {"run", "verdict", "steps", "metrics", "gates", "model"}
    assert set(shown["steps"][0]) == {"name", "state", "seconds", "reason"}
