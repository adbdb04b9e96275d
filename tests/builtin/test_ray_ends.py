"""What the ends of several workers mean for their job."""

from pathlib import Path

import pytest

from fiat.builtin.ray_ends import joint_result
from fiat.ports.compute import Job, JobResult, Resources
from fiat.run.model import Metric


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "workers").mkdir()
    return Job("r.train.1", "train", Resources(workers=2), tmp_path / "log", tmp_path)


def failed(reason: str, message: str = "") -> JobResult:
    return JobResult("failed", reason, exit_code=1, result={"error": {"message": message}} if message else {})


def test_workers_that_are_done_make_one_result(job: Job) -> None:
    second = JobResult(
        "done",
        seconds=3.0,
        metrics=(Metric("loss", 3.0, 1),),
        result={"whose": "second"},
        peak_memory_bytes=10,
        gpus=("1",),
        usage={"gpu_memory_bytes": 5.0, "gpu_load_ratio": 0.5},
    )
    first = JobResult(
        "done",
        seconds=2.0,
        exit_code=0,
        metrics=(Metric("loss", 1.0, 1),),
        result={"whose": "first"},
        peak_memory_bytes=20,
        gpus=("0",),
        usage={"gpu_memory_bytes": 7.0, "gpu_load_ratio": 0.7},
        resumed="step 3",
    )
    assert joint_result(job, [(1, second), (0, first)]) == JobResult(
        "done",
        seconds=3.0,
        exit_code=0,
        metrics=(Metric("loss", 2.0, 1),),
        result={"whose": "first"},
        peak_memory_bytes=30,
        gpus=("0", "1"),
        usage={"gpu_memory_bytes": 12.0, "gpu_load_ratio": 0.6},
        resumed="step 3",
    )


def test_the_first_to_fail_is_the_cause_and_has_the_last_word(job: Job) -> None:
    lines = [f"line {number}" for number in range(50)]
    (job.work_dir / "workers/1.log").write_text("\n".join([*lines, "FIAT_METRIC loss=1.0", "the end"]) + "\n")
    result = joint_result(job, [(1, failed("exited with code 1")), (0, failed("exited with code 2"))])
    assert result is not None
    assert (result.state, result.reason) == ("failed", "worker 1 of 2 exited with code 1")
    log = job.log_path.read_text().splitlines()
    assert log[0] == "[fiat] worker 1 of 2 failed; its last lines:"
    assert log[1:] == [f"[worker 1] line {number}" for number in range(31, 50)] + ["[worker 1] the end"]


LOST = "[gloo/pair.cc:553] Connection closed by peer [127.0.0.1]:1234."


def reason(job: Job, *ends: tuple[int, JobResult]) -> tuple[str, str]:
    result = joint_result(job, ends)
    assert result is not None
    return result.state, result.reason


def test_who_only_lost_another_worker_is_not_the_cause(job: Job) -> None:
    echo, cause = failed("exited with code 1", LOST), failed("exited with code 1", "division by zero")
    assert reason(job, (0, echo), (1, cause)) == ("failed", "worker 1 of 2 exited with code 1")
    assert reason(job, (0, echo), (1, echo)) == ("failed", "worker 0 of 2 exited with code 1")


def test_the_last_lines_of_a_program_say_that_it_only_lost_another_worker(job: Job) -> None:
    job.log_path.write_text(f"Traceback:\nRuntimeError: {LOST}\n")
    (job.work_dir / "workers/1.log").write_text("ZeroDivisionError\n")
    ends = [(0, failed("exited with code 1")), (1, failed("exited with code 3"))]
    assert reason(job, *ends) == ("failed", "worker 1 of 2 exited with code 3")


def test_who_lost_a_worker_of_which_nothing_is_known_makes_the_job_worth_another_try(job: Job) -> None:
    assert reason(job, (0, failed("exited with code 1", LOST))) == ("lost", "worker 0 of 2 lost worker 1")


def test_who_waits_for_one_that_has_ended_well_is_told_so(job: Job) -> None:
    early = (
        "worker 0 of 2 exited with code 1: worker 1 had ended before it; "
        "all workers have to take as many steps as each other"
    )
    done = JobResult("done")
    assert reason(job, (1, done), (0, failed("exited with code 1", LOST))) == ("failed", early)
    waited = failed("exited with code 1", "Timed out waiting 1800000ms for recv operation to complete")
    assert reason(job, (1, done), (0, waited)) == ("failed", early)
    other = failed("exited with code 1", "division by zero")
    assert reason(job, (1, done), (0, other)) == ("failed", "worker 0 of 2 exited with code 1")


def test_what_any_worker_was_seen_to_read_counts(job: Job) -> None:
    ends = [(rank, JobResult("done", result={"observed": {"read": [f"{rank}.csv"]}})) for rank in (1, 0)]
    result = joint_result(job, ends)
    assert result is not None
    assert result.result == {"observed": {"read": ["0.csv", "1.csv"]}}


def test_a_log_that_is_a_link_is_not_read(job: Job, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not yours\n")
    (job.work_dir / "workers/1.log").symlink_to(tmp_path / "secret")
    joint_result(job, [(1, failed("exited with code 1"))])
    assert "not yours" not in job.log_path.read_text()


def test_without_a_word_of_each_worker_there_is_no_result(job: Job) -> None:
    assert joint_result(job, [(0, JobResult("done"))]) is None
