"""Ray hosts, each test one of its own where it must die or must not be shared. Real Ray, one at a time."""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fiat.builtin import job_tree, ray_state, ray_up
from fiat.builtin.compute_ray import RayCompute
from fiat.errors import EnvironmentFault
from fiat.ports.compute import Command, Job, Resources
from fiat.testing.compute_jobs import CANARY, FAMILY, WAIT_S, Jobs, is_alive, read_pids, wait_for

ROOT = Path(__file__).parents[2]


def open_files(pid: int) -> list[Path]:
    """What a process has open; nothing when it ended meanwhile, as Ray's idle workers do."""
    try:
        return list(Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:
        return []


def listening(pids: set[int]) -> dict[str, int]:
    """Listening TCP addresses `ip:port` of these processes, from the kernel's own tables."""
    owners = {}
    for pid in pids:
        for fd in open_files(pid):
            try:
                target = str(fd.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                owners[target[8:-1]] = pid
    found = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in owners:
                ip, _, port = words[1].partition(":")
                raw = bytes.fromhex(ip)
                parts = [raw[at : at + 4][::-1] for at in range(0, len(raw), 4)]
                family = socket.AF_INET if table == "tcp" else socket.AF_INET6
                found[f"{socket.inet_ntop(family, b''.join(parts))}:{int(port, 16)}"] = owners[words[9]]
    return found


def processes(state_dir: Path) -> set[int]:
    info = ray_state.status(state_dir)
    assert info is not None
    return {info.keeper_pid, *job_tree.descendants(info.keeper_pid)}


def named(pids: set[int], name: str) -> list[int]:
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):  # it may end meanwhile
            if name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def test_every_port_of_ray_and_its_workers_is_on_loopback(ray_head: Path, tmp_path: Path) -> None:
    compute = RayCompute(ray_head)
    compute.start([])
    assert compute.submit(Jobs(tmp_path).python("pass")).result(WAIT_S).state == "done"
    compute.close()
    addresses = listening(processes(ray_head))
    owners = {Path(f"/proc/{pid}/comm").read_text().strip() for pid in addresses.values()}
    assert {"gcs_server", "raylet"} <= owners
    assert any(owner.startswith("ray::") for owner in owners)
    outside = [
        address for address in addresses if not address.startswith(("127.0.0.1:", "::ffff:127.0.0.1:"))
    ]
    assert outside == []
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in processes(ray_head)]
    assert not any(b"dashboard.py" in command for command in commands)
    assert not any(address.endswith(":8265") for address in addresses)


def test_user_code_runs_in_no_process_of_ray_itself(ray_head: Path, tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "assert 'ray' not in sys.modules\n"
        "print(os.getppid(), os.getsid(0) == os.getpid(), sorted(os.environ), flush=True)"
    )
    jobs = Jobs(tmp_path)
    job = jobs.python(code + "; import time; open('on', 'w'); time.sleep(60)")
    compute = RayCompute(ray_head)
    try:
        compute.start([])
        future = compute.submit(job)
        wait_for(lambda: (tmp_path / "on").exists(), "it runs")
        parent = int(jobs.log(job).split()[0])
        line = Path(f"/proc/{parent}/cmdline").read_bytes()
        assert b"supervisor.main" in line
        assert Path(f"/proc/{parent}/comm").read_text().startswith("python")
        assert " True " in jobs.log(job)
        assert "RAY" not in jobs.log(job)
        compute.cancel(job.id)
        assert future.result(WAIT_S).state == "cancelled"
    finally:
        compute.close()


@pytest.mark.parametrize("version", ["2.51.9", "1.13.0", "unknown"])
def test_a_ray_that_asks_nobody_for_a_token_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    about = tmp_path / f"ray-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ray\nVersion: {version}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    compute = RayCompute(tmp_path / "state", cpus=1, gpus=0)
    with pytest.raises(EnvironmentFault, match=f"Ray {version} is too old") as caught:
        compute.start([])
    assert "ray>=2.52" in caught.value.hint
    compute.close()


def test_its_files_and_its_token_are_for_this_user_only(ray_head: Path) -> None:
    info = ray_state.status(ray_head)
    assert info is not None
    modes = {
        path: stat.S_IMODE(Path(path).stat().st_mode)
        for path in (info.temp_dir, info.token_path, info.socket)
    }
    assert modes == {info.temp_dir: 0o700, info.token_path: 0o600, info.socket: 0o600}
    assert stat.S_IMODE((ray_head / "ray.json").stat().st_mode) == 0o600
    assert len(Path(info.token_path).read_text()) == 64


@pytest.mark.parametrize("token", ["", "0" * 64])
def test_a_client_without_the_token_is_refused(ray_head: Path, token: str, tmp_path: Path) -> None:
    info = ray_state.status(ray_head)
    assert info is not None
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    env["RAY_NUM_REDIS_GET_RETRIES"] = "1"
    if token:
        env |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    else:
        env |= {"RAY_AUTH_MODE": "disabled"}
    code = (
        "import ray, sys\n"
        "ray.init(address=sys.argv[1], logging_level=50)\n"
        "print('INSIDE', ray.get(ray.remote(lambda: 1).remote()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, info.address], env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode != 0
    assert "INSIDE" not in done.stdout
    assert "InvalidAuthToken" in done.stderr


def test_a_ray_at_an_address_is_used_with_its_token(ray_head: Path, tmp_path: Path) -> None:
    info = ray_state.status(ray_head)
    assert info is not None
    env = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": info.token_path}
    compute = RayCompute(tmp_path / "state", address=info.address, env=env)
    try:
        assert compute.start([Resources(cpus=4, gpus=2)]).name == f"Ray at {info.address}"
        assert compute.submit(Jobs(tmp_path).python("pass")).result(WAIT_S).state == "done"
    finally:
        compute.close()
    assert ray_state.status(ray_head) == info


def test_nothing_of_our_environment_reaches_any_process_of_ray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CANARY, "must not be seen")
    compute = RayCompute(tmp_path / "state", cpus=2, gpus=0)
    try:
        compute.start([])
        assert compute.submit(Jobs(tmp_path).python("pass")).result(WAIT_S).state == "done"
        below = job_tree.descendants(os.getpid())
        assert named(set(below), "raylet")
        assert len(below) >= 6
        for pid in below:
            with contextlib.suppress(OSError):  # an idle worker may end meanwhile
                assert b"must not be seen" not in Path(f"/proc/{pid}/environ").read_bytes()
    finally:
        compute.close()
    wait_for(lambda: not any(is_alive(pid) for pid in below), "all of Ray is gone", 5)


