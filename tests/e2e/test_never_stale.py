"""The cache is never wrong: what peers miss reruns, what makes no difference is reused."""

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fiat.engine.silent import SilentReporter
from fiat.run.model import Run
from fiat.wiring.desk import Desk, open_desk
from fiat.wiring.settings import read_settings

Go = Callable[..., Run]


def git(root: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    subprocess.run(["git", *identity, "-C", str(root), *arguments], check=True, capture_output=True)


def desk(root: Path, *overrides: str, environment: Mapping[str, str] | None = None) -> Desk:
    return open_desk(str(root / "spec.yaml"), overrides, read_settings({**os.environ, **(environment or {})}))


def go(root: Path, *overrides: str) -> Run:
    at = desk(root, *overrides)
    return at.apply(at.new_run(), SilentReporter(), compute="local")


def states(run: Run) -> dict[str, str]:
    return {step.name: step.state for step in run.steps}


def reasons(run: Run) -> dict[str, str]:
    return {step.name: step.reason for step in run.steps}


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_yaml", ".yaml").replace("_py", ".py").replace(
            "_csv", ".csv"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))


RUN_SPEC = """\
    fiat: 1
    name: chain
    params: {size: 1, nfiles: 2}
    env: {vars: {GREETING: hello}}
    steps:
      make:
        run: "python make.py {out.rows}"
        out: {rows: file}
      count:
        run: "wc -l < {make.rows} > {out.n}"
        out: {n: file}
        code: []
        with: {}
    """
MAKE = """\
    import json, os, sys
    from lib.words import WORDS
    params = json.loads(os.environ["FIAT_PARAMS"])
    with open(sys.argv[1], "w") as out:
        for word in WORDS[: params["size"]]:
            out.write(f"{os.environ['GREETING']} {word}\\n")
    """
CALL_SPEC = """\
    fiat: 1
    name: calls
    params: {size: 1, nfiles: 2}
    env: {vars: {GREETING: hello}}
    steps:
      make:
        call: make:make
        out: {rows: file}
    """
CALL_MAKE = """\
    import os
    from lib.words import WORDS

    def make(out, params):
        with open(out["rows"], "w") as file:
            for word in WORDS[: params["size"]]:
                file.write(f"{os.environ['GREETING']} {word}\\n")
    """


