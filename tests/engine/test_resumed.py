"""Trainings that fail are gone on with, and say from where."""

import os
import sys
from pathlib import Path

import pytest

from fiat.engine.silent import SilentReporter
from fiat.run.model import Run, StepResult
from fiat.wiring.desk import open_desk
from fiat.wiring.settings import read_settings

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from box_stage import need_sandbox

DATA = "a,kind\n" + "".join(f"{n},{'up' if n % 2 else 'down'}\n" for n in range(20))
# Each attempt gets one step further and fails.
WORK = """\
def train(run):
    found = run.restore()
    step = 0 if found is None else found.step + 1
    run.log(step, loss=1.0)
    assert run.checkpoint({"at": step}, step) is CHECKPOINTED
    raise ValueError(f"failed at {step}")
"""


def go(
    root: Path, train: str, *overrides: str, checkpointed: bool = True, work: str = WORK
) -> tuple[Run, StepResult, str]:
    """One run; gives it, its training and the log of that."""
    (root / "d.csv").write_text(DATA)
    (root / "work.py").write_text(work.replace("CHECKPOINTED", str(checkpointed)))
    (root / "spec.yaml").write_text(
        f"fiat: 1\nname: t\ndata: {{d: {{source: {{path: d.csv}}, label: kind}}}}\ntrain: {train}\n"
    )
    desk = open_desk(str(root / "spec.yaml"), list(overrides), read_settings(dict(os.environ)))
    with desk.store as store:
        run = desk.apply(desk.new_run(), SilentReporter(), compute="local")
        log = store.log_path(run.id, "train").read_text()
    return run, next(step for step in run.steps if step.name == "train"), log


def folders(root: Path) -> list[Path]:
    return list((root / ".fiat" / "checkpoints").iterdir())


@pytest.mark.parametrize("sandbox", ["none", "bubblewrap"])
def test_the_next_run_goes_on_from_the_last_checkpoint_and_says_so(tmp_path: Path, sandbox: str) -> None:
    if sandbox == "bubblewrap":
        need_sandbox()
    train = "{call: 'work:train', checkpoint: {keep: 2}}"
    _, first, _ = go(tmp_path, train, f"env.sandbox={sandbox}")
    assert (first.state, first.resources["sandbox"]) == ("failed", sandbox)
    assert "failed at 0" in first.reason
    assert "resumed" not in first.resources
    _, second, log = go(tmp_path, train, f"env.sandbox={sandbox}")
    assert "failed at 1" in second.reason
    assert second.resources["resumed"] == "went on from step 0 (checkpoint 1)"
    assert "[fiat] goes on from step 0 (checkpoint 1)\n" in log
    assert len(folders(tmp_path)) == 1


def test_each_further_attempt_of_one_run_goes_on(tmp_path: Path) -> None:
    _, train, log = go(tmp_path, "{call: 'work:train', checkpoint: {}, retries: 2}")
    assert "failed at 2" in train.reason
    assert train.resources["resumed"] == "went on from step 1 (checkpoint 2)"
    assert log.index("trying again") < log.index("goes on from step 0") < log.index("goes on from step 1")


def test_other_parameters_begin_anew_and_another_number_of_threads_does_not(tmp_path: Path) -> None:
    train = "{call: 'work:train', checkpoint: {}, with: {}, env: {OMP_NUM_THREADS: '1'}}"
    assert "failed at 0" in go(tmp_path, train)[1].reason
    other = (
        "{call: 'work:train', checkpoint: {}, with: {}, env: {OMP_NUM_THREADS: '2'}, resources: {cpus: 0.5}}"
    )
    assert "failed at 1" in go(tmp_path, other)[1].reason
    assert "failed at 0" in go(tmp_path, train, "+params.seed=4")[1].reason
    assert len(folders(tmp_path)) == 2


def test_without_checkpoint_in_the_spec_each_attempt_begins_anew(tmp_path: Path) -> None:
    _, train, log = go(tmp_path, "{call: 'work:train', retries: 1}", checkpointed=False)
    assert "failed at 0" in train.reason
    assert log.count("run.checkpoint keeps nothing: train.checkpoint is not set in the spec") == 2
    assert not (tmp_path / ".fiat" / "checkpoints").exists()


def test_a_command_in_any_language_finds_the_folder_of_its_last_attempt(tmp_path: Path) -> None:
    command = "cat $FIAT_CHECKPOINTS/epoch || true; echo x >> $FIAT_CHECKPOINTS/epoch; exit 3 # {data.d} {out.model}"
    train = f"{{run: '{command}', code: [], checkpoint: {{}}, retries: 2}}"
    _, _, log = go(tmp_path, train)
    assert [line for line in log.splitlines() if line == "x"] == ["x"] * 3


def test_a_loss_that_is_no_number_fails_the_training_with_its_step(tmp_path: Path) -> None:
    command = "echo FIAT_METRIC loss=nan step=41; sleep 60 # {data.d} {out.model}"
    run, train, _ = go(tmp_path, f"{{run: '{command}', code: []}}")
    assert train.state == "failed"
    assert train.reason.startswith("loss became nan at step 41: training was stopped")
    assert "loss became nan at step 41" in run.reason
    short = command.replace("sleep 60", "exit 7")
    _, train, _ = go(tmp_path, f"{{run: '{short}', code: [], stop_on_nan: false}}")
    assert "exited with code 7" in train.reason


def test_code_that_fails_at_such_a_loss_itself_does_not_hide_the_step(tmp_path: Path) -> None:
    work = (
        "import signal\ndef train(data, run):\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"  # it fails by itself, however soon it is told to end
        "    for step in range(5):\n        loss = 1.0 if step < 3 else float('nan')\n"
        "        run.log(step, loss=loss)\n        if loss != loss:\n            raise ValueError('no number')\n"
    )
    _, train, log = go(tmp_path, "{call: 'work:train'}", work=work)
    assert train.reason.startswith("loss became nan at step 3: training was stopped")
    assert "ValueError: no number" in log
    _, train, _ = go(tmp_path, "{call: 'work:train', stop_on_nan: false}", work=work)
    assert train.reason.startswith("ValueError: no number")


def test_a_training_over_its_memory_is_told_the_batch(tmp_path: Path) -> None:
    train = "{call: 'work:train', resources: {memory: 400MiB}}"
    eat = (
        "import time\nimport numpy as np\ndef train(data):\n    held = []\n"
        "    for number, batch in enumerate(data.train.batches(3)):\n"
        "        held.append(np.ones(10 if number < 2 else 80_000_000))\n        time.sleep(0.1)\n    time.sleep(60)\n"
    )
    _, step, _ = go(tmp_path, train, work=eat)
    assert "of memory, more than its limit of 400 MiB, in batch 3 (3 rows)" in step.reason
