import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fiat.builtin.job_child import Supervisor
from fiat.builtin.loss_watch import is_loss, loss_fault

# Half a second for the runner to end it: who still lives then says so.
TRAIN = """\
import signal, sys, time
for step in range(4):
    print(f"FIAT_METRIC {sys.argv[1]}={'nan' if step == 2 else 0.5} step={step}", flush=True)
time.sleep(60)
"""


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    supervisor = Supervisor()
    yield supervisor
    supervisor.close()


def run(supervisor: Supervisor, folder: Path, code: str, *argv: str, **more: object) -> dict[str, Any]:
    child = supervisor.start(
        {
            "argv": [sys.executable, "-I", "-S", "-c", code, *argv],
            "cwd": str(folder),
            "env": {"PATH": "/usr/bin:/bin"},
            "log": str(folder / "log"),
            "stop_on_nan": True,
            **more,
        }
    )
    answer = child.wait(60)
    child.close()
    assert answer is not None
    return answer


def test_a_loss_that_is_no_number_ends_the_job_with_the_step_at_which_it_began(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    began = time.monotonic()
    answer = run(supervisor, tmp_path, TRAIN, "loss")
    assert answer["state"] == "failed"
    assert answer["reason"].startswith("loss became nan at step 2: training was stopped")
    assert "`train.stop_on_nan: false` lets it go on" in answer["reason"]
    assert answer["reason"] in (tmp_path / "log").read_text()
    assert time.monotonic() - began < 30


def test_another_metric_may_be_no_number(supervisor: Supervisor, tmp_path: Path) -> None:
    answer = run(supervisor, tmp_path, TRAIN.replace("time.sleep(60)", ""), "perplexity")
    assert (answer["state"], len(answer["metrics"])) == ("done", 4)


def test_a_step_that_is_not_to_be_stopped_goes_on(supervisor: Supervisor, tmp_path: Path) -> None:
    code = TRAIN.replace("time.sleep(60)", "")
    answer = run(supervisor, tmp_path, code, "loss", stop_on_nan=False)
    assert (answer["state"], len(answer["metrics"])) == ("done", 4)


def test_a_loss_that_is_no_number_in_the_last_words_fails_the_job_too(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    answer = run(supervisor, tmp_path, "print('FIAT_METRIC eval_loss=inf')")
    assert answer["state"] == "failed"
    assert answer["reason"].startswith("eval_loss became inf: training was stopped")


def test_work_that_wants_to_end_well_is_given_a_moment(supervisor: Supervisor, tmp_path: Path) -> None:
    # Not by print: the signal may come in the middle of one.
    code = (
        "import os, signal; signal.signal(15, lambda *_: (os.write(1, b'\\nsaved\\n'), os._exit(0)))\n"
        + TRAIN
    )
    answer = run(supervisor, tmp_path, code, "loss")
    assert answer["state"] == "failed"
    assert "\nsaved\n" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("name", ["loss", "eval_loss", "loss_mask", "train/loss", "loss/eval", "gan.d_loss"])
def test_these_are_losses(name: str) -> None:
    assert is_loss(name)
    assert loss_fault(name, float("-inf"), 7).startswith(f"{name} became -inf at step 7")
    assert not loss_fault(name, -3.0, 7)


@pytest.mark.parametrize("name", ["accuracy", "lossy", "glossary", "log_loss_ratio", "losses"])
def test_these_are_none(name: str) -> None:
    assert not is_loss(name)
    assert not loss_fault(name, float("nan"), 7)
