"""Jobs of several workers: a checkout with torch code in it, laid out as the engine does."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from child_stage import Stage, table

from fiat.builtin.compute_local import LocalCompute
from fiat.ports.compute import Command, Job, JobResult, Resources
from fiat.testing.compute_jobs import WAIT_S

CODE = """
import os
import torch
import torch.distributed as dist

def train(data, run):
    torch.manual_seed(3)
    model = run.parallel(torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    step = 0
    for epoch in range(3):
        for batch in data.train.batches(16, shuffle=epoch):
            rows, kinds = torch.from_numpy(batch.features), torch.from_numpy(batch.codes)
            loss = torch.nn.functional.cross_entropy(model(rows), kinds)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.log(step, loss=loss.item())
            step += 1
    weights = torch.cat([part.flatten() for part in model.parameters()]).sum()
    run.log(weights=weights.item(), rank=run.rank)
    print("rank", run.rank, "of", run.workers, type(model).__name__, dist.is_initialized())
    if run.workers > 1:
        read(run)
        doors(run)
        dist.barrier()
    return model

def read(run):
    # Each has a file of its own, and the first one makes one for all.
    open(f"rows.{run.rank}").close()
    if not run.rank:
        open("made", "w").close()
    dist.barrier()
    open("made").close()

def doors(run):
    # At which addresses the store of the workers listens.
    port = f":{int(os.environ['MASTER_PORT']):04X}"
    for table in ("tcp", "tcp6"):
        for line in open(f"/proc/net/{table}").read().splitlines()[1:]:
            place, state = line.split()[1], line.split()[3]
            if place.endswith(port) and state == "0A":
                print("listens at", place.removesuffix(port))

def meet(run):
    ranks = torch.tensor([float(run.rank)])
    dist.all_reduce(ranks)
    run.log(1, ranks=ranks.item())

def fail(run):
    if run.rank == 1:
        print("before the fall")
        raise ValueError("this worker is wrong")
    dist.all_reduce(torch.ones(1))
"""
SLACK = 0.1
"""How far the losses of several workers may be from those of one, of their value, where parts differ by a row."""


class GangStage(Stage):
    """A checkout with a small net, and jobs of it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.module("net", CODE)
        self._made = 0

    def call(self, call: str, workers: int, *, role: str = "step", **more: Any) -> Job:
        """A job that calls a function of the module in each worker."""
        work = self._folder()
        outputs = {"model": str(work / "out" / "model")}
        request = self.request(f"net:{call}", role, outputs=outputs, result=str(work / "result.json"), **more)
        (work / "request.json").write_text(json.dumps(request))
        argv = (sys.executable, "-m", "fiat.builtin.child", str(work / "request.json"))
        return self._job(work, argv, workers, result_path=work / "result.json")

    def shell(self, text: str, workers: int, resources: Resources | None = None) -> Job:
        """A job that runs a line of shell in each worker; `{out}` is the path of its output."""
        work = self._folder()
        text = text.replace("{out}", str(work / "out" / "text"))
        return self._job(work, ("/bin/sh", "-ec", text), workers, resources=resources)

    def train(self, workers: int) -> Job:
        """The training of the small net."""
        folder = self.work / "in" / "data.d"
        if not folder.exists():
            self.dataset(table(195), "kind")  # 130 to train with: two of them are left for the last batch
            for rank in range(4):
                (self.root / f"rows.{rank}").touch()
        return self.call("train", workers, role="train", datasets={"data.d": str(folder)}, data="data.d")

    def _folder(self) -> Path:
        self._made += 1
        work = self.work / f"train.{self._made}"
        for name in ("out", "tmp"):
            (work / name).mkdir(parents=True)
        return work

    def _job(
        self,
        work: Path,
        argv: tuple[str, ...],
        workers: int,
        *,
        result_path: Path | None = None,
        resources: Resources | None = None,
    ) -> Job:
        env = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(work),
            "TMPDIR": str(work / "tmp"),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "OMP_NUM_THREADS": "1",
        }
        command = Command(argv, self.root, env, result_path)
        need = resources or Resources(workers=workers)
        return Job(f"r.train.{self._made}", "train", need, work / "log", work, command=command)


def losses(result: JobResult) -> list[float]:
    """The curve of a training."""
    return [metric.value for metric in result.metrics if metric.name == "loss"]


def value(result: JobResult, name: str) -> float:
    """The only value of a metric."""
    (found,) = (metric.value for metric in result.metrics if metric.name == name)
    return found


@dataclass(frozen=True)
class Alone:
    """What one worker learns.

    Attributes:
        losses: by step.
        weights: their sum at the end.
        model: what is said of the model that was saved.
        peak_memory_bytes: of its process.
    """

    losses: list[float]
    weights: float
    model: dict[str, str]
    peak_memory_bytes: int


def learn_alone(folder: Path) -> Alone:
    """Train the small net with one worker."""
    (folder / "stage").mkdir()
    compute = LocalCompute(cpus=1, gpus=0, ledger=folder / "ledger")
    compute.start([])
    try:
        job = GangStage(folder / "stage").train(1)
        result = compute.submit(job).result(2 * WAIT_S)
    finally:
        compute.close()
    assert result.state == "done", result.reason
    document = json.loads((job.work_dir / "out/model/model.json").read_text())
    return Alone(losses(result), value(result, "weights"), document, result.peak_memory_bytes)
