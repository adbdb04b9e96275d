"""Jobs in a sandbox are jobs: both computes keep every promise with bubblewrap between them and the command."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fiat.builtin.compute_local import LocalCompute
from fiat.builtin.compute_ray import RayCompute
from fiat.ports.compute import Compute
from fiat.testing.compute_jobs import DAEMON, FAMILY, NO_GPU, WAIT_S, Jobs, wait_for
from fiat.testing.compute_suite import ComputeSuite

sys.path.insert(0, str(Path(__file__).parent))
from box_stage import Boxed, marked, need_sandbox


@pytest.fixture(scope="module", autouse=True)
def _sandbox() -> None:
    need_sandbox()


class BoxedSuite(ComputeSuite):
    """The same promises; processes are looked for from outside, since inside they have other numbers."""

    def test_user_code_sees_its_declared_environment_and_no_gpu(self, compute: Compute, jobs: Jobs) -> None:
        code = "import os, json; open('env.json', 'w').write(json.dumps(dict(os.environ)))"
        job = jobs.python(code, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MINE": "1"})
        assert self.run(compute, job).state == "done"
        seen = json.loads((jobs.folder / "env.json").read_text())
        assert seen.pop("PWD") == str(jobs.folder)  # bubblewrap says where it went, as a shell does
        assert seen == {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MINE": "1", **NO_GPU}

    def test_a_cancelled_job_is_gone_with_all_below_it(self, compute: Compute, jobs: Jobs) -> None:
        job = jobs.python(FAMILY, f"mark{jobs.folder}")
        future = self._running(compute, job, jobs.folder / "pids")
        assert len(marked(f"mark{jobs.folder}")) >= 5
        compute.cancel(job.id)
        assert future.result(WAIT_S).state == "cancelled"
        assert marked(f"mark{jobs.folder}") == []

    def test_closing_ends_everything(self, compute: Compute, jobs: Jobs) -> None:
        job = jobs.python(FAMILY, f"mark{jobs.folder}")
        future = self._running(compute, job, jobs.folder / "pids")
        compute.close()
        assert future.result(WAIT_S).state in ("cancelled", "lost")
        wait_for(lambda: not marked(f"mark{jobs.folder}"), "the family is gone", 5)

    def test_a_daemon_that_a_job_leaves_behind_is_killed(self, compute: Compute, jobs: Jobs) -> None:
        result = self.run(compute, jobs.python(DAEMON, f"mark{jobs.folder}"))
        assert result.state == "done"
        assert (jobs.folder / "pids").read_text().endswith("end")
        assert marked(f"mark{jobs.folder}") == []


class TestBoxedLocalCompute(BoxedSuite):
    @pytest.fixture
    def compute(self, canary: None, tmp_path: Path) -> Iterator[Compute]:
        compute = Boxed(LocalCompute(cpus=4, gpus=2, ledger=tmp_path / "gpus"))
        yield compute
        compute.close()


@pytest.mark.slow
class TestBoxedRayCompute(BoxedSuite):
    @pytest.fixture
    def compute(self, canary: None, ray_head: Path) -> Iterator[Compute]:
        compute = Boxed(RayCompute(ray_head))
        yield compute
        compute.close()
