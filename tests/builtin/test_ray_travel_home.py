"""Where a node sees a job's folder, the process that owns the job may still be on another machine."""

from dataclasses import replace
from pathlib import Path

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
