import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from child_stage import Ended, Stage, table


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def seen(ended: Ended) -> dict[str, Any]:
    assert ended.err == ""
    assert ended.result is not None
    found: dict[str, Any] = ended.result["observed"]
    found["read"] = [name for name in found["read"] if name != "code/work.py"]
    return found


def test_undeclared_files_are_seen_however_they_are_opened(stage: Stage) -> None:
    for name in ("a", "b", "c", "d", "e", "f.npy"):
        (stage.root / name).write_text("x")
    stage.module(
        "work",
        """
        import io, os, pathlib
        import numpy as np
        def go():
            open("a").read()
            pathlib.Path("b").read_bytes()
            io.FileIO("c").read()
            os.close(os.open("d", os.O_RDONLY))
            os.chdir("code"); open("../e").close()
            np.fromfile("../f.npy", np.uint8)
        """,
    )
    assert seen(stage.run("work:go")) == {
        "read": ["a", "b", "c", "d", "e", "f.npy"],
        "absent": [],
        "listed": [],
    }


def test_modules_that_were_imported_are_seen_also_those_of_a_package(stage: Stage) -> None:
    (stage.root / "lib").mkdir()
    (stage.root / "lib" / "__init__.py").write_text("")
    (stage.root / "lib" / "deep.py").write_text("x = 1\n")
    stage.module("work", "def go():\n    import importlib\n    importlib.import_module('lib.deep')\n")
    assert seen(stage.run("work:go"))["read"] == ["lib/__init__.py", "lib/deep.py"]


def test_a_file_that_was_looked_for_and_is_not_there_is_absent(stage: Stage) -> None:
    stage.module(
        "work",
        """
        def go():
            try:
                open("settings.json")
            except FileNotFoundError:
                pass
        """,
    )
    assert seen(stage.run("work:go")) == {"read": [], "absent": ["settings.json"], "listed": []}


def test_folders_that_were_listed_are_seen_but_not_by_imports(stage: Stage) -> None:
    for name in ("one", "two", "three/deep", "four"):
        (stage.root / name).mkdir(parents=True)
    stage.module(
        "work",
        """
        import glob, os, pathlib
        def go():
            os.listdir("one")
            list(pathlib.Path("two").iterdir())
            glob.glob("three/*/*.csv")
            list(os.scandir("four"))
        """,
    )
    assert seen(stage.run("work:go"))["listed"] == ["four", "one", "three", "three/deep", "two"]


def test_what_is_written_is_no_read(stage: Stage) -> None:
    stage.module(
        "work",
        """
        def go():
            for mode in ("w", "a", "r+"):
                open("log.txt", mode).close()
        """,
    )
    assert seen(stage.run("work:go"))["read"] == []


def test_a_file_that_was_opened_to_be_changed_but_stayed_as_it_was_is_seen(stage: Stage) -> None:
    for name in ("a", "b", "c"):
        (stage.root / name).write_text("x")
    stage.module(
        "work",
        """
        import os
        def go():
            open("a", "r+").read()
            os.read(os.open("b", os.O_RDWR), 1)
            file = open("c", "a+"); file.seek(0); file.read()
        """,
    )
    assert seen(stage.run("work:go"))["read"] == ["a", "b", "c"]


def test_a_file_that_was_changed_in_place_is_not_seen(stage: Stage) -> None:
    (stage.root / "counter").write_text("x")
    stage.module("work", "def go():\n    with open('counter', 'r+') as file:\n        file.write('longer')\n")
    assert seen(stage.run("work:go"))["read"] == []


def test_a_database_is_seen_unless_the_call_made_or_changed_it(stage: Stage) -> None:
    stage.module(
        "work",
        """
        import sqlite3
        from pathlib import Path
        def rows(name, **more):
            base = sqlite3.connect(name, **more)
            base.execute("create table if not exists t(a)")
            base.execute("select * from t").fetchall()
            return base
        def go():
            rows("known.db")
            rows("file:by%20name.db?mode=ro", uri=True)
            rows(Path("path.db"))
            changed = rows("changed.db"); changed.execute("insert into t values (1)"); changed.commit()
            rows("made.db")
            rows(":memory:")
        """,
    )
    for name in ("known.db", "by name.db", "path.db", "changed.db"):
        with sqlite3.connect(stage.root / name) as base:
            base.execute("create table t(a)")
    assert seen(stage.run("work:go")) == {
        "read": ["by name.db", "known.db", "path.db"],
        "absent": [],
        "listed": [],
    }