def test_up_is_found_again_used_and_stopped(tmp_path: Path) -> None:
    state_dir = tmp_path / "a state folder"
    assert ray_up.down(state_dir) is False
    info = ray_up.up(state_dir, cpus=2, gpus=0)
    try:
        assert ray_up.up(state_dir) == info == ray_state.status(state_dir)
        assert (info.cpus, info.gpus) == (2.0, 0.0)
        below = processes(state_dir)
        for _ in range(2):
            compute = RayCompute(state_dir)
            assert compute.start([]).cpus == 2.0
            compute.close()
        assert processes(state_dir) >= {info.pid}
    finally:
        assert ray_up.down(state_dir) is True
    assert ray_state.status(state_dir) is None
    assert not Path(info.temp_dir).exists()
    wait_for(lambda: not any(is_alive(pid) for pid in below), "all of Ray is gone", 5)


def test_what_a_dead_host_left_is_removed(tmp_path: Path) -> None:
    temp_dir = tmp_path / "fiat-ray-dead"
    temp_dir.mkdir()
    process = subprocess.Popen(["sleep", "100"])
    info = ray_state.HostInfo(
        pid=process.pid,
        ticks=job_tree.start_ticks(process.pid),
        keeper_pid=process.pid,
        boot=ray_state.boot_id(),
        build="b",
        address="127.0.0.1:1",
        socket=str(temp_dir),
        temp_dir=str(temp_dir),
        cpus=1,
        gpus=0,
        memory_bytes=1,
        started_at="",
    )
    ray_state.write_state(tmp_path / "ray.json", info)
    assert ray_state.status(tmp_path) == info
    process.kill()
    process.wait()
    assert ray_state.status(tmp_path) is None
    assert not temp_dir.exists()
    assert not (tmp_path / "ray.json").exists()


@pytest.mark.parametrize("fields", ["", "{", '{"pid": 1}', "[]"])
def test_a_damaged_state_file_is_no_host(tmp_path: Path, fields: str) -> None:
    (tmp_path / "ray.json").write_text(fields)
    assert ray_state.status(tmp_path) is None


def test_an_address_where_nothing_answers_is_an_environment_fault(tmp_path: Path) -> None:
    compute = RayCompute(tmp_path, address="127.0.0.1:1")
    with pytest.raises(EnvironmentFault, match=r"could not connect to Ray at 127\.0\.0\.1:1") as caught:
        compute.start([])
    assert "this machine must be a node: `ray start --address 127.0.0.1:1 " in caught.value.hint
    compute.close()


def test_an_address_for_ray_clients_is_refused_with_the_way_to_go(tmp_path: Path) -> None:
    compute = RayCompute(tmp_path, address="ray://head:10001")
    with pytest.raises(EnvironmentFault, match="ray://head:10001 is for Ray Client") as caught:
        compute.start([])
    assert "`ray start --address head:6379 --num-cpus 0 --num-gpus 0`" in caught.value.hint
    compute.close()


def test_ctrl_c_reaches_the_owner_only_and_no_trace_of_ray_is_printed(ray_head: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _DRIVER, str(tmp_path), str(ray_head)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    sign = tmp_path / "pids"
    wait_for(lambda: sign.exists() and sign.read_text().endswith("end"), "the family runs")
    os.killpg(process.pid, signal.SIGINT)
    wait_for(lambda: (tmp_path / "interrupted").exists(), "the driver heard it")
    assert all(is_alive(pid) for pid in read_pids(sign))
    (tmp_path / "go on").touch()
    assert process.communicate(timeout=30)[0] == "cancelled\n"
    assert not any(is_alive(pid) for pid in read_pids(sign))


def test_a_job_can_name_what_it_was_given(ray_head: Path, tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    job = jobs.python("")
    code = "import os, json; json.dump(os.environ['CUDA_VISIBLE_DEVICES'], open('gpus', 'w'))"
    command = Command((sys.executable, "-c", code), tmp_path, {})
    job = Job(job.id, job.step, Resources(gpus=2), job.log_path, job.work_dir, command=command)
    compute = RayCompute(ray_head)
    compute.start([job.resources])
    result = compute.submit(job).result(WAIT_S)
    compute.close()
    assert sorted(json.loads((tmp_path / "gpus").read_text()).split(",")) == sorted(result.gpus) == ["0", "1"]


_DRIVER = f"""
import sys, time
from pathlib import Path
from fiat.builtin.compute_ray import RayCompute
from fiat.testing.compute_jobs import Jobs
folder = Path(sys.argv[1])
compute = RayCompute(Path(sys.argv[2]))
compute.start([])
future = compute.submit(Jobs(folder).python('''{FAMILY}'''))
try:
    future.result()
except KeyboardInterrupt:
    (folder / "interrupted").touch()
    while not (folder / "go on").exists():
        time.sleep(0.01)
compute.close()
print(future.result().state)
"""
