"""Workers that freeze, that are killed by what they run, and Ray that dies under them."""

import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.e2e.runner_process import RunnerProcess
from tests.faults.runner_shim import HOUR_S, Shim
from tests.faults.runner_tiny import CHAIN, UMBRELLA, TinyRunner, free_port, tiny_runner
from tests.store.conftest import PostgresCluster, postgres

__all__ = ["postgres"]  # the fixture

pytestmark = pytest.mark.slow
SPEC = "specs/chain/spec.yaml"
# The first of its ancestors that is a worker.
ASSASSIN = """\
fiat: 1
name: poison
steps:
  poison:
    run: >-
      echo poison poison $FIAT_RUN >> {ledger}; p=$PPID;
      while [ $p -gt 1 ]; do
      if tr '\\\\0' ' ' < /proc/$p/cmdline | grep -q fiat.wiring.worker; then kill -9 $p; fi;
      p=$(cut -d' ' -f4 /proc/$p/stat);
      done; sleep 30; echo > {{out.o}}
    out: {{o: file}}
    code: []
"""


def jobs_of(worker: psutil.Process) -> list[psutil.Process]:
    """Processes of the user's code below a worker, or that were."""
    return [child for child in worker.children(recursive=True) if child.name() in ("sh", "sleep")]


def busy_worker(tiny: TinyRunner) -> psutil.Process:
    """The worker that has a job."""
    found = [worker for worker in tiny.workers() if jobs_of(worker)]
    assert len(found) == 1, found
    return found[0]


def test_a_worker_that_freezes_beyond_its_lease_is_killed_with_its_job_and_another_goes_on(
    tmp_path: Path,
) -> None:
    with tiny_runner(tmp_path, workers=2, lease="3s") as tiny:
        tiny.watch_results()
        tiny.stage.start()
        pushed = tiny.push({SPEC: tiny.chain("frozen", sleep_s=2)})
        tiny.wait_executed("two", "frozen")
        worker = busy_worker(tiny)
        jobs = jobs_of(worker)
        worker.suspend()
        began = time.monotonic()
        tiny.wait_final(pushed.commit)
        assert time.monotonic() - began > 2
        assert tiny.state_of(pushed.commit) == "success"
        assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
        _, left = psutil.wait_procs(jobs, timeout=5)
        assert left == []
        assert tiny.executions() == {("one", "frozen"): 1, ("two", "frozen"): 2, ("three", "frozen"): 1}
        (run,) = tiny.stage.runs_of(pushed.commit)
        assert run["attempt"] >= 1
        assert "was silent" in tiny.stage.log
        tiny.check_world()
        tiny.check_database()


def test_a_frozen_runner_of_another_host_with_another_clock_is_fenced_out_when_it_wakes_up(
    tmp_path: Path, postgres: PostgresCluster
) -> None:
    shim = Shim(tmp_path)
    with tiny_runner(tmp_path, lease="3s", database_url=postgres.new_database()) as tiny:
        tiny.watch_results()
        tiny.add_models(1, 2)
        stage = tiny.stage
        stage.start()
        first = tiny.push(tiny.scale(1) | {SPEC: tiny.chain("first")})
        tiny.wait_final(first.commit)
        stage.stop()
        # The same runner on another host, with a clock an hour ahead: it freezes in the middle of a deploy and of a step.
        elsewhere = RunnerProcess(
            tmp_path,
            stage.settings,
            stage.environment | shim.environment("elsewhere", HOUR_S, "elsewhere"),
            stage.port,
        )
        elsewhere.start()
        with tiny.target_held():
            second = tiny.push(tiny.scale(2) | {SPEC: tiny.chain("second", first_s=40)})
            stage.wait(lambda: "deploy" in phases(tiny, second.commit), "the deploy to begin", 60)
            tiny.wait_executed("one", "second")
            frozen = [one for one in tiny.processes() if one.environ().get("HOST_NAME") == "elsewhere"]
            workers = [one for one in frozen if "fiat.wiring.worker" in one.cmdline()]
            jobs = [job for worker in workers for job in jobs_of(worker)]
            assert len(workers) == 2
            assert jobs
            for process in frozen:
                process.suspend()
            stage.port = free_port()
            stage.settings["listen"] = {"port": stage.port}
            stage.start(config="here.yaml")
            taken = "SELECT COUNT(*) FROM queue WHERE state <> 'done' AND worker LIKE 'elsewhere:%'"
            stage.wait(lambda: tiny.execute(taken) == [(0,)], "the leases to end", 60)
            tiny.stage.wait(lambda: tiny.executions()["one", "second"] == 2, "the step to be taken over", 60)
            for process in frozen:
                process.resume()
            _, left = psutil.wait_procs(workers, timeout=20)
            assert left == [], "a worker that lost its claim lives on"
            _, left = psutil.wait_procs(jobs, timeout=5)
            assert left == [], "its job lives on"
        tiny.wait_final(second.commit, timeout_s=120)
        assert tiny.state_of(second.commit) == "success", tiny.said(second.commit, UMBRELLA)
        assert tiny.deployed_factor() == 2
        assert tiny.generation() == 2
        elsewhere.stop()
        # What comes now is newer, though the other host's clock was ahead.
        third = tiny.push(tiny.scale(1))
        tiny.wait_final(third.commit)
        assert tiny.deployed_factor() == 1
        assert tiny.generation() == 3
        tiny.check_world()
        tiny.check_database()
        assert tiny.executions()["two", "second"] == 1


