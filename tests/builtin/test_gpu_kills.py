"""Several processes share two GPUs while they, their supervisors, runners and jobs are killed at random.

That no two meet is seen by something that knows nothing of the ledger: each job locks as many quarters of its GPUs as it
was given, in files, and says so when they are taken. The kernel unlocks them when it dies.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fiat.builtin import job_tree
from fiat.builtin.compute_local import LocalCompute
from fiat.builtin.gpu_ledger import GpuLedger
from fiat.ports.compute import Resources
from fiat.testing.compute_jobs import WAIT_S, Jobs, is_alive, wait_for

ROOT = Path(__file__).parents[2]
_KILLS = 60

_JOB = """
import fcntl, os, sys, time
folder, quarters, lasting_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
held = []
def lock(gpu, wanted):
    for slot in range(4):
        if wanted and (gpu, slot) not in [name for name, _ in held]:
            file = open(f"{folder}/{gpu}.{slot}", "a")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            held.append(((gpu, slot), file))
            wanted -= 1
    return wanted
for gpu in os.environ["CUDA_VISIBLE_DEVICES"].split(","):
    if lock(gpu, lock(gpu, quarters)):  # a second time: one may have ended while we looked
        open(f"{folder}/met", "a").write(f"{os.getpid()} on {gpu}\\n")
open(f"{folder}/ran", "a").write(f"{len(held)}\\n")
time.sleep(lasting_s)
"""

_RUN = """
import random, sys
from pathlib import Path
from fiat.builtin.compute_local import LocalCompute
from fiat.ports.compute import Resources
from fiat.testing.compute_jobs import Jobs
job, folder, own, seed = open(sys.argv[1]).read(), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
chance = random.Random(seed)
compute = LocalCompute(cpus=64, gpus=("0", "1"), ledger=Path(folder) / "gpus")
jobs = Jobs(own)
compute.start([])
futures = []
for n in range(14):
    gpus = chance.choice([0.25, 0.5, 0.75, 1, 2])
    need = Resources(cpus=0, gpus=gpus, priority=chance.choice([0, 0, 1]))
    quarters = str(round(min(gpus, 1) * 4))
    futures.append(compute.submit(jobs.python(job, folder, quarters, str(chance.uniform(0.0, 0.1)), resources=need)))
