import json
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from child_stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_call_that_works_ends_with_0_and_says_what_it_read(stage: Stage) -> None:
    stage.module("work", "def go():\n    print('hello')\n")
    ended = stage.run("work:go")
    assert (ended.code, ended.out, ended.err) == (0, "hello\n", "")
    assert ended.result == {"observed": {"read": ["code/work.py"], "absent": [], "listed": []}, "error": None}


def test_output_comes_while_the_call_still_runs(stage: Stage) -> None:
    stage.module("work", "import time\ndef go():\n    print('on')\n    time.sleep(60)\n")
    child = stage.start(stage.request("work:go"))
    assert child.stdout is not None
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.append(child.stdout.readline()))  # type: ignore[union-attr]
    started = time.monotonic()
    reader.start()
    reader.join(30)
    child.kill()
    child.communicate()
    assert lines == ["on\n"]
    assert time.monotonic() - started < 30


def test_a_traceback_begins_at_the_users_code(stage: Stage) -> None:
    stage.module("work", "import inner\ndef go():\n    inner.fail(3)\n")
    stage.module("inner", "def fail(n):\n    raise ValueError(f'bad {n}')\n")
    ended = stage.run("work:go")
    assert ended.code == 1
    lines = ended.err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{stage.code}/work.py", line 3, in go'
    assert lines[-1] == "ValueError: bad 3"
    assert "fiat" not in ended.err
    assert ended.result is not None
    place = {"file": f"{stage.code}/inner.py", "line": 2}
    assert ended.result["error"] == {"type": "ValueError", "message": "bad 3", **place}


@pytest.mark.parametrize(
    ("module", "statement", "kind"),
    [
        ("numpy.linalg", "numpy.linalg.inv([[1, 2]])", "LinAlgError"),
        ("json", "json.loads('{')", "JSONDecodeError"),
    ],
)
def test_the_place_of_an_error_inside_a_library_is_the_users_line(
    stage: Stage, module: str, statement: str, kind: str
) -> None:
    stage.module("work", f"import {module}\ndef go():\n    {statement}\n")
    ended = stage.run("work:go")
    assert ended.result is not None
    error = ended.result["error"]
    assert (error["type"], error["file"], error["line"]) == (kind, f"{stage.code}/work.py", 3)


def test_an_error_while_the_module_is_imported_is_shown_from_there(stage: Stage) -> None:
    stage.module("work", "x = 1\nraise KeyError('nothing')\n")
    ended = stage.run("work:go")
    assert ended.code == 1
    assert ended.err.splitlines()[1] == f'  File "{stage.code}/work.py", line 2, in <module>'
    assert "importlib" not in ended.err


def test_a_syntax_error_is_shown_with_its_line(stage: Stage) -> None:
    stage.module("work", "def go(:\n    pass\n")
    ended = stage.run("work:go")
    assert ended.code == 1
    assert ended.err.splitlines()[0] == f'  File "{stage.code}/work.py", line 1'
    assert ended.err.splitlines()[-1].startswith("SyntaxError: ")
    assert ended.result is not None
    assert ended.result["error"]["line"] == 1


@pytest.mark.parametrize(
    ("statement", "code", "err"),
    [
        ("sys.exit()", 0, ""),
        ("sys.exit(0)", 0, ""),
        ("sys.exit(7)", 7, ""),
        ("sys.exit('no rows')", 1, "no rows\n"),
        ("raise SystemExit(3)", 3, ""),
    ],
)
def test_an_exit_of_the_users_keeps_its_code(stage: Stage, statement: str, code: int, err: str) -> None:
    stage.module("work", f"import sys\ndef go():\n    {statement}\n")
    ended = stage.run("work:go")
    assert (ended.code, ended.err) == (code, err)
    assert ended.result is not None
    assert ended.result["observed"]["read"] == ["code/work.py"]


def test_a_hard_exit_leaves_no_result(stage: Stage) -> None:
    stage.module("work", "import os\ndef go():\n    os._exit(9)\n")
    ended = stage.run("work:go")
    assert (ended.code, ended.result) == (9, None)


def test_a_fault_of_the_spec_is_one_sentence_without_a_traceback(stage: Stage) -> None:
    ended = stage.run("nowhere:go")
    assert ended.code == 1
    assert ended.err.startswith("error: there is no module nowhere")
    assert "Traceback" not in ended.err
    assert ended.result is not None
    assert ended.result["error"]["type"] == "SpecError"


def test_modules_of_the_specs_folder_come_before_those_at_the_top(stage: Stage) -> None:
    (stage.root / "work.py").write_text("def go():\n    print('top')\n")
    (stage.root / "other.py").write_text("def go():\n    print('top')\n")
    stage.module("work", "def go():\n    print('near')\n")
    assert stage.run("work:go").out == "near\n"
    assert stage.run("other:go").out == "top\n"


def test_nothing_heavy_is_imported_for_a_call_that_needs_nothing(stage: Stage) -> None:
    text = """
        import sys
        def go():
            heavy = {"numpy", "pyarrow", "onnx", "onnxruntime", "sklearn", "torch", "ray", "pydantic"}
            print(sorted(heavy & set(sys.modules)))
        """
    stage.module("work", text)
    assert stage.run("work:go").out == "[]\n"


def test_the_result_is_written_whole_or_not_at_all(stage: Stage) -> None:
    stage.module("work", "def go():\n    pass\n")
    assert stage.run("work:go").code == 0
    assert json.loads((stage.work / "result.json").read_text())["error"] is None
    assert not list(stage.work.glob("*.part"))
