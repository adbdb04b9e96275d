"""Reading imports from a commit's objects says the same as reading them from a working tree."""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiat.engine.checkout import Checkout
from fiat.engine.code import reach
from fiat.engine.footprint_code import Imported, Looks, look, reach_in, read_imports
from fiat.engine.footprint_trace import is_code
from fiat.errors import SpecError
from fiat.git.entries import Blob
from fiat.git.tree import Tree

SEARCH = ("spec", "")
NAMES = ("a", "b", "lib", "spec")
FOLDERS = ("", "spec/", "lib/", "spec/lib/", "lib/deep/", "a/", "spec/a/")
LINES = (
    "import a\n",
    "import lib.a, lib.b as c\n",
    "import spec.lib.deep.a\n",
    "from . import a, b\n",
    "from .. import lib\n",
    "from .a import *\n",
    "from lib import a, b, deep, thing\n",
    "from lib.deep import a\n",
    "from ...... import far\n",
    "import importlib; importlib.import_module('lib.b')\n",
    "__import__('.a')\n",
    "def f():\n    import b\n",
    "import numpy.linalg\n",
    "this does not parse\n",
)

modules = st.dictionaries(
    st.builds(
        lambda folder, name: f"{folder}{name}.py",
        st.sampled_from(FOLDERS),
        st.sampled_from([*NAMES, "__init__"]),
    ),
    st.lists(st.sampled_from(LINES), max_size=3).map("".join),
    max_size=12,
)
calls = st.sampled_from(["a:f", "lib:f", "lib.a:f", "spec.lib:f", "lib.deep.a:f", "b:f"])


def tree_of(files: Mapping[str, str]) -> Tree:
    """A commit's files whose object names stand for their contents."""
    return Tree({path: Blob("100644", _oid(text)) for path, text in files.items()}, lambda _: "")


def _oid(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def reached_in(files: Mapping[str, str], call: str) -> tuple[frozenset[str], Looks]:
    contents = {_oid(text): text for text in files.values()}
    looks = Looks(tree_of(files))
    found = reach_in(looks, call, SEARCH, lambda oid: read_imports(contents[oid].encode()))
    return found, looks


@given(modules, calls)
@settings(max_examples=150, deadline=None)
def test_the_same_modules_are_reached_as_in_a_working_tree(files: dict[str, str], call: str) -> None:
    folder = Path(tempfile.mkdtemp(prefix="fiat-reach-"))
    try:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        try:
            on_disk = reach(call, [folder / "spec", folder]).files
        except SpecError:
            on_disk = ()
        found, _ = reached_in(files, call)
        assert found == {path.relative_to(folder).as_posix() for path in on_disk}
    finally:
        shutil.rmtree(folder)


@given(modules, modules, calls)
@settings(max_examples=150, deadline=None)
def test_while_all_answers_are_the_same_nothing_that_is_reached_differs(
    before: dict[str, str], changes: dict[str, str], call: str
) -> None:
    after = {**before, **changes}
    found, looks = reached_in(after, call)
    earlier = tree_of(before)
    if all(look(earlier, question) == answer for question, answer in looks.seen.items()):
        same, _ = reached_in(before, call)
        assert {path: before[path] for path in same} == {path: after[path] for path in found}


def test_imports_are_found_wherever_they_stand_and_once() -> None:
    source = (
        b"import a\nif x:\n    from ..b import c as d, e\ndef f():\n    import a\n    m.import_module('.g')\n"
    )
    assert read_imports(source) == (Imported(0, "a"), Imported(2, "b", ("c", "e")), Imported(0, "g"))


def test_a_module_that_does_not_parse_imports_nothing() -> None:
    for source in (b"def", b"\0", b"\xff\xfe", b"(" * 100_000):
        assert read_imports(source) == ()


@pytest.mark.parametrize(
    "pattern", ["src/**", "src", "src/", "*.py", "**/*.py", "src/*.py", "a/?.py", "[ab].py"]
)
def test_patterns_of_code_mean_the_same_as_in_a_working_tree(tmp_path: Path, pattern: str) -> None:
    names = ["a.py", "src/a.py", "src/deep/b.py", "src2/a.py", "a/b.py", "b.py", "c.txt", "src.py"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    chosen = Checkout(tmp_path).code_files((pattern,), (), ())
    assert [tmp_path / name for name in sorted(names) if is_code(name, pattern)] == list(chosen)
