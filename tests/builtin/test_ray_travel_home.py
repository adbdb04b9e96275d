"""Where a node sees a job's folder, the process that owns the job may still be on another machine."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
from ray.exceptions import ActorDiedError, RayTaskError

from fiat.builtin.ray_task import disk_refusal
from fiat.builtin.ray_travel import machine_name, owned_here
from fiat.ports.compute import Job, Resources


def test_an_owner_on_another_machine_is_not_looked_for_among_the_processes_of_this_one(
    tmp_path: Path,
) -> None:
    job = Job("r.train.1", "train", Resources(), tmp_path / "log", tmp_path, owner_pid=4711)
    sign = tmp_path / "sign"
    sign.write_text(machine_name(), "utf-8")
    assert owned_here(job, sign) is job
    sign.write_text(f"{machine_name()} but another", "utf-8")
    assert owned_here(job, sign) == replace(job, owner_pid=0)
    assert owned_here(job, None) is job


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.ENOSPC, os.strerror(errno.ENOSPC)), (errno.EROFS, os.strerror(errno.EROFS)), (errno.ENOENT, "")],
)
def test_a_full_disk_beside_the_store_is_told_from_a_way_that_was_lost(number: int, said: str) -> None:
    fault = RayTaskError("settle", "Traceback", OSError(number, os.strerror(number), "/store"))  # type: ignore[no-untyped-call]  # Ray's own gap
    assert disk_refusal(fault.as_instanceof_cause()) == said  # type: ignore[no-untyped-call]  # Ray's own gap
    assert disk_refusal(ActorDiedError()) == ""
