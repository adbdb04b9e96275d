"""What every compute must do: derive a test class from `ComputeSuite` and give it a `compute` fixture.

    class TestMine(ComputeSuite):
        @pytest.fixture
        def compute(self):
            compute = MyCompute(cpus=4, gpus=2)
            yield compute
            compute.close()

The compute must have at least four CPUs and exactly two GPUs (logical ones do). `ComputeBasics` is the part
that an in-process fake can pass too.
"""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from fiat.errors import EnvironmentFault
from fiat.ports.compute import Command, Compute, Job, JobResult, Resources
from fiat.ports.step import StepContext

CANARY = "FIAT_SUITE_CANARY"
WAIT_S = 60.0

_STEP_MODULE = """
import os, signal, sys, time
from fiat.errors import SpecError
from fiat.ports.step import StepOutcome
from fiat.run.model import Metric

class SuiteStep:
    name, version, packages = "suite", "1", ()

    def run(self, context):
        what = context.params["do"]
        print("step says", what)
        if what == "spec":
            raise SpecError("the label is missing", hint="name one")
        if what == "bug":
            raise ZeroDivisionError("by zero")
        if what == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if what == "sleep":
            time.sleep(60)
        context.outputs["out"].write_text(os.environ.get("FIAT_SUITE_CANARY", "clean"))
        return StepOutcome((Metric("rows", 3.0),), {"pid": os.getpid()})
"""


def plant_step(folder: Path) -> None:
    """Install a step plugin of the kind `suite` into a folder that shall be put on `sys.path`."""
    about = folder / "fiat_suite_step-1.dist-info"
    about.mkdir(parents=True)
    (folder / "fiat_suite_step.py").write_text(_STEP_MODULE)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: fiat-suite-step\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[fiat.step]\nsuite = fiat_suite_step:SuiteStep\n")


def is_alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: it does not in time.
    """
    give_up_at = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up_at, f"not in {timeout_s:g} s: {what}"
        time.sleep(0.02)


class Jobs:
    """Makes jobs in a scratch folder.

    Attributes:
        folder: where the jobs run and write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made = 0

    def python(self, code: str, *args: str, **settings: object) -> Job:
        """A job that runs a piece of Python with only `env` (default: PATH) around it."""
        env = settings.pop("env", {"PATH": "/usr/bin:/bin"})
        command = Command((sys.executable, "-I", "-S", "-c", code, *args), self.folder, env)  # type: ignore[arg-type]  # given by tests
        return self._job(command=command, **settings)

    def trusted(self, what: str, **settings: object) -> Job:
        """A job that runs the planted step."""
        root = self.folder
        self._made += 1
        out = root / f"out{self._made}"
        context = StepContext("suite", {"do": what}, {}, {"out": out}, root, root)
        return self._job(task=context, **settings)

    def log(self, job: Job) -> str:
        """What the job printed."""
        return job.log_path.read_text(encoding="utf-8")

    def _job(self, **settings: object) -> Job:
        self._made += 1
        name = f"job{self._made}"
        work = self.folder / f"work-{name}"
        work.mkdir()
        settings.setdefault("resources", Resources())
        return Job(name, name, log_path=self.folder / f"{name}.log", work_dir=work, **settings)  # type: ignore[arg-type]  # checked by Job's own fields


