"""What tests of the sandbox share: whether there is one, a compute that uses it for every command, and who still runs."""

import os
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from fiat.builtin.sandbox_probe import probe_sandbox
from fiat.ports.compute import Capacity, Compute, Job, JobResult, Resources, Sandbox


def need_sandbox() -> None:
    """Skip the test at a desk that can't make a sandbox; CI must."""
    probe = probe_sandbox()
    if not probe.ok:
        if os.environ.get("CI"):
            pytest.fail(f"{probe.found}; CI must test the sandbox: {probe.mend}")
        pytest.skip(probe.found)


def marked(mark: str) -> list[int]:
    """Living processes, in whatever namespace, that have this word in their command line."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            line = Path(f"/proc/{name}/cmdline").read_bytes()
            state = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if mark.encode() in line.split(b"\0") and state not in "ZX":
            found.append(int(name))
    return found


class Boxed:
    """A compute that puts every command into a sandbox in which it may write its folder.

    Args:
        compute: the one that runs jobs.
        box: the sandbox; the folders are added.
    """

    def __init__(self, compute: Compute, box: Sandbox | None = None) -> None:
        self._compute = compute
        self._box = box or Sandbox("bubblewrap")

    def start(self, needs: Sequence[Resources]) -> Capacity:
        return self._compute.start(needs)

    def submit(self, job: Job) -> Future[JobResult]:
        command = job.command
        if command is not None:
            box = replace(self._box, writable=(command.cwd, job.work_dir))
            job = replace(job, command=replace(command, sandbox=box))
        return self._compute.submit(job)

    def cancel(self, job_id: str) -> None:
        self._compute.cancel(job_id)

    def close(self) -> None:
        self._compute.close()
