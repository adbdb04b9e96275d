"""What a job used of its GPUs, from the driver to every place where people see it; and nothing where there are none."""

import io
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from gpu_stage import FakeDriver, device
from page_samples import sample_page, sample_run, step

from fiat.builtin.compute_local import LocalCompute
from fiat.builtin.page_run import render_run
from fiat.builtin.report_plain import PlainReporter
from fiat.builtin.view_sheet import Sheet, plain_text
from fiat.builtin.view_training import training_blocks
from fiat.ports.compute import Job, JobResult, Resources
from fiat.ports.report import Line
from fiat.run.model import Metric, StepResult
from fiat.testing.compute_jobs import WAIT_S, Jobs

CODE = """import time
for at, pause_s in enumerate((0.1, 3)):
    time.sleep(pause_s)
    print(f"FIAT_METRIC loss={1 - at / 4} step={at}", flush=True)
print("FIAT_METRIC samples_per_s=1234")
"""


def ran(tmp_path: Path, n_gpus: int) -> tuple[Job, JobResult]:
    jobs = Jobs(tmp_path)
    need = Resources(gpus=n_gpus)
    driver = FakeDriver(device(0, 3, 0.25))
    compute = LocalCompute(cpus=2, gpus=("0",), ledger=tmp_path / "gpus", driver=driver)
    try:
        compute.start([need])
        job = jobs.python(CODE, resources=need)
        return job, compute.submit(job).result(WAIT_S)
    finally:
        compute.close()


def shown(job: Job, result: JobResult) -> tuple[str, str, str]:
    """What the lines of a run, `fiat show` and the report say."""
    assert result.state == "done"
    used = {**result.usage, "gpu_ids": list(result.gpus)} if result.gpus else dict(result.usage)
    stream, clock = io.StringIO(), iter(range(0, 10**6, 60))
    reporter, run = PlainReporter(stream, clock=lambda: float(next(clock))), sample_run()
    reporter.stepped(run, StepResult("train", "train", "running"))
    for text in job.log_path.read_text("utf-8").splitlines():
        reporter.printed(run, Line("train", text))
    reporter.stepped(run, replace(step("train"), resources=used))
    curves = [("train", metric) for metric in result.metrics if metric.step is not None]
    finals: dict[str, tuple[Metric, ...]] = {
        "train": tuple(metric for metric in result.metrics if metric.step is None)
    }
    sheet = plain_text(Sheet(training_blocks(curves, finals, {"train": used}, {}, None)))
    page = replace(sample_page(), curves=tuple(curves), finals=finals, usage={"train": used})
    return stream.getvalue(), sheet, render_run(page)


def test_memory_and_load_of_its_gpus_and_its_throughput_are_seen_everywhere(tmp_path: Path) -> None:
    lines, sheet, page = shown(*ran(tmp_path, 1))
    assert "step 1: loss=0.7500, GPU 3.0 GiB 25 % (" in lines  # while it ran
    assert "1,234 samples/s, GPU 3.0 GiB 25 % (" in lines.splitlines()[-1]
    assert "train  1,234 samples/s, 1 GPU: 0, GPU memory 3.0 GiB at most, GPU load 25 % on average" in sheet
    for text in ("1,234 samples/s", "3.0 GiB at most", "25 % on average"):
        assert f">{text}<" in page


def test_a_job_without_a_gpu_says_nothing_of_any(tmp_path: Path) -> None:
    lines, sheet, page = shown(*ran(tmp_path, 0))
    assert "1,234 samples/s (" in lines.splitlines()[-1]
    assert "train  1,234 samples/s\n" in sheet
    assert not any("GPU" in text for text in (lines, sheet, page))
