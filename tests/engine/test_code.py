"""What a `call:` reaches."""

from pathlib import Path

import pytest

from fiat.engine.code import reach
from fiat.errors import SpecError


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(root: Path, call: str) -> set[str]:
    return {path.relative_to(root).as_posix() for path in reach(call, (root,)).files}


def test_follows_imports_through_helpers_and_packages(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "__init__.py").write_text("")
    write(
        tmp_path,
        model="from lib import first\nimport numpy as np\n",
        lib__first="from . import second\n",
        lib__second="def f():\n    import late\n",
        late="",
        unused="",
    )
    assert names(tmp_path, "model:train") == {
        "model.py",
        "lib/__init__.py",
        "lib/first.py",
        "lib/second.py",
        "late.py",
    }
    assert "numpy" in reach("model:train", (tmp_path,)).foreign


def test_follows_relative_imports_above_the_package(tmp_path: Path) -> None:
    write(
        tmp_path, pkg____init__="", pkg__a____init__="", pkg__a__deep="from ..b import x\n", pkg__b="x = 1\n"
    )
    assert "pkg/b.py" in names(tmp_path, "pkg.a.deep:train")


def test_follows_a_module_imported_by_a_literal_name(tmp_path: Path) -> None:
    write(tmp_path, model="import importlib\nimportlib.import_module('hidden')\n", hidden="")
    assert "hidden.py" in names(tmp_path, "model:train")


def test_finds_modules_in_folders_without_init(tmp_path: Path) -> None:
    write(tmp_path, space__model="import space.other\n", space__other="")
    assert names(tmp_path, "space.model:train") == {"space/model.py", "space/other.py"}


def test_takes_the_first_folder_that_has_the_module(tmp_path: Path) -> None:
    write(tmp_path, near__model="", model="")
    found = reach("model:train", (tmp_path / "near", tmp_path))
    assert [path.relative_to(tmp_path).as_posix() for path in found.files] == ["near/model.py"]


def test_survives_circles_and_broken_files(tmp_path: Path) -> None:
    write(tmp_path, a="import b\n", b="import a\nimport c\n", c="def (:\n")
    assert names(tmp_path, "a:f") == {"a.py", "b.py", "c.py"}


def test_a_missing_module_is_an_error_that_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"module nothing\.here") as caught:
        reach("nothing.here:f", (tmp_path,))
    assert "nothing/here.py" in caught.value.hint
