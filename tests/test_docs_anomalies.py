"""The table of anomalies says what the code says, and each row names a test that is there and shows that kind."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from fiat.validate.kinds import KINDS

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "anomalies.md").read_text("utf-8")
ROW = re.compile(r"^\| `(?P<kind>\w+)` \| (?P<rest>.+) \|$", re.MULTILINE)
ROWS = {found["kind"]: [cell.strip() for cell in found["rest"].split(" | ")] for found in ROW.finditer(TEXT)}
TESTS = ROOT / "tests" / "validate"


def test_every_kind_has_one_row_in_the_order_of_the_code() -> None:
    kinds = [found["kind"] for found in ROW.finditer(TEXT)]
    assert kinds == list(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_says_what_the_code_says(kind: str) -> None:
    title, fields, tfdv, _ = ROWS[kind]
    info = KINDS[kind]
    assert title == info.title
    assert re.findall(r"`([^`]+)`", fields) == info.field.split(", ")
    assert tuple(re.findall(r"`([^`]+)`", tfdv)) == info.tfdv


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_names_a_test_that_is_there_and_shows_the_kind(kind: str) -> None:
    file, _, name = ROWS[kind][3].strip("`").partition("::")
    functions, tables = parts(TESTS / file)
    assert name in functions, f"{file} has no test {name}"
    used = functions[name] | {text for table in tables if table in functions[name] for text in tables[table]}
    assert kind in used, f"{name} does not show {kind}"


@cache
def parts(path: Path) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Words (texts and names) of each test with its decorators, and those of each table of the file."""
    functions, tables = {}, {}
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            functions[node.name] = words(node)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            tables[node.targets[0].id] = words(node.value)
    return functions, tables


def words(tree: ast.AST) -> set[str]:
    """All texts and names below a node."""
    texts = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return texts | {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def test_the_number_of_kinds_in_common_is_the_documents() -> None:
    shared = {name for info in KINDS.values() for name in info.tfdv}
    tests = ast.parse((TESTS / "test_kinds.py").read_text("utf-8"))
    detected = next(
        set(ast.literal_eval(node.value))
        for node in tests.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DETECTED_BY_TFDV"
    )
    assert f"a condition for {len(detected)} types; {len(detected & shared)} of them" in " ".join(
        TEXT.split()
    )
