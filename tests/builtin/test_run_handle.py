"""What user code is given as `run`, in real child processes."""

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from fiat.builtin.child_gang import Gang
from fiat.builtin.run_handle import RunHandle

sys.path.insert(0, str(Path(__file__).parent))
from child_stage import Ended, Stage, table

TRAIN = """
import os, signal
import torch
from torch import nn

def train(run, epochs, die_at=None):
    net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(net.parameters())
    begin = 0
    if found := run.restore():
        net.load_state_dict(found.state["net"])
        optimizer.load_state_dict(found.state["optimizer"])
        begin = found.step + 1
    for epoch in range(begin, epochs):
        optimizer.zero_grad()
        loss = net(torch.rand(16, 4)).pow(2).mean()
        loss.backward()
        optimizer.step()
        run.log(epoch, loss=loss.item())
        run.checkpoint(lambda: {"net": net.state_dict(), "optimizer": optimizer.state_dict()}, epoch)
        if epoch == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
    print("weights", net[2].weight.tolist(), torch.rand(1).item())
"""


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def checkpointing(folder: Path, **more: object) -> dict[str, Any]:
    return {"keep": 1, "every_s": 0, "metric": "", "mode": "max", "folder": str(folder), **more}


def go(
    stage: Stage, call: str, folder: Path, request: dict[str, Any] | None = None, **params: object
) -> Ended:
    return stage.run(call, params=params, checkpoint=checkpointing(folder), **(request or {}))


def weights(ended: Ended) -> str:
    assert ended.code == 0, ended.err
    return next(line for line in ended.out.splitlines() if line.startswith("weights"))


