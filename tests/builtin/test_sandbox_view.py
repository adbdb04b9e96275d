import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fiat.builtin.compute_local import LocalCompute
from fiat.builtin.sandbox_probe import probe_sandbox
from fiat.ports.compute import JobResult, Resources, Sandbox
from fiat.testing.compute_jobs import WAIT_S, Jobs

_LOOK = """
import json, os, sys
found = {}
for path in json.loads(sys.argv[1]):
    try:
        found[path] = sorted(os.listdir(path)) if os.path.isdir(path) else open(path).read()
    except OSError as error:
        found[path] = type(error).__name__
    try:
        place = path + "/probe" if os.path.isdir(path) else path
        open(place, "a").close()
        found["write " + path] = "ok"
    except OSError as error:
        found["write " + path] = error.errno
json.dump(found, open("seen.json", "w"))
"""
READ_ONLY = (13, 30)  # EACCES, EROFS


@pytest.fixture(autouse=True)
def _sandbox() -> None:
    probe = probe_sandbox()
    if not probe.ok:
        if os.environ.get("CI"):
            pytest.fail(f"{probe.found}; CI must test the sandbox")
        pytest.skip(probe.found)


def run(sandbox: Sandbox, folder: Path, *paths: Path, gpus: int = 0) -> tuple[JobResult, dict[str, Any]]:
    """Look at paths from inside; the folder can be written."""
    folder.mkdir(exist_ok=True, parents=True)
    jobs = Jobs(folder)
    job = jobs.python(_LOOK, json.dumps([str(path) for path in paths]), resources=Resources(gpus=gpus))
    assert job.command is not None
    boxed = replace(sandbox, writable=(*sandbox.writable, folder))
    compute = LocalCompute(cpus=1, gpus=2, ledger=folder.parent / "ledger")
    compute.start([])
    try:
        result = compute.submit(replace(job, command=replace(job.command, sandbox=boxed))).result(WAIT_S)
    finally:
        compute.close()
    assert [path.name for path in folder.glob("*.box")] == []
    seen = folder / "seen.json"
    return result, json.loads(seen.read_text()) if seen.exists() else {}


def test_the_longer_of_two_paths_decides_however_they_are_nested(tmp_path: Path) -> None:
    store = tmp_path / "store"
    checkout = store / "checkouts/repo/commit"
    work = store / "work/run/a.1"
    for path in (checkout / "code", checkout / "secret", store / "runs", work / "in"):
        path.mkdir(parents=True)
    (checkout / "code/file").write_text("code")
    (checkout / ".git").write_text("gitdir: elsewhere")
    (work / "in/data").write_text("data")
    sandbox = Sandbox(
        "bubblewrap",
        read_only=(checkout,),
        hidden=(store, checkout / ".git", checkout / "secret", checkout / "nowhere"),
        inputs=(work / "in",),
    )
    paths = (
        store,
        store / "runs",
        checkout,
        checkout / "code/file",
        checkout / ".git",
        checkout / "secret",
        work,
    )
    result, seen = run(sandbox, work, *paths, work / "in/data")
    assert result.state == "done", result.reason
    assert seen[str(store)] == ["checkouts", "work"]
    assert seen[str(store / "runs")] == "FileNotFoundError"
    assert seen[str(checkout)] == [".git", "code", "secret"]
    assert seen[str(checkout / "code/file")] == "code"
    assert seen[str(checkout / ".git")] == "PermissionError"  # a device, in a place without devices
    assert seen[str(checkout / "secret")] == []
    assert seen[str(work / "in/data")] == "data"
    assert seen[f"write {work}"] == "ok"
    for path in (store, checkout, checkout / "code/file", checkout / "secret", work / "in/data"):
        assert seen[f"write {path}"] in READ_ONLY, path
    assert (checkout / "code/file").read_text() == "code"


def test_only_the_file_that_a_link_among_the_inputs_leads_to_is_shown(tmp_path: Path) -> None:
    cache = tmp_path / "cache/md5"
    for name in ("ab/one", "ab/two", "cd/three"):
        (cache / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / name).write_text(name)
    inputs = tmp_path / "in"
    (inputs / "folder").mkdir(parents=True)
    (inputs / "folder/a").symlink_to(cache / "ab/one")
    (inputs / "b").symlink_to(cache / "cd/three")
    (inputs / "dangling").symlink_to(cache / "ef/four")
    result, seen = run(
        Sandbox("bubblewrap", inputs=(inputs,)),
        tmp_path / "w",
        inputs / "folder/a",
        inputs / "b",
        cache / "ab",
        cache,
    )
    assert result.state == "done"
    assert seen[str(inputs / "folder/a")] == "ab/one"
    assert seen[str(cache)] == ["ab", "cd"]
    assert seen[str(cache / "ab")] == ["one"]
    assert seen[f"write {inputs / 'b'}"] in READ_ONLY


def test_a_path_through_a_link_is_seen_under_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").write_text("x")
    (tmp_path / "link").symlink_to("real")
    path = tmp_path / "link/file"
    _, seen = run(
        Sandbox("bubblewrap", read_only=(tmp_path / "link",)), tmp_path / "w", path, tmp_path / "real"
    )
    assert seen[str(path)] == "x"
    assert seen[str(tmp_path / "real")] == "FileNotFoundError"


def test_a_path_that_is_not_there_is_the_machine_s_fault_and_named(tmp_path: Path) -> None:
    result, _ = run(Sandbox("bubblewrap", read_only=(tmp_path / "gone",)), tmp_path / "w")
    assert result.state == "failed"
    assert f"{tmp_path}/gone" in result.reason
    assert result.mend


def test_a_job_with_gpus_sees_the_devices_of_this_machine(tmp_path: Path) -> None:
    devices = sorted(str(path) for path in Path("/dev").glob("nvidia*") if not path.is_dir())
    paths = [Path("/sys/devices"), Path("/sys/module"), Path("/dev")]
    result, seen = run(Sandbox("bubblewrap"), tmp_path / "with", *paths, gpus=1)
    assert result.state == "done", result.reason
    assert result.gpus == ("0",)
    assert isinstance(seen["/sys/devices"], list)
    assert {f"/dev/{name}" for name in seen["/dev"] if name.startswith("nvidia")} >= set(devices)
    assert seen["write /sys/devices"] in READ_ONLY
    _, without = run(Sandbox("bubblewrap"), tmp_path / "without", *paths)
    assert without["/sys/module"] == "FileNotFoundError"
    assert [name for name in without["/dev"] if name.startswith("nvidia")] == []
