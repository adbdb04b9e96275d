"""Checkpoints of several workers: one writes, all go on from the same, also when there are more or fewer of them."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fiat.builtin.compute_local import LocalCompute
from fiat.ports.compute import JobResult
from fiat.testing.compute_jobs import WAIT_S

sys.path.insert(0, str(Path(__file__).parent))
from child_stage import table
from gang_stage import GangStage, losses, value

WORK = """
import os, signal
import torch

def train(data, run, die=False):
    torch.manual_seed(3)
    net = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    model = run.parallel(net)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    begin = 0
    if found := run.restore():
        model.load_state_dict(found.state["model"])
        optimizer.load_state_dict(found.state["optimizer"])
        begin = found.step + 1
    for epoch in range(begin, 6):
        for batch in data.train.batches(16, shuffle=epoch):
            rows, kinds = torch.from_numpy(batch.features), torch.from_numpy(batch.codes)
            loss = torch.nn.functional.cross_entropy(model(rows), kinds)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        run.log(epoch, loss=loss.item())
        run.checkpoint({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, epoch)
        if die and epoch == 3 and run.rank == run.workers - 1:
            os.kill(os.getpid(), signal.SIGKILL)
    run.log(weights=torch.cat([part.flatten() for part in net.parameters()]).abs().sum().item())

def choose(run):
    # The others are far ahead of the first one each time that they ask.
    import time
    for step, value in enumerate([0.1, 0.9, 0.5]):
        if run.rank == 0:
            time.sleep(0.5)
        run.checkpoint({"at": step}, step, f1=value)
        run.log(step, best=run.best().step, newest=run.restore().step)
    if run.rank == 0:
        run.log(alone=run.best().step)

def mistake(run):
    if run.rank == 1:
        run._checkpoints._choice._wait_s = 1.0
        run.restore()
"""


@pytest.fixture(scope="module")
def compute(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCompute]:
    compute = LocalCompute(cpus=8, gpus=0, ledger=tmp_path_factory.mktemp("gpus") / "ledger")
    compute.start([])
    yield compute
    compute.close()


@pytest.fixture
def stage(tmp_path: Path) -> GangStage:
    return staged(tmp_path)


@pytest.fixture(scope="module")
def whole(compute: LocalCompute, tmp_path_factory: pytest.TempPathFactory) -> JobResult:
    """The training of one worker that nobody disturbs."""
    folder = tmp_path_factory.mktemp("whole")
    result = go(compute, staged(folder), "train", 1, folder / "checkpoints")
    assert (result.reason, result.resumed) == ("", "")
    return result


def staged(folder: Path) -> GangStage:
    pytest.importorskip("torch")
    stage = GangStage(folder)
    stage.module("net", WORK)
    stage.dataset(table(192), "kind")
    return stage


def go(
    compute: LocalCompute, stage: GangStage, call: str, workers: int, folder: Path, **params: object
) -> JobResult:
    job = stage.call(
        call,
        workers,
        params=params,
        datasets={"data.d": str(stage.work / "in" / "data.d")},
        data="data.d",
        checkpoint={"keep": 1, "every_s": 0, "metric": "", "mode": "max", "folder": str(folder)}
        | ({"metric": "f1"} if call == "choose" else {}),
    )
    return compute.submit(job).result(WAIT_S)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_a_training_goes_on_with_another_number_of_workers(
    compute: LocalCompute, stage: GangStage, whole: JobResult, tmp_path: Path, before: int, after: int
) -> None:
    killed = go(compute, stage, "train", before, tmp_path / "killed", die=True)
    assert killed.state in ("failed", "lost")
    resumed = go(compute, stage, "train", after, tmp_path / "killed")
    assert (resumed.reason, resumed.resumed) == ("", "went on from step 3 (checkpoint 4)")
    assert losses(resumed) == pytest.approx(losses(whole)[4:], abs=1e-4)
    assert value(resumed, "weights") == pytest.approx(value(whole, "weights"), abs=1e-3)


@pytest.mark.slow
def test_all_workers_take_what_the_first_one_takes_and_it_waits_for_nobody(
    compute: LocalCompute, stage: GangStage, tmp_path: Path
) -> None:
    result = go(compute, stage, "choose", 2, tmp_path / "c")
    assert result.reason == ""
    found = {(metric.name, metric.step): metric.value for metric in result.metrics}
    assert [found["best", step] for step in range(3)] == [0, 1, 1]
    assert [found["newest", step] for step in range(3)] == [0, 1, 2]
    assert found["alone", None] == 1


@pytest.mark.slow
def test_a_worker_that_asks_without_the_first_one_is_told(
    compute: LocalCompute, stage: GangStage, tmp_path: Path
) -> None:
    result = go(compute, stage, "mistake", 2, tmp_path / "c")
    assert result.state == "failed"
    error = result.result["error"]
    assert isinstance(error, dict)
    assert "worker 1 called run.restore, but worker 0 did not within 1 s" in error["message"]