@pytest.mark.slow
def test_a_killed_training_goes_on_and_ends_with_the_weights_of_an_undisturbed_one(
    stage: Stage, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    stage.module("work", TRAIN)
    whole = go(stage, "work:train", tmp_path / "whole", epochs=6)
    assert whole.result is not None
    assert "resumed" not in whole.result
    killed = go(stage, "work:train", tmp_path / "killed", epochs=6, die_at=3)
    assert (killed.code, killed.result) == (-9, None)
    resumed = go(stage, "work:train", tmp_path / "killed", epochs=6)
    assert weights(resumed) == weights(whole)
    assert resumed.result is not None
    assert resumed.result["resumed"] == "went on from step 3 (checkpoint 4)"
    lines = resumed.out.splitlines()
    assert lines[0] == "[fiat] goes on from step 3 (checkpoint 4)"
    assert [line.rpartition("step=")[2] for line in lines if "loss=" in line] == ["4", "5"]


def test_checkpoints_in_the_checkout_are_nothing_that_the_work_depends_on(stage: Stage) -> None:
    stage.module("work", "def go(run):\n    print(run.restore())\n    run.checkpoint({'at': 1}, 1)\n")
    for _ in range(2):
        ended = go(stage, "work:go", stage.root / "store" / "c")
    assert "at': 1" in ended.out
    assert ended.result is not None
    assert ended.result["observed"] == {"read": ["code/work.py"], "absent": [], "listed": []}


def test_without_checkpoints_in_the_spec_nothing_is_kept_and_that_is_said_once(stage: Stage) -> None:
    stage.module(
        "work",
        """
        def go(run):
            print(run.restore(), run.best(), [run.checkpoint({"at": n}, n) for n in range(3)])
        """,
    )
    assert stage.run("work:go").out.splitlines() == [
        "[fiat] run.checkpoint keeps nothing: train.checkpoint is not set in the spec",
        "None None [False, False, False]",
    ]


def test_a_framework_that_keeps_its_own_has_a_folder_for_it(stage: Stage, tmp_path: Path) -> None:
    stage.module(
        "work",
        """
        def go(run):
            if run.checkpoint_dir:
                print(sorted(path.name for path in run.checkpoint_dir.glob("[!.]*")))
                (run.checkpoint_dir / "last.ckpt").write_text("mine")
                run.checkpoint({"at": 0})
            else:
                print("none")
        """,
    )
    (tmp_path / "c").mkdir()
    assert stage.run("work:go").out == "none\n"
    assert go(stage, "work:go", tmp_path / "c").out == "[]\n"
    assert "index.json', 'last.ckpt']" in go(stage, "work:go", tmp_path / "c").out


def test_the_best_is_found_by_what_was_logged_or_given(stage: Stage, tmp_path: Path) -> None:
    stage.module(
        "work",
        """
        def go(run):
            for step, value in enumerate([0.2, 0.9, 0.4]):
                run.log(step, f1=value)
                run.checkpoint({"at": step}, step)
            run.checkpoint({"at": 3}, 3, f1=0.3)
            best = run.best()
            print("best", best.state, best.step, best.metrics, run.restore().step)
        """,
    )
    ended = stage.run("work:go", checkpoint=checkpointing(tmp_path / "c", metric="f1"))
    assert ended.out.splitlines()[-1] == "best {'at': 1} 1 {'f1': 0.9} 3"


def test_a_state_whose_loss_is_no_number_does_not_replace_a_good_one(stage: Stage, tmp_path: Path) -> None:
    stage.module(
        "work",
        """
        def go(run):
            for step, loss in enumerate([0.5, float("nan"), float("inf")]):
                run.log(step, loss=loss, perplexity=float("nan"))
                run.checkpoint({"at": step}, step)
            print(run.restore().step, run.checkpoint({"at": 9}, 9, loss=0.1), run.restore().step)
        """,
    )
    lines = go(stage, "work:go", tmp_path / "c").out.splitlines()
    assert "[fiat] run.checkpoint keeps nothing while loss is no number" in lines
    assert len([line for line in lines if "keeps nothing" in line]) == 1
    assert lines[-1] == "0 True 9"


def test_a_module_is_a_state_and_not_a_function_that_makes_one(stage: Stage, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    stage.module(
        "work",
        """
        from functools import partial
        from torch import nn

        def go(run):
            net = nn.Linear(2, 1)
            for step, state in enumerate([net, net.state_dict, partial(dict, a=1), lambda: 7]):
                run.checkpoint(state, step)
                print(type(run.restore().state).__name__)
        """,
    )
    lines = go(stage, "work:go", tmp_path / "c").out.splitlines()
    assert [line for line in lines if "[fiat]" not in line] == ["Linear", "OrderedDict", "dict", "int"]


def test_batches_tell_the_throughput_and_a_failure_the_batch(stage: Stage) -> None:
    stage.module(
        "work",
        """
        import time
        def go(data, run, fail=False):
            for step, batch in enumerate(data.train.batches(8)):
                time.sleep(0.4)
                run.log(step, loss=1.0)
                if fail and step == 2:
                    raise MemoryError("Unable to allocate 7.0 TiB for an array")
        """,
    )
    folder = stage.dataset(table(72), "kind")
    given = {"data": "data.d", "datasets": {"data.d": str(folder)}}
    lines = stage.run("work:go", **given).out.splitlines()
    paces = [re.fullmatch(r"FIAT_METRIC samples_per_s=([\d.]+)( step=\d)?", line) for line in lines]
    found = [(float(match[1]), match[2]) for match in paces if match]
    # Of six steps of at least 0.4 s each not every one tells it; the last number is that of the whole.
    assert 1 <= len([step for _, step in found if step]) < 6
    assert found[-1][1] is None
    assert all(0 < pace <= 30 for pace, _ in found)
    failed = stage.run("work:go", params={"fail": True}, env={"FIAT_STEP": "train"}, **given)
    assert failed.result is not None
    message = failed.result["error"]["message"]
    assert message.startswith("step train ran out of main memory in batch 3 (8 rows): it asked for 7.0 TiB, ")
    assert failed.result["error"]["line"] == 8
    assert set(failed.result) == {"error", "observed"}


def test_numbers_of_ones_own_for_the_throughput_are_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handle = RunHandle(0, tmp_path, Gang())
    handle.count_rows(10)
    handle.log(1, samples_per_s=5.0)
    assert capsys.readouterr().out == "FIAT_METRIC samples_per_s=5.0 step=1\n"


def test_real_words_of_torch_for_a_full_memory_are_understood(stage: Stage) -> None:
    pytest.importorskip("torch")
    stage.module("work", "import torch\ndef go():\n    torch.empty(10**14)\n")
    ended = stage.run("work:go", env={"FIAT_STEP": "train"})
    assert ended.result is not None
    assert ended.result["error"]["message"].startswith(
        "step train ran out of main memory: it asked for 3.73e+05 GiB, "
    )
    assert "Traceback" in ended.err


SETTINGS = """
from pathlib import Path

def go(run):
    settings = (Path(__file__).parent.parent / "settings.json").read_text()
    found = run.restore()
    print("found", found.state if found else None)
    run.checkpoint(settings, 0 if found is None else found.step + 1)
"""


def test_a_file_of_the_checkout_that_was_read_is_part_of_what_a_checkpoint_belongs_to(
    stage: Stage, tmp_path: Path
) -> None:
    stage.module("work", SETTINGS)
    settings = stage.root / "settings.json"

    def found() -> list[str]:
        return go(stage, "work:go", tmp_path / "c").out.splitlines()

    def write(text: str) -> None:
        settings.write_text(text)
        os.utime(settings, (1e9, 1e9))

    write("one")
    assert found() == ["found None"]
    write("one")
    assert found() == ["[fiat] goes on from step 0 (checkpoint 1)", "found one"]
    write("two")
    assert found() == [
        "[fiat] step 1 (checkpoint 2) was made with another settings.json and is passed over",
        "found None",
    ]
    assert found()[1] == "found two"
    settings.unlink()
    settings.write_text("two")  # it may have been another one when it was read
    os.utime(settings, (4e9, 4e9))
    assert found()[1] == "found two"
    assert found()[-1] == "found None"


def test_steps_are_taken_as_frameworks_count_them(stage: Stage, tmp_path: Path) -> None:
    stage.module(
        "work",
        """
        import numpy as np
        def go(run, step=None):
            print(run.checkpoint({"at": 1}, np.int64(7) if step is None else step), run.restore().step)
        """,
    )
    assert go(stage, "work:go", tmp_path / "c").out.splitlines()[-1] == "True 7"
    failed = go(stage, "work:go", tmp_path / "c", step=0.5)
    assert failed.result is not None
    assert failed.result["error"]["message"].startswith(
        "run.checkpoint was given the step 0.5, expected a whole number"
    )


def test_random_numbers_of_a_library_that_comes_after_the_restore_go_on_too(
    stage: Stage, tmp_path: Path
) -> None:
    stage.module(
        "work",
        """
        def go(run, epochs):
            found = run.restore()
            for epoch in range(found.step + 1 if found else 0, epochs):
                import numpy as np
                print("drew", np.random.rand())
                run.checkpoint({}, epoch)
        """,
    )

    def drawn(folder: str, epochs: int) -> list[str]:
        lines = go(stage, "work:go", tmp_path / folder, epochs=epochs).out.splitlines()
        return [line for line in lines if line.startswith("drew")]

    whole = drawn("whole", 3)
    assert [*drawn("parts", 1), *drawn("parts", 3)] == whole
    assert len(set(whole)) == 3