def phases(tiny: TinyRunner, commit: str) -> set[str]:
    rows = tiny.execute(f"SELECT phase FROM queue WHERE commit_id = '{commit}' AND state = 'running'")
    return {str(row[0]) for row in rows}


def test_a_run_that_kills_its_worker_each_time_is_parked_while_others_go_on(tmp_path: Path) -> None:
    with tiny_runner(tmp_path, workers=2, limits={"attempts": 3}) as tiny:
        tiny.watch_results()
        tiny.stage.start()
        poison = ASSASSIN.format(ledger=tiny.ledger)
        first = tiny.push({"specs/poison/spec.yaml": poison, SPEC: tiny.chain("beside")})
        tiny.stage.wait(lambda: tiny.is_final(first.commit, CHAIN), "the other spec to be over", 60)
        assert tiny.state_of(first.commit, CHAIN) == "success"
        later = tiny.push({SPEC: tiny.chain("later")}, "other")
        tiny.stage.wait(lambda: tiny.is_final(later.commit, CHAIN), "a later commit to be over", 60)
        tiny.wait_final(first.commit)
        assert tiny.state_of(first.commit) == "error"
        said = tiny.stage.description(first.commit, "fiat/push/poison")
        assert said.startswith("given up after 3 tries without progress: its worker died"), said
        assert tiny.executions()["poison", "poison"] >= 3
        poisoned = [run for run in tiny.stage.runs_of(first.commit) if run["spec"] == "poison"]
        assert [(run["state"], run["verdict"]) for run in poisoned] == [("done", "error")]
        tiny.wait_final(*(pushed.commit for pushed in tiny.told))
        tiny.check_world()
        tiny.stage.stop()
        tiny.check_no_orphans()


def test_ray_that_dies_under_a_run_is_started_again_and_the_run_ends_well(tmp_path: Path) -> None:
    with tiny_runner(tmp_path, workers=1) as tiny:
        tiny.watch_results()
        tiny.stage.settings["compute"] = "ray"
        tiny.stage.start(ready_s=120)
        for what in ("raylet", "gcs_server"):
            pushed = tiny.push({SPEC: tiny.chain(what, sleep_s=2)})
            tiny.wait_executed("two", what)
            victims = [process for process in tiny.processes() if process.name() == what]
            assert victims, f"there is no {what}"
            for victim in victims:
                victim.send_signal(signal.SIGKILL)
            tiny.wait_final(pushed.commit, timeout_s=120)
            assert tiny.state_of(pushed.commit) == "success", (what, tiny.said(pushed.commit, UMBRELLA))
            assert tiny.executions()["one", what] == 1
        tiny.check_world()
        tiny.check_database()
        tiny.stage.stop()
        tiny.check_no_orphans()