class ComputeBasics:
    """What a compute and a fake of it must do."""

    @pytest.fixture(autouse=True)
    def canary(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Something secret in our environment, and the suite's step on our path, before the compute is made."""
        monkeypatch.setenv(CANARY, "must not be seen")
        plant_step(tmp_path / "plugins")
        monkeypatch.syspath_prepend(str(tmp_path / "plugins"))

    @pytest.fixture
    def compute(self, canary: None) -> Iterator[Compute]:
        """The compute under test: override it."""
        raise NotImplementedError

    @pytest.fixture
    def jobs(self, tmp_path: Path) -> Jobs:
        """Makes jobs."""
        return Jobs(tmp_path)

    def run(self, compute: Compute, job: Job) -> JobResult:
        """Start, submit, wait."""
        compute.start([job.resources])
        return compute.submit(job).result(WAIT_S)

    def test_a_job_that_works_is_done_with_its_metrics_log_and_result(
        self, compute: Compute, jobs: Jobs
    ) -> None:
        code = (
            "import sys; print('FIAT_METRIC loss=0.5 step=1'); print('hällo');"
            "print('FIAT_METRIC loss=nan'); print('to stderr', file=sys.stderr);"
            "open('result.json', 'w').write('{\"answer\": 42}')"
        )
        job = jobs.python(code)
        assert job.command is not None
        command = Command(
            job.command.argv, job.command.cwd, {"LC_ALL": "C.UTF-8"}, jobs.folder / "result.json"
        )
        job = Job(job.id, job.step, job.resources, job.log_path, job.work_dir, command=command)
        result = self.run(compute, job)
        assert (result.state, result.reason, result.exit_code) == ("done", "", 0)
        assert [(metric.name, metric.step) for metric in result.metrics] == [("loss", 1), ("loss", None)]
        assert result.metrics[0].value == 0.5
        assert result.metrics[1].value != result.metrics[1].value
        assert result.result == {"answer": 42}
        assert result.seconds > 0
        assert {"hällo", "to stderr"} <= set(jobs.log(job).splitlines())

    def test_an_exit_code_is_a_failure_that_names_it(self, compute: Compute, jobs: Jobs) -> None:
        result = self.run(compute, jobs.python("raise SystemExit(3)"))
        assert (result.state, result.reason, result.exit_code) == ("failed", "exited with code 3", 3)

    def test_a_program_that_is_not_there_is_a_failure_that_names_it(
        self, compute: Compute, jobs: Jobs
    ) -> None:
        job = jobs.python("")
        job = Job(
            job.id,
            job.step,
            job.resources,
            job.log_path,
            job.work_dir,
            command=Command(("no-such-program",), jobs.folder, {"PATH": "/usr/bin"}),
        )
        result = self.run(compute, job)
        assert result.state == "failed"
        assert "no-such-program" in result.reason

    def test_user_code_sees_its_declared_environment_and_no_gpu(self, compute: Compute, jobs: Jobs) -> None:
        code = "import os, json; open('env.json', 'w').write(json.dumps(dict(os.environ)))"
        job = jobs.python(code, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MINE": "1"})
        assert self.run(compute, job).state == "done"
        seen = (jobs.folder / "env.json").read_text()
        assert seen == (
            '{"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MINE": "1", "CUDA_VISIBLE_DEVICES": ""}'
        )

    def test_more_than_there_is_is_refused_before_anything_starts(self, compute: Compute, jobs: Jobs) -> None:
        with pytest.raises(EnvironmentFault, match=r"64 GPUs \(there are 2\)") as caught:
            compute.start([Resources(), Resources(gpus=64)])
        assert caught.value.hint
        with pytest.raises(EnvironmentFault, match="9999 CPUs"):
            compute.start([Resources(cpus=9999)])

    def test_a_trusted_step_gives_its_outcome_and_sees_no_secret(self, compute: Compute, jobs: Jobs) -> None:
        job = jobs.trusted("work")
        result = self.run(compute, job)
        assert (result.state, result.reason) == ("done", "")
        assert result.outcome is not None
        assert [(metric.name, metric.value) for metric in result.metrics] == [("rows", 3.0)]
        assert job.task is not None
        assert job.task.outputs["out"].read_text() == "clean"
        assert "step says work" in jobs.log(job)

    def test_a_trusted_step_that_refuses_keeps_its_sentence_and_class(
        self, compute: Compute, jobs: Jobs
    ) -> None:
        job = jobs.trusted("spec")
        result = self.run(compute, job)
        assert (result.state, result.reason) == ("failed", "the label is missing (name one)")
        error = result.result["error"]
        assert isinstance(error, dict)
        assert (error["class"], error["hint"], error["exit_code"]) == ("SpecError", "name one", 2)
        assert "Traceback" not in jobs.log(job)

    def test_a_bug_in_a_trusted_step_is_a_failure_with_the_traceback_in_the_log(
        self, compute: Compute, jobs: Jobs
    ) -> None:
        job = jobs.trusted("bug")
        result = self.run(compute, job)
        assert result.state == "failed"
        assert "ZeroDivisionError" in result.reason
        assert "Traceback" in jobs.log(job)

    def test_closing_twice_and_cancelling_what_is_unknown_is_fine(self, compute: Compute) -> None:
        compute.start([])
        compute.cancel("nobody")
        compute.close()
        compute.close()


class ComputeSuite(ComputeBasics):
    """What a real compute must do besides."""

    def test_a_signal_is_named(self, compute: Compute, jobs: Jobs) -> None:
        result = self.run(compute, jobs.python("import os; os.kill(os.getpid(), 11)"))
        assert (result.state, result.exit_code) == ("failed", None)
        assert result.reason.startswith("killed by signal 11 (SIGSEGV)")

    def test_a_job_over_its_time_is_ended_and_says_so(self, compute: Compute, jobs: Jobs) -> None:
        job = jobs.python("import time; print('on', flush=True); time.sleep(60)", timeout_s=1.0)
        result = self.run(compute, job)
        assert (result.state, result.reason) == ("failed", "ran longer than its limit of 1 s")
        assert 0.9 < result.seconds < 20
        assert jobs.log(job).startswith("on\n")

    def test_a_job_over_its_memory_is_ended_and_says_so(self, compute: Compute, jobs: Jobs) -> None:
        code = "import time; held = bytearray(b'x' * 300_000_000); time.sleep(60)"
        job = jobs.python(code, resources=Resources(memory_bytes=100 << 20))
        result = self.run(compute, job)
        assert result.state == "failed"
        assert result.reason.endswith("of memory, more than its limit of 100 MiB")
        assert result.peak_memory_bytes > 100 << 20

    def test_a_cancelled_job_is_gone_with_all_below_it(self, compute: Compute, jobs: Jobs) -> None:
        job = jobs.python(_FAMILY)
        future = self._running(compute, job, jobs.folder / "pids")
        pids = _pids(jobs.folder / "pids")
        compute.cancel(job.id)
        assert future.result(WAIT_S).state == "cancelled"
        assert [pid for pid in pids if is_alive(pid)] == []

    def test_a_job_that_waits_for_resources_can_be_cancelled(self, compute: Compute, jobs: Jobs) -> None:
        first = jobs.python(_FAMILY, resources=Resources(cpus=0, gpus=2))
        second = jobs.python("open('ran', 'w')", resources=Resources(cpus=0, gpus=1))
        running = self._running(compute, first, jobs.folder / "pids")
        waiting = compute.submit(second)
        compute.cancel(second.id)
        assert waiting.result(WAIT_S).state == "cancelled"
        assert not running.done()
        compute.cancel(first.id)
        assert running.result(WAIT_S).state == "cancelled"
        assert not (jobs.folder / "ran").exists()

    def test_closing_ends_everything(self, compute: Compute, jobs: Jobs) -> None:
        job = jobs.python(_FAMILY)
        future = self._running(compute, job, jobs.folder / "pids")
        pids = _pids(jobs.folder / "pids")
        compute.close()
        assert future.result(WAIT_S).state in ("cancelled", "lost")
        wait_for(lambda: not any(is_alive(pid) for pid in pids), "the family is gone", 5)

    def test_a_daemon_that_a_job_leaves_behind_is_killed(self, compute: Compute, jobs: Jobs) -> None:
        result = self.run(compute, jobs.python(_DAEMON))
        assert result.state == "done"
        (pid,) = _pids(jobs.folder / "pids")
        assert not is_alive(pid)

    def test_independent_jobs_run_side_by_side(self, compute: Compute, jobs: Jobs) -> None:
        compute.start([Resources()])
        futures = [compute.submit(jobs.python(_MEET, mine, other)) for mine, other in ("ab", "ba")]
        assert [future.result(WAIT_S).state for future in futures] == ["done", "done"]

    def test_gpus_are_never_shared_and_never_more_than_there_are(self, compute: Compute, jobs: Jobs) -> None:
        compute.start([Resources(gpus=2)])
        one = Resources(cpus=0, gpus=1)
        futures = [compute.submit(jobs.python(_SPAN, f"span{n}", resources=one)) for n in range(4)]
        both = compute.submit(jobs.python(_SPAN, "span4", resources=Resources(cpus=0, gpus=2)))
        results = [future.result(WAIT_S) for future in (*futures, both)]
        assert {result.state for result in results} == {"done"}
        spans = []
        for n in range(5):
            start, end, gpus = (jobs.folder / f"span{n}").read_text().split()
            spans.append((int(start), int(end), set(gpus.split(","))))
            assert set(results[n].gpus) == spans[n][2]
        assert [len(gpus) for _, _, gpus in spans] == [1, 1, 1, 1, 2]
        for n, (start, end, gpus) in enumerate(spans):
            for later_start, later_end, others in spans[n + 1 :]:
                if start < later_end and later_start < end:
                    assert not gpus & others

    def test_endless_lines_control_bytes_and_bad_utf8_end_in_a_readable_log(
        self, compute: Compute, jobs: Jobs
    ) -> None:
        job = jobs.python(_NOISE)
        result = self.run(compute, job)
        assert result.state == "done"
        log = jobs.log(job)
        assert len(log) < 200_000
        assert "line cut after 65536 bytes" in log
        assert "\x1b" not in log
        assert "\x07" not in log
        assert log.splitlines()[-1] == "the end"
        assert [metric.value for metric in result.metrics] == [7.0]

    def test_a_trusted_step_runs_warm_and_a_crash_ends_only_itself(
        self, compute: Compute, jobs: Jobs
    ) -> None:
        crash = jobs.trusted("crash")
        result = self.run(compute, crash)
        assert result.state == "failed"
        assert "SIGSEGV" in result.reason
        done = [self.run(compute, jobs.trusted("work")) for _ in range(2)]
        assert [result.state for result in done] == ["done", "done"]

    def test_a_trusted_step_keeps_to_its_time(self, compute: Compute, jobs: Jobs) -> None:
        result = self.run(compute, jobs.trusted("sleep", timeout_s=1.0))
        assert (result.state, result.reason) == ("failed", "ran longer than its limit of 1 s")

    def test_a_trusted_step_can_be_cancelled(self, compute: Compute, jobs: Jobs) -> None:
        job = jobs.trusted("sleep")
        compute.start([job.resources])
        future = compute.submit(job)
        wait_for(lambda: job.log_path.exists() and "says" in jobs.log(job), "the step runs")
        compute.cancel(job.id)
        assert future.result(WAIT_S).state == "cancelled"

    def _running(self, compute: Compute, job: Job, sign: Path) -> Future[JobResult]:
        compute.start([job.resources])
        future = compute.submit(job)
        wait_for(lambda: sign.exists() and sign.read_text().endswith("end"), f"{job.id} runs")
        return future


def _pids(path: Path) -> list[int]:
    return [int(word) for word in path.read_text().split() if word != "end"]


_FAMILY = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pids = [os.getpid()]
for new_session in (False, True):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        if new_session:
            os.setsid()
        grandchild = os.fork()
        if grandchild == 0:
            os.write(write, b"%d " % os.getpid())
            time.sleep(100)
        if new_session:
            os._exit(0)
        time.sleep(100)
    pids.append(int(os.read(read, 100)))
    if not new_session:
        pids.append(child)
open("pids", "w").write(" ".join(map(str, pids)) + " end")
time.sleep(100)
"""

_DAEMON = """
import os, time
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in (0, 1, 2):
            os.close(fd)
        open("pids", "w").write(str(os.getpid()) + " end")
        os.write(write, b"x")
        time.sleep(100)
    os._exit(0)
os.read(read, 1)
"""

_MEET = """
import os, sys, time
mine, other = sys.argv[1:]
open(mine, "w").close()
end = time.monotonic() + 30
while not os.path.exists(other):
    if time.monotonic() > end:
        raise SystemExit("the other did not come")
    time.sleep(0.01)
"""

_SPAN = """
import os, sys, time
start = time.monotonic_ns()
time.sleep(0.2)
text = f"{start} {time.monotonic_ns()} {os.environ['CUDA_VISIBLE_DEVICES']}"
open(sys.argv[1], "w").write(text)
"""

_NOISE = r"""
import os
for _ in range(200):
    os.write(1, b"a" * 1_000_000)
os.write(1, b"\n\x1b]0;title\x07\x1b[31mred\x1b[0m \xff\xfe \x00\x08bell\x07\n")
os.write(1, b"FIAT_METRIC m=7\nthe end")
"""