@pytest.fixture(params=["run", "call"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    spec, make = (RUN_SPEC, MAKE) if request.param == "run" else (CALL_SPEC, CALL_MAKE)
    write(
        tmp_path,
        spec_yaml=spec,
        make_py=make,
        lib__words_py="from lib.deep import EXTRA\nWORDS = ['a'] + EXTRA\n",
    )
    write(tmp_path, lib__deep_py="EXTRA = ['b', 'c']\n")
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    first = go(tmp_path)
    assert first.verdict == "pass", first.reason
    assert states(first)["make"] == "ran"
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_nothing_changed_reuses_everything(project: Path) -> None:
    again = go(project)
    assert set(states(again).values()) == {"reused"}
    assert "nothing changed" in reasons(again)["make"]


@pytest.mark.parametrize("name", ["size", "nfiles"])
def test_a_parameter_reruns_whatever_its_name(project: Path, name: str) -> None:
    again = go(project, f"params.{name}=3")
    assert states(again)["make"] == "ran"
    assert f"params: {name} {1 if name == 'size' else 2} -> 3" in reasons(again)["make"]


def test_a_helper_two_imports_away_reruns_and_is_named(project: Path) -> None:
    edit(project / "lib" / "deep.py", "'c'", "'d'")
    again = go(project)
    assert states(again)["make"] == "ran"
    assert "code: lib/deep.py changed" in reasons(again)["make"]


def test_a_declared_variable_reruns_and_an_undeclared_one_is_not_seen(project: Path) -> None:
    edit(project / "spec.yaml", "GREETING: hello", "GREETING: goodbye")
    again = go(project)
    assert states(again)["make"] == "ran"
    assert "env: GREETING hello -> goodbye" in reasons(again)["make"]


def test_reordered_keys_and_comments_of_the_spec_reuse(project: Path) -> None:
    edit(project / "spec.yaml", "params: {size: 1, nfiles: 2}", "# sizes\nparams: {nfiles: 2, size: 1}")
    assert set(states(go(project)).values()) == {"reused"}


def test_a_renamed_step_with_the_same_work_is_reused(project: Path) -> None:
    text = (project / "spec.yaml").read_text()
    (project / "spec.yaml").write_text(
        text.replace("  make:\n", "  produce:\n").replace("{make.rows}", "{produce.rows}")
    )
    again = go(project)
    assert states(again)["produce"] == "reused"
    assert "step make of run" in reasons(again)["produce"]


def test_an_output_lost_from_the_store_is_made_again(project: Path) -> None:
    at = desk(project)
    walk = at.walk()
    walk.advance()
    artifact = walk.settled["make"].outputs["rows"]
    path = at.store.artifacts.object_path(artifact.digest)
    path.chmod(0o644)
    path.write_bytes(b"flip" + path.read_bytes()[4:])
    again = go(project)
    assert states(again)["make"] == "ran"
    assert "damaged" in reasons(again)["make"]
    assert at.store.artifacts.verify(artifact.digest)


def test_an_upgraded_package_reruns_what_can_reach_it(tmp_path: Path) -> None:
    site = tmp_path / "site"
    info = site / "wordkit-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wordkit\nVersion: 1.0\n")
    (info / "RECORD").write_text("wordkit.py,,\n")
    (site / "wordkit.py").write_text("WORDS = ['a']\n")
    root = tmp_path / "repo"
    write(
        root,
        spec_yaml=CALL_SPEC,
        make_py="import wordkit\ndef make(out):\n    open(out['rows'], 'w').write('x')\n",
    )

    def plan() -> Mapping[str, str]:
        code = (
            "import os, sys, json\n"
            "from fiat.wiring.desk import open_desk\n"
            "from fiat.wiring.settings import read_settings\n"
            f"desk = open_desk({str(root / 'spec.yaml')!r}, [], read_settings(os.environ))\n"
            "walk = desk.walk(); walk.advance()\n"
            "print(json.dumps(walk.decided['make'].parts['packages']))\n"
        )
        env = {**os.environ, "PYTHONPATH": str(site)}
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)

    assert plan() == {"wordkit": "1.0"}
    info.rename(site / "wordkit-1.1.dist-info")
    assert plan() == {"wordkit": "1.1"}


DATA_SPEC = """\
    fiat: 1
    name: files
    steps:
      total:
        run: "cat rows.csv > {out.copy}; sleep ${params.wait}"
        out: {copy: file}
        code: [rows.csv]
        with: {}
    params: {wait: 0}
    """


