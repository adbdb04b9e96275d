"""What the ends of several workers mean for their job."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fiat.builtin.gang_cause import ended_early, lost_others
from fiat.builtin.gang_log import last_lines, log_path
from fiat.builtin.gang_metrics import mean_metrics
from fiat.builtin.gang_seen import joint_seen
from fiat.builtin.job_log import JobLog
from fiat.ports.compute import Job, JobResult

End = tuple[int, JobResult]


def joint_result(job: Job, ends: Sequence[End]) -> JobResult | None:
    """The result of a job whose workers ended by themselves; None when one of them left nothing and none failed.

    A worker that lost another one, of which nothing is known, makes the job `lost`: Ray finds out later than the network
    that a machine has died.

    Args:
        job: of several workers.
        ends: (rank, result), in the order in which they ended: the first that failed is the cause of the others' end,
            unless it only says that another one has gone.
    """
    size = job.resources.workers
    wrong = [end for end in ends if end[1].state != "done"]
    if wrong:
        causes = [end for end in wrong if not lost_others(job, *end)]
        missing = set(range(size)) - {rank for rank, _ in ends}
        if not causes and missing:
            return JobResult("lost", f"worker {wrong[0][0]} of {size} lost worker {min(missing)}")
        rank, result = (causes or wrong)[0]
        ended = [rank for rank, result in ends if result.state == "done"]
        return _named(job, rank, result, ended_early(job, rank, result, ended))
    results = [result for _, result in sorted(ends, key=lambda end: end[0])]
    if len(results) < size:
        return None
    return replace(
        results[0],
        seconds=max(result.seconds for result in results),
        metrics=mean_metrics([result.metrics for result in results]),
        result=joint_seen([result.result for result in results]),
        peak_memory_bytes=sum(result.peak_memory_bytes for result in results),
        gpus=tuple(gpu for result in results for gpu in result.gpus),
        usage=_joint_usage([result.usage for result in results]),
    )


def _named(job: Job, rank: int, result: JobResult, more: str = "") -> JobResult:
    """The result with the worker's number in it, and its last words in the log of all."""
    size = job.resources.workers
    if result.state == "cancelled":
        return result
    if rank:
        log = JobLog(str(job.log_path))
        log.note(f"worker {rank} of {size} failed; its last lines:")
        for line in last_lines(log_path(job.work_dir, rank)):
            log.take(f"[worker {rank}] {line}\n".encode())
        log.close()
    return replace(result, reason=f"worker {rank} of {size} {result.reason}{more}")


def _joint_usage(usages: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Memory of all GPUs together, and their mean load."""
    found: dict[str, list[float]] = {}
    for usage in usages:
        for name, value in usage.items():
            found.setdefault(name, []).append(value)
    return {
        name: sum(values) / (len(values) if name.endswith("_ratio") else 1) for name, values in found.items()
    }