print(" ".join(future.result().state for future in futures), flush=True)
compute.close()
"""


def _start(folder: Path, seed: int) -> subprocess.Popen[str]:
    own = folder / f"run{seed}"
    own.mkdir()
    arguments = [str(folder / "job.py"), str(folder), str(own), str(seed)]
    return subprocess.Popen(
        [sys.executable, "-c", _RUN, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _kill_one(runs: list[subprocess.Popen[str]], chance: random.Random) -> None:
    """A run, or any process below one: supervisor, runner or job."""
    run = chance.choice(runs)
    below = job_tree.descendants(run.pid)
    victim = run.pid if not below or chance.random() < 0.4 else chance.choice(below)
    with contextlib.suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [6, 7])
def test_whoever_is_killed_no_two_ever_meet_on_a_gpu_and_none_is_lost(tmp_path: Path, seed: int) -> None:
    (tmp_path / "job.py").write_text(_JOB)
    chance = random.Random(seed)
    n_runs, killed = 0, 0
    runs: list[subprocess.Popen[str]] = []
    below: set[int] = set()
    try:
        while killed < _KILLS:
            runs = [run for run in runs if run.poll() is None]
            while len(runs) < 3:
                n_runs += 1
                runs.append(_start(tmp_path, 1000 * seed + n_runs))
            time.sleep(chance.uniform(0.02, 0.25))
            for run in runs:
                below.update(job_tree.descendants(run.pid))
            _kill_one(runs, chance)
            killed += 1
            assert not (tmp_path / "met").exists(), (tmp_path / "met").read_text()
        for run in runs:
            run.wait(WAIT_S)
    finally:
        for run in runs:
            run.kill()
            run.communicate()
    wait_for(lambda: not any(is_alive(pid) for pid in below), "all that they started has ended", WAIT_S)
    assert not (tmp_path / "met").exists(), (tmp_path / "met").read_text()
    assert len((tmp_path / "ran").read_text().splitlines()) > 10
    assert GpuLedger(tmp_path / "gpus").look() == ((), ())
    assert [path.name for path in (tmp_path / "gpus").iterdir()] == ["lock"]


def test_a_gpu_is_free_as_soon_as_the_process_that_had_it_is_killed(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(_JOB.replace("time.sleep(lasting_s)", "time.sleep(100)"))
    run = _start(tmp_path, 1)
    wait_for(lambda: (tmp_path / "ran").exists(), "a job has a GPU", WAIT_S)
    run.kill()
    run.communicate()
    compute = LocalCompute(cpus=1, gpus=("0", "1"), ledger=tmp_path / "gpus")
    jobs = Jobs(tmp_path)
    both = Resources(cpus=0, gpus=2)
    compute.start([both])
    try:
        result = compute.submit(jobs.python(_JOB, str(tmp_path), "4", "0", resources=both)).result(WAIT_S)
    finally:
        compute.close()
    assert (result.state, result.gpus) == ("done", ("0", "1"))
    assert not (tmp_path / "met").exists()


_ONE = """
import sys
from pathlib import Path
from fiat.builtin.compute_local import LocalCompute
from fiat.ports.compute import Resources
from fiat.testing.compute_jobs import Jobs
folder = Path(sys.argv[1])
need = Resources(cpus=0, gpus=0.5)
compute = LocalCompute(cpus=1, gpus=("0",), ledger=folder / "gpus")
compute.start([need])
code = "import pathlib, time; pathlib.Path('runs').touch(); time.sleep(100)"
compute.submit(Jobs(folder).python(code, resources=need)).result()
"""


def test_a_gpu_is_not_free_before_all_that_used_it_has_ended(tmp_path: Path) -> None:
    run = subprocess.Popen([sys.executable, "-c", _ONE, str(tmp_path)], cwd=ROOT)
    ledger = GpuLedger(tmp_path / "gpus")
    wait_for(lambda: (tmp_path / "runs").exists(), "the job runs", WAIT_S)
    supervisor, runner, job = job_tree.descendants(run.pid)
    try:
        os.kill(runner, signal.SIGSTOP)  # as on a machine that has no time for it
        run.kill()
        run.wait()
        wait_for(lambda: not is_alive(supervisor), "the supervisor has ended", WAIT_S)
        assert is_alive(job)
        ((held,), _) = ledger.look()
        assert (held.keys, held.share) == (("0",), 0.5)
    finally:
        os.kill(runner, signal.SIGCONT)
    wait_for(lambda: not is_alive(job), "the job has ended", WAIT_S)
    wait_for(lambda: ledger.look() == ((), ()), "the GPU is free", WAIT_S)


def test_a_gpu_is_not_free_before_what_a_killed_runner_left_has_ended(tmp_path: Path) -> None:
    run = subprocess.Popen([sys.executable, "-c", _ONE, str(tmp_path)], cwd=ROOT)
    ledger = GpuLedger(tmp_path / "gpus")
    wait_for(lambda: (tmp_path / "runs").exists(), "the job runs", WAIT_S)
    supervisor, runner, _ = job_tree.descendants(run.pid)
    try:
        os.kill(supervisor, signal.SIGSTOP)  # it is what ends what a runner leaves
        os.kill(runner, signal.SIGKILL)
        run.wait(WAIT_S)  # it was told that its job is lost, and has nothing else to do
        assert len(ledger.look()[0]) == 1
    finally:
        os.kill(supervisor, signal.SIGCONT)
    wait_for(lambda: ledger.look() == ((), ()), "the GPU is free", WAIT_S)


_STEP = """\
  {name}:
    run: "python job.py {folder} {quarters} 0.2; touch {{out.o}}"
    out: {{o: file}}
    resources: {{gpus: {gpus}, cpus: 0.1}}
"""


def _project(folder: Path, name: str) -> Path:
    root = folder / name
    root.mkdir()
    (root / "job.py").write_text(_JOB)
    steps = "".join(
        _STEP.format(name=f"s{n}", folder=folder, quarters=round(min(gpus, 1) * 4), gpus=gpus)
        for n, gpus in enumerate((0.5, 2, 0.75, 1))
    )
    (root / "spec.yaml").write_text(f"fiat: 1\nname: {name}\nsteps:\n{steps}")
    return root


def _fiat_run(folder: Path, root: Path, compute: str) -> subprocess.Popen[str]:
    env = {
        **os.environ,
        "FIAT_COMPUTE": compute,
        "CUDA_VISIBLE_DEVICES": "0,1",
        "FIAT_GPU_LEDGER": str(folder / "gpus"),
    }
    command = [sys.executable, "-m", "fiat", "run", "spec.yaml"]
    return subprocess.Popen(
        command, cwd=root, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.slow
def test_three_real_runs_share_two_gpus_one_on_ray_and_one_killed_on_its_way(tmp_path: Path) -> None:
    roots = {compute: _project(tmp_path, compute) for compute in ("local", "ray", "killed")}
    killed = _fiat_run(tmp_path, roots["killed"], "local")
    runs = [_fiat_run(tmp_path, roots[compute], compute) for compute in ("local", "ray")]
    try:
        wait_for(lambda: (tmp_path / "ran").exists(), "one has a GPU", 2 * WAIT_S)
        killed.kill()
        killed.wait()
        runs.append(_fiat_run(tmp_path, roots["killed"], "local"))
        for run in runs:
            said = run.communicate(timeout=2 * WAIT_S)[0]
            assert run.returncode == 0, said
    finally:
        for run in (killed, *runs):
            run.kill()
            run.wait()
    assert not (tmp_path / "met").exists(), (tmp_path / "met").read_text()
    assert len((tmp_path / "ran").read_text().splitlines()) >= 12
    assert GpuLedger(tmp_path / "gpus").look() == ((), ())