def test_what_the_call_made_itself_is_nothing_that_it_depends_on(stage: Stage) -> None:
    (stage.root / "old").write_text("x")
    stage.module(
        "work",
        """
        import os, pathlib, shutil
        import numpy as np
        def go():
            for name in ("new", "old"):
                pathlib.Path(name).write_text("1")
                open(name).read()
            open("log", "a").close(); open("log").read()
            open("part", "w").close(); os.replace("part", "whole"); open("whole").read()
            shutil.copyfile("new", "copy"); open("copy").read()
            np.save("array.npy", np.arange(3)); np.load("array.npy")
            np.memmap("map", np.uint8, "w+", shape=4); np.memmap("map", np.uint8, "r+")
        """,
    )
    assert seen(stage.run("work:go"))["read"] == []


def test_a_cache_that_was_looked_for_and_then_made_is_neither_read_nor_absent(stage: Stage) -> None:
    stage.module(
        "work",
        """
        def go():
            try:
                open("cache").read()
            except FileNotFoundError:
                open("cache", "w").close()
            open("cache").read()
        """,
    )
    assert seen(stage.run("work:go")) == {"read": [], "absent": [], "listed": []}
    assert seen(stage.run("work:go")) == {"read": ["cache"], "absent": [], "listed": []}


def test_what_was_read_and_then_written_anew_is_still_read(stage: Stage) -> None:
    for name in ("a", "b"):
        (stage.root / name).write_text("x")
    stage.module(
        "work",
        """
        import os
        def go():
            open("a").read(); open("a", "w").write("y"); open("a").read()
            open("b").read(); open("part", "w").close(); os.replace("part", "b")
        """,
    )
    assert seen(stage.run("work:go"))["read"] == ["a", "b"]


def test_files_that_are_not_the_checkouts_are_not_seen(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("x")
    for folder in (".git", ".fiat", ".venv"):
        (stage.root / folder).mkdir()
        (stage.root / folder / "x").write_text("x")
    stage.module(
        "work",
        f"""
        def go():
            for name in ({str(tmp_path / "outside")!r}, ".git/x", ".fiat/x", ".venv/x", "/etc/hostname"):
                open(name).close()
        """,
    )
    assert seen(stage.run("work:go")) == {"read": [], "absent": [], "listed": []}


def test_declared_inputs_and_outputs_are_not_seen(stage: Stage) -> None:
    for name in ("given", "folder/inner", "beside"):
        (stage.root / name).parent.mkdir(exist_ok=True)
        (stage.root / name).write_text("x")
    stage.module(
        "work",
        """
        def go(inputs):
            for name in ("given", "folder/inner", "beside", "made"):
                if name == "made":
                    open(name, "w").close()
                open(name).close()
        """,
    )
    ended = stage.run(
        "work:go",
        inputs={"given": str(stage.root / "given"), "folder": str(stage.root / "folder")},
        outputs={"made": str(stage.root / "made")},
    )
    assert seen(ended)["read"] == ["beside"]


def test_a_link_is_seen_as_the_file_behind_it(stage: Stage) -> None:
    (stage.root / "real").write_text("x")
    (stage.root / "link").symlink_to("real")
    stage.module("work", "def go():\n    open('link').close()\n")
    assert seen(stage.run("work:go"))["read"] == ["real"]


def test_reads_are_seen_also_when_the_call_fails(stage: Stage) -> None:
    (stage.root / "a").write_text("x")
    stage.module("work", "def go():\n    open('a').close()\n    1 / 0\n")
    ended = stage.run("work:go")
    assert ended.code == 1
    assert ended.result is not None
    assert ended.result["observed"]["read"] == ["a", "code/work.py"]


def test_opening_a_dataset_and_importing_libraries_is_no_read_of_the_checkout(stage: Stage) -> None:
    stage.module("work", "import sklearn.linear_model\nimport onnx\ndef go(data):\n    data.train.features\n")
    folder = stage.dataset(table(), "kind")
    ended = stage.run(
        "work:go", data="data.d", datasets={"data.d": str(folder)}, inputs={"data.d": str(folder)}
    )
    assert seen(ended) == {"read": [], "absent": [], "listed": []}