def test_a_file_changed_within_the_same_second_and_size_reruns(tmp_path: Path) -> None:
    write(tmp_path, spec_yaml=DATA_SPEC, rows_csv="1,2\n")
    path = tmp_path / "rows.csv"
    assert states(go(tmp_path))["total"] == "ran"
    before = path.stat()
    path.write_text("9,2\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    again = go(tmp_path)
    assert states(again)["total"] == "ran"
    assert "code: rows.csv changed" in reasons(again)["total"]


def test_an_input_edited_while_the_step_runs_is_not_remembered(tmp_path: Path) -> None:
    write(tmp_path, spec_yaml=DATA_SPEC, rows_csv="1,2\n")
    path = tmp_path / "rows.csv"
    writer = threading.Thread(target=lambda: (time.sleep(1.0), path.write_text("3,4\n")))
    writer.start()
    run = go(tmp_path, "params.wait=3")
    writer.join()
    assert run.verdict == "error"
    assert "rows.csv changed" in run.reason
    assert "edited while it ran" in run.reason
    again = go(tmp_path, "params.wait=3")
    assert states(again)["total"] == "ran"


def test_a_file_that_the_code_opens_by_itself_is_a_dependency(tmp_path: Path) -> None:
    make = "def make(out):\n    text = open('notes.txt').read()\n    open(out['rows'], 'w').write(text)\n"
    write(tmp_path, spec_yaml=CALL_SPEC, make_py=make)
    (tmp_path / "notes.txt").write_text("one")
    assert states(go(tmp_path))["make"] == "ran"
    assert states(go(tmp_path))["make"] == "reused"
    (tmp_path / "notes.txt").write_text("two")
    again = go(tmp_path)
    assert states(again)["make"] == "ran"
    assert "notes.txt changed" in reasons(again)["make"]


def test_a_module_imported_by_a_computed_name_is_a_dependency(tmp_path: Path) -> None:
    make = (
        "import importlib\n"
        "def make(out):\n"
        "    name = ''.join(['hid', 'den'])\n"
        "    open(out['rows'], 'w').write(importlib.import_module(name).TEXT)\n"
    )
    write(tmp_path, spec_yaml=CALL_SPEC, make_py=make, hidden_py="TEXT = 'one'\n")
    assert states(go(tmp_path))["make"] == "ran"
    assert states(go(tmp_path))["make"] == "reused"
    (tmp_path / "hidden.py").write_text("TEXT = 'two'\n")
    assert states(go(tmp_path))["make"] == "ran"


def test_an_early_step_that_makes_the_same_again_stops_the_rerun(tmp_path: Path) -> None:
    write(tmp_path, spec_yaml=RUN_SPEC, make_py=MAKE, lib__words_py="WORDS = ['a', 'b']\n")
    assert go(tmp_path).verdict == "pass"
    edit(tmp_path / "make.py", "import json", "# the same work\nimport json")
    again = go(tmp_path)
    assert states(again) == {"make": "ran", "count": "reused"}


def test_a_file_added_to_a_folder_that_the_code_lists_is_a_dependency(tmp_path: Path) -> None:
    make = (
        "from pathlib import Path\n"
        "def make(out):\n"
        "    names = sorted(path.name for path in Path('parts').iterdir())\n"
        "    open(out['rows'], 'w').write(' '.join(names))\n"
    )
    write(tmp_path, spec_yaml=CALL_SPEC, make_py=make)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "one.txt").write_text("1")
    assert states(go(tmp_path))["make"] == "ran"
    assert states(go(tmp_path))["make"] == "reused"
    (tmp_path / "parts" / "two.txt").write_text("2")
    assert states(go(tmp_path))["make"] == "ran"


TWO_CALLS = """\
    fiat: 1
    name: two
    steps:
      a: {call: "user:cats", out: {o: file}}
      b: {call: "user:dogs", out: {o: file}}
    """


def test_two_functions_of_one_module_are_two_pieces_of_work(tmp_path: Path) -> None:
    code = "".join(
        f"def {name}(out):\n    open(out['o'], 'w').write({name!r})\n\n" for name in ("cats", "dogs")
    )
    write(tmp_path, spec_yaml=TWO_CALLS, user_py=code)
    for _ in range(2):
        run = go(tmp_path)
        at = desk(tmp_path)
        made = {
            step.name: at.store.artifacts.object_path(step.outputs["o"].digest).read_text()
            for step in run.steps
        }
        assert made == {"a": "cats", "b": "dogs"}
    edit(tmp_path / "spec.yaml", 'a: {call: "user:cats"', 'a: {call: "user:dogs"')
    again = go(tmp_path)
    assert again.steps[0].outputs["o"].digest == again.steps[1].outputs["o"].digest


def test_a_call_that_leaves_without_a_word_is_not_remembered(tmp_path: Path) -> None:
    make = "import os\ndef make(out):\n    open(out['rows'], 'w').write('x')\n    os._exit(0)\n"
    write(tmp_path, spec_yaml=CALL_SPEC, make_py=make)
    run = go(tmp_path)
    assert states(run)["make"] == "failed"
    assert "os._exit" in run.reason
