"""Studies for tests: trials that are one line of Python, and what they leave behind."""

import json
import sys
from dataclasses import replace
from pathlib import Path

from fiat.builtin.compute_ray import RayCompute
from fiat.builtin.study_ledger import Ledger, Trial
from fiat.ports.compute import Command, Job, JobResult, Resources, Study
from fiat.spec.search_space import Space

WAIT_S = 120.0
_HEAD = """
import json, os, sys, time
p = json.loads(os.environ["FIAT_PARAMS"])
with open(os.environ["STARTS"], "a") as file:
    file.write(json.dumps([os.getpid(), time.monotonic(), p]) + chr(10))
def say(name, value, step=None):
    print(f"FIAT_METRIC {name}={value}" + ("" if step is None else f" step={step}"), flush=True)
"""


class Stage:
    """One study in a folder, run as often as a test wants.

    Attributes:
        folder: where everything of it is.
        starts: file with a line for each child that was started.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.starts = folder / "starts"
        self._attempts = 0
        (folder / "ledger").mkdir()

    def job(
        self,
        code: str,
        space: Space,
        resources: Resources | None = None,
        *,
        secret: str = "",
        **study: object,
    ) -> Job:
        """The next attempt at the study.

        Args:
            code: what each trial does, with its parameters as `p` and `say(name, value, step)`.
            space: as `tune.search` of a spec has it.
            resources: of each trial.
            secret: in the environment of each.
            **study: fields of `Study` that are not as below.
        """
        self._attempts += 1
        work = self.folder / f"work{self._attempts}"
        for name in ("in", "out", "tmp"):
            (work / name).mkdir(parents=True)
        plan = Study(
            space=space,
            metric="score",
            mode="max",
            trials=4,
            parallel=2,
            stop="none",
            sampler="random",
            seed=0,
            timeout_s=None,
            ledger=self.folder / "ledger",
            best=work / "out" / "best",
            trials_file=work / "out" / "trials",
        )
        env = {
            "PATH": "/usr/bin:/bin",
            "SECRET": secret,
            "HOME": str(work),
            "TMPDIR": str(work / "tmp"),
            "STARTS": str(self.starts),
            "FIAT_PARAMS": json.dumps({"fixed": 1}),
            "FIAT_OUTPUTS": json.dumps({"model": str(work / "out" / "model")}),
        }
        argv = (sys.executable, "-I", "-S", "-c", _HEAD + code)
        return Job(
            id=f"run.tune.{self._attempts}",
            step="tune",
            resources=resources or Resources(cpus=1),
            log_path=self.folder / "tune.log",
            work_dir=work,
            timeout_s=90.0,
            command=Command(argv, self.folder, env, secrets=(secret,) if secret else ()),
            study=replace(plan, **study),  # type: ignore[arg-type]  # given by tests
        )

    def kept(self, job: Job) -> Job:
        """The job with checkpoints, which all attempts share."""
        assert job.command is not None
        folder = self.folder / "checkpoints"
        folder.mkdir(exist_ok=True)
        env = {**job.command.env, "FIAT_CHECKPOINTS": str(folder)}
        return replace(job, checkpoints=folder, command=replace(job.command, env=env))

    def run(self, state_dir: Path, job: Job) -> JobResult:
        """Run an attempt to its end on a warm Ray."""
        compute = RayCompute(state_dir)
        try:
            compute.start([job.resources])
            return compute.submit(job).result(WAIT_S)
        finally:
            compute.close()

    def started(self) -> list[dict[str, object]]:
        """Parameters of each child that was started, in order."""
        return [params for _, _, params in self._lines()]

    def pids(self) -> list[int]:
        """Process ids of each child that was started, in order."""
        return [pid for pid, _, _ in self._lines()]

    def _lines(self) -> list[tuple[int, float, dict[str, object]]]:
        lines = self.starts.read_text().splitlines() if self.starts.exists() else []
        return [json.loads(line) for line in lines]

    def trials(self) -> list[Trial]:
        """What the ledger remembers."""
        return Ledger(self.folder / "ledger").trials()

    def log(self) -> str:
        """What the study said."""
        return (self.folder / "tune.log").read_text()


def best_in(job: Job) -> dict[str, object]:
    """The best trial that an attempt wrote down."""
    assert job.study is not None
    found: dict[str, object] = json.loads(job.study.best.read_text())
    return found
