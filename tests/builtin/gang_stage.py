"""Jobs of several workers: a checkout with torch code in it, laid out as the engine does."""

import json
import sys
from pathlib import Path
from typing import Any

from child_stage import Stage, table

from fiat.ports.compute import Command, Job, JobResult, Resources

CODE = """
import os, signal, sys, time
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
    return model

def fail(run):
    if run.rank == 1:
        print("before the fall")
        raise ValueError("this worker is wrong")
    dist.all_reduce(torch.ones(1))

def wait(run, path):
    dist.barrier()
    with open(path, "a") as file:
        file.write(f"{os.getpid()} ")
    time.sleep(100)

def doors(run):
    # At which addresses the store of the workers listens.
    port = f":{int(os.environ['MASTER_PORT']):04X}"
    for table in ("tcp", "tcp6"):
        for line in open(f"/proc/net/{table}").read().splitlines()[1:]:
            place, state = line.split()[1], line.split()[3]
            if place.endswith(port) and state == "0A":
                print("listens at", place.removesuffix(port))

def lose(run):
    for step in range(3):
        run.log(step, loss=float("nan") if run.rank == 1 and step == 1 else 1.0)
    time.sleep(100)

def die(run):
    if run.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    dist.all_reduce(torch.ones(1))
"""


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
            self.dataset(table(192), "kind")
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
