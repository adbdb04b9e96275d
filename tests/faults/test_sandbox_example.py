"""A real example goes through the sandbox, and what its code reads is seen from within."""

import shutil
import sys
from pathlib import Path

import pytest

from fiat.engine.silent import SilentReporter
from fiat.run.model import Run
from fiat.wiring.desk import Desk, open_desk
from fiat.wiring.settings import read_settings

sys.path.insert(0, str(Path(__file__).parent))
from box_stage import need_sandbox

ROOT = Path(__file__).parents[2]


def desk(root: Path, *overrides: str) -> Desk:
    spec = next(root.rglob("spec.yaml"))
    return open_desk(
        str(spec), ["env.sandbox=bubblewrap", *overrides], read_settings({"PATH": "/usr/bin:/bin"})
    )


def go(at: Desk) -> Run:
    return at.apply(at.new_run(), SilentReporter(), compute="local")


@pytest.mark.slow
def test_a_network_is_trained_exported_and_judged_in_the_sandbox(tmp_path: Path) -> None:
    need_sandbox()
    pytest.importorskip("torch")
    shutil.copytree(ROOT / "specs/digits", tmp_path / "specs/digits")
    inside = go(desk(tmp_path, "params.epochs=1", "gates=[]"))
    assert inside.verdict == "pass", inside.reason
    boxed = {step.name for step in inside.steps if step.resources.get("sandbox") == "bubblewrap"}
    assert boxed == {"train", "export"}


def test_what_code_reads_undeclared_is_seen_from_within(tmp_path: Path) -> None:
    need_sandbox()
    (tmp_path / "spec.yaml").write_text("fiat: 1\nname: t\nsteps:\n  a: {call: 'work:go', out: {o: file}}\n")
    (tmp_path / "extra.txt").write_text("one")
    (tmp_path / "work.py").write_text(
        "import os\n"
        "def go(out):\n"
        "    out['o'].write_text(open('extra.txt').read() + str(os.path.exists('absent')))\n"
        "    try: open('absent')\n"
        "    except FileNotFoundError: pass\n"
    )
    assert go(desk(tmp_path)).verdict == "pass"
    again = go(desk(tmp_path))
    assert [step.state for step in again.steps] == ["reused"]
    (tmp_path / "extra.txt").write_text("two")
    changed = go(desk(tmp_path))
    assert [step.state for step in changed.steps] == ["ran"]
    assert "extra.txt changed (the step read it)" in changed.steps[0].reason
    (tmp_path / "absent").write_text("now here")
    assert "absent changed (the step read it)" in go(desk(tmp_path)).steps[0].reason
