"""Several workers on this machine: the same training as one, and one end for all."""

import json
import os
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fiat.builtin.compute_local import LocalCompute
from fiat.builtin.sandbox_probe import probe_sandbox
from fiat.ports.compute import Job, JobResult, Resources, Sandbox
from fiat.testing.compute_jobs import WAIT_S, is_alive, wait_for

sys.path.insert(0, str(Path(__file__).parent))
from gang_stage import SLACK, Alone, GangStage, losses, value

VARIABLES = ["RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "CUDA_VISIBLE_DEVICES"]


@pytest.fixture(scope="module")
def compute(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCompute]:
    compute = LocalCompute(cpus=8, gpus=4, ledger=tmp_path_factory.mktemp("gpus") / "ledger")
    compute.start([])
    yield compute
    compute.close()


@pytest.fixture
def stage(tmp_path: Path) -> GangStage:
    return GangStage(tmp_path)


def run(compute: LocalCompute, job: Job) -> JobResult:
    return compute.submit(job).result(2 * WAIT_S)


def seen(job: Job, rank: int) -> dict[str, str]:
    """The environment that a worker wrote down."""
    home = job.work_dir / "workers" / str(rank) if rank else job.work_dir
    return json.loads((home / "out" / "text").read_text())  # type: ignore[no-any-return]  # a mapping of texts


@pytest.mark.slow
def test_several_workers_learn_what_one_learns_and_the_firsts_model_is_the_result(
    compute: LocalCompute, stage: GangStage, alone: Alone
) -> None:
    jobs = {workers: stage.train(workers) for workers in (2, 3)}
    futures = {workers: compute.submit(job) for workers, job in jobs.items()}
    results = {workers: future.result(2 * WAIT_S) for workers, future in futures.items()}
    assert [result.reason for result in results.values()] == ["", ""]
    assert len(alone.losses) == 27
    assert alone.losses[-2] < 0.7 * alone.losses[0]
    assert losses(results[2]) == pytest.approx(alone.losses, rel=1e-4)
    assert losses(results[3]) == pytest.approx(alone.losses, rel=SLACK), "two have 5 rows of 16, one has 6"
    assert losses(results[3])[:3] != pytest.approx(alone.losses[:3], rel=1e-4), "so they do differ"
    assert value(results[2], "weights") == pytest.approx(alone.weights, abs=1e-3)
    assert value(results[2], "rank") == 0.5
    document = json.loads((jobs[2].work_dir / "out/model/model.json").read_text())
    assert document == alone.model
    assert document["class"].endswith("Sequential")
    log = jobs[2].log_path.read_text()
    assert "rank 0 of 2 DistributedDataParallel True" in log
    assert "rank 1" not in log
    assert list((jobs[2].work_dir / "workers/1/out").iterdir()) == []
    assert "rank 1 of 2 Dist" in (jobs[2].work_dir / "workers/1.log").read_text()
    observed = results[2].result["observed"]
    assert isinstance(observed, dict)
    assert {"code/net.py", "rows.0", "rows.1"} <= set(observed["read"])
    assert "made" not in observed["read"], "the first worker made it for the others"
    assert [line for line in log.splitlines() if line.startswith("listens at")] == ["listens at 0100007F"]


@pytest.mark.slow
def test_a_worker_that_fails_ends_all_and_says_why(compute: LocalCompute, stage: GangStage) -> None:
    job = stage.call("fail", 2)
    result = run(compute, job)
    assert (result.state, result.reason) == ("failed", "worker 1 of 2 exited with code 1")
    error = result.result["error"]
    assert isinstance(error, dict)
    assert (error["type"], error["message"]) == ("ValueError", "this worker is wrong")
    lines = job.log_path.read_text().splitlines()
    told = lines.index("[fiat] worker 1 of 2 failed; its last lines:")
    assert lines[told + 1] == "[worker 1] before the fall"
    assert "[worker 1] ValueError: this worker is wrong" in lines[told:]


def test_a_worker_that_is_killed_ends_all(compute: LocalCompute, stage: GangStage) -> None:
    result = run(compute, stage.shell("if [ $RANK = 1 ]; then kill -9 $$; fi; sleep 100", 2))
    assert result.state == "failed"
    assert result.reason.startswith("worker 1 of 2 killed by signal 9 (SIGKILL)")


def test_the_loss_of_any_worker_that_is_no_number_ends_all(compute: LocalCompute, stage: GangStage) -> None:
    text = "echo FIAT_METRIC loss=1.0 step=0; [ $RANK = 0 ] || echo FIAT_METRIC loss=nan step=1; sleep 100"
    job = replace(stage.shell(text, 2), stop_on_nan=True)
    result = run(compute, job)
    assert result.state == "failed"
    assert result.reason.startswith("loss became nan at step 1: training was stopped")
    assert "[fiat] worker 1 of 2:\nFIAT_METRIC loss=nan step=1\n" in job.log_path.read_text()


def test_a_worker_whose_own_lines_are_in_the_log_does_not_hide_those_of_another_that_failed(
    compute: LocalCompute, stage: GangStage, tmp_path: Path
) -> None:
    ready = shlex.quote(str(tmp_path / "ready"))
    text = (
        f"[ $RANK = 1 ] || {{ until [ -e {ready} ]; do sleep 0.05; done; exit 3; }}; "
        f"trap 'echo the cause; exit 4' TERM; touch {ready}; sleep 100 & wait"
    )
    job = stage.shell(text, 2)
    result = run(compute, job)
    assert (result.state, result.reason) == ("failed", "worker 0 of 2 exited with code 3")
    assert "[fiat] worker 1 of 2 failed; its last lines:\n[worker 1] the cause\n" in job.log_path.read_text()


def test_no_worker_waits_for_one_that_has_failed(compute: LocalCompute, stage: GangStage) -> None:
    began = time.monotonic()
    job = stage.shell("trap '' TERM; if [ $RANK = 2 ]; then echo gone; exit 7; fi; sleep 100; true", 3)
    result = run(compute, job)
    assert (result.state, result.exit_code) == ("failed", 7)
    assert result.reason == "worker 2 of 3 exited with code 7"
    assert time.monotonic() - began < 20
    assert "[worker 2] gone" in job.log_path.read_text()


def test_a_program_that_is_not_there_is_named(compute: LocalCompute, stage: GangStage) -> None:
    job = stage.shell("true", 2)
    assert job.command is not None
    result = run(compute, replace(job, command=replace(job.command, argv=("no-such-program",))))
    assert (result.state, result.exit_code) == ("failed", 127)
    assert "could not start the workers: program 'no-such-program': No such file" in job.log_path.read_text()


def test_cancelling_ends_all_workers(compute: LocalCompute, stage: GangStage, tmp_path: Path) -> None:
    path = tmp_path / "pids"
    job = stage.shell(f"echo $$ >> {path}; exec sleep 100", 2)
    future = compute.submit(job)
    wait_for(lambda: path.exists() and len(path.read_text().split()) == 2, "both workers wait", WAIT_S)
    compute.cancel(job.id)
    assert future.result(WAIT_S).state == "cancelled"
    assert not any(is_alive(int(pid)) for pid in path.read_text().split())


def test_a_command_runs_in_every_worker_and_the_firsts_outputs_count(
    compute: LocalCompute, stage: GangStage
) -> None:
    program = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"
    text = f'echo hello $RANK; python -I -S -c "{program}" {{out}}; echo FIAT_METRIC rank=$RANK step=1'
    job = stage.shell(text, 2)
    result = run(compute, job)
    assert (result.state, result.reason) == ("done", "")
    assert value(result, "rank") == 0.5
    for rank in (0, 1):
        found = seen(job, rank)
        assert [found[name] for name in VARIABLES] == [str(rank), "2", str(rank), "2", "127.0.0.1", ""]
        assert found["OMP_NUM_THREADS"] == "1"
        assert "FIAT_STORE_FD" not in found
    assert job.log_path.read_text() == "hello 0\nFIAT_METRIC rank=0 step=1\n"
    assert (job.work_dir / "workers/1.log").read_text() == "hello 1\nFIAT_METRIC rank=1 step=1\n"


def test_each_worker_sees_its_own_gpus_and_is_the_only_one_there(
    compute: LocalCompute, stage: GangStage
) -> None:
    program = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"
    job = stage.shell(f'python -I -S -c "{program}" {{out}}', 2, Resources(cpus=2, gpus=2, workers=2))
    result = run(compute, job)
    assert (result.state, len(set(result.gpus))) == ("done", 4)
    found = [seen(job, rank) for rank in (0, 1)]
    ids = [variables["CUDA_VISIBLE_DEVICES"].split(",") for variables in found]
    assert [len(part) for part in ids] == [2, 2]
    assert sorted(ids[0] + ids[1]) == sorted(result.gpus)
    assert [variables["LOCAL_RANK"] for variables in found] == ["0", "0"]
    assert [variables["LOCAL_WORLD_SIZE"] for variables in found] == ["1", "1"]


@pytest.mark.slow
def test_workers_in_a_sandbox_without_the_network_meet(compute: LocalCompute, stage: GangStage) -> None:
    probe = probe_sandbox()
    if not probe.ok:
        if os.environ.get("CI"):
            pytest.fail(f"{probe.found}; CI must test the sandbox")
        pytest.skip(probe.found)
    job = stage.call("meet", 2)
    assert job.command is not None
    box = Sandbox("bubblewrap", read_only=(stage.root,), writable=(job.work_dir,), network=False)
    result = run(compute, replace(job, command=replace(job.command, sandbox=box)))
    assert (result.state, result.reason) == ("done", "")
    assert value(result, "ranks") == 1.0
