import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fiat.builtin import job_tree
from fiat.builtin.job_child import RunningChild, Supervisor
from fiat.testing.compute_jobs import FAMILY, is_alive, read_pids, wait_for


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    supervisor = Supervisor()
    yield supervisor
    supervisor.close()


def request(folder: Path, *argv: str, **more: object) -> dict[str, Any]:
    env = {"PATH": "/usr/bin:/bin"}
    return {"argv": list(argv), "cwd": str(folder), "env": env, "log": str(folder / "log"), **more}


def python(folder: Path, code: str, **more: object) -> dict[str, Any]:
    return request(folder, sys.executable, "-I", "-S", "-c", code, **more)


def finish(child: RunningChild) -> dict[str, Any]:
    answer = child.wait(30)
    assert answer is not None
    child.close()
    return answer


def supervisor_pid() -> int:
    (pid,) = (pid for pid in job_tree.children(os.getpid()) if b"supervisor.main" in cmdline(pid))
    return pid


def cmdline(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def family(supervisor: Supervisor, folder: Path) -> tuple[RunningChild, list[int]]:
    child = supervisor.start(python(folder, FAMILY))
    sign = folder / "pids"
    wait_for(lambda: sign.exists() and sign.read_text().endswith("end"), "the family runs")
    return child, read_pids(sign)


def test_a_child_has_its_own_session_no_terminal_no_core_dump_and_no_descriptor_of_ours(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    code = (
        "import os, resource, signal, json\n"
        "json.dump([os.getsid(0) == os.getpid(), os.readlink('/proc/self/fd/0'),"
        " resource.getrlimit(resource.RLIMIT_CORE), sorted(os.listdir('/proc/self/fd'))[:-1],"
        " signal.getsignal(signal.SIGTERM) == signal.SIG_DFL], open('facts', 'w'))"
    )
    assert finish(supervisor.start(python(tmp_path, code)))["state"] == "done"
    assert (tmp_path / "facts").read_text() == '[true, "/dev/null", [0, 0], ["0", "1", "2"], true]'


def test_output_is_in_the_log_while_the_child_still_runs(supervisor: Supervisor, tmp_path: Path) -> None:
    child = supervisor.start(request(tmp_path, "sh", "-c", "echo one; echo two >&2; sleep 60"))
    log = tmp_path / "log"
    wait_for(lambda: log.exists() and log.read_text() == "one\ntwo\n", "both lines are there")
    child.cancel()
    assert finish(child)["state"] == "cancelled"


def test_a_polite_child_may_end_its_work_after_sigterm(supervisor: Supervisor, tmp_path: Path) -> None:
    script = "trap 'echo saved; exit 0' TERM; echo on; while :; do sleep 0.05; done"
    answer = finish(supervisor.start(request(tmp_path, "sh", "-c", script, timeout_s=0.5)))
    assert (answer["state"], answer["reason"]) == ("failed", "ran longer than its limit of 0.5 s")
    assert "saved" in (tmp_path / "log").read_text().splitlines()


@pytest.mark.slow
def test_a_stubborn_child_is_killed_five_seconds_after_its_limit(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    answer = finish(supervisor.start(python(tmp_path, FAMILY, timeout_s=0.5)))
    assert answer["reason"] == "ran longer than its limit of 0.5 s"
    assert 5.0 < answer["seconds"] < 9.0
    assert not any(is_alive(pid) for pid in read_pids(tmp_path / "pids"))


def test_memory_is_that_of_the_whole_tree(supervisor: Supervisor, tmp_path: Path) -> None:
    code = (
        "import os, time\n"
        "for _ in range(3):\n    pid = os.fork()\n    if pid == 0: break\n"
        "held = bytearray(b'x' * 60_000_000)\ntime.sleep(60)"
    )
    answer = finish(supervisor.start(python(tmp_path, code, memory_bytes=150_000_000)))
    assert answer["reason"].startswith("used ")
    assert answer["reason"].endswith("more than its limit of 143 MiB")


def test_when_the_link_closes_everything_is_killed_at_once(supervisor: Supervisor, tmp_path: Path) -> None:
    child, pids = family(supervisor, tmp_path)
    child.close()
    wait_for(lambda: not any(is_alive(pid) for pid in pids), "the family is gone", 5)


def test_when_its_owner_dies_everything_is_killed(supervisor: Supervisor, tmp_path: Path) -> None:
    owner = subprocess.Popen(["sleep", "100"])
    child = supervisor.start(python(tmp_path, FAMILY, owner_pid=owner.pid))
    sign = tmp_path / "pids"
    wait_for(lambda: sign.exists() and sign.read_text().endswith("end"), "the family runs")
    owner.kill()
    owner.wait()
    answer = finish(child)
    assert (answer["state"], answer["reason"]) == ("cancelled", "the process that owned it has ended")
    assert not any(is_alive(pid) for pid in read_pids(sign))


def test_a_killed_runner_loses_the_job_and_leaves_nobody(supervisor: Supervisor, tmp_path: Path) -> None:
    child, pids = family(supervisor, tmp_path)
    (runner,) = job_tree.children(supervisor_pid())
    os.kill(runner, signal.SIGKILL)
    answer = finish(child)
    assert answer["state"] == "lost"
    wait_for(lambda: not any(is_alive(pid) for pid in pids), "the family is gone", 5)


def test_a_killed_supervisor_ends_no_job_and_is_replaced(supervisor: Supervisor, tmp_path: Path) -> None:
    child, pids = family(supervisor, tmp_path)
    pid = supervisor_pid()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(pid), "the supervisor is dead")
    assert finish(supervisor.start(request(tmp_path, "true")))["state"] == "done"
    assert all(is_alive(pid) for pid in pids)
    child.cancel()
    assert finish(child)["state"] == "cancelled"
    assert not any(is_alive(pid) for pid in pids)


def test_a_fork_bomb_is_ended(supervisor: Supervisor, tmp_path: Path) -> None:
    code = (
        "import os, time\n"
        "open('bomb', 'w').write(str(os.getpid()))\n"
        "for _ in range(9):\n"
        "    try: os.fork()\n    except OSError: pass\n"
        "time.sleep(60)"
    )
    answer = finish(supervisor.start(python(tmp_path, code, timeout_s=1.5)))
    assert answer["reason"] == "ran longer than its limit of 1.5 s"
    assert not is_alive(int((tmp_path / "bomb").read_text()))


def test_a_folder_that_is_not_there_is_named(supervisor: Supervisor, tmp_path: Path) -> None:
    answer = finish(supervisor.start({**request(tmp_path, "true"), "cwd": "/no/such/folder"}))
    assert answer["state"] == "failed"
    assert "/no/such/folder" in answer["reason"]


def test_a_log_that_cannot_be_written_does_not_hide_the_failure(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    answer = finish(supervisor.start({**request(tmp_path, "false"), "log": "/dev/full"}))
    assert answer["reason"] == "exited with code 1; its log could not be written: No space left on device"


def test_many_jobs_at_once_keep_their_answers_apart(supervisor: Supervisor, tmp_path: Path) -> None:
    children = [supervisor.start(request(tmp_path, "sh", "-c", f"exit {code}")) for code in range(20)]
    assert [finish(child)["exit_code"] for child in children] == list(range(20))


def test_a_warm_supervisor_adds_little_to_a_command(supervisor: Supervisor, tmp_path: Path) -> None:
    finish(supervisor.start(request(tmp_path, "true")))
    spent = []
    for _ in range(20):
        started = time.monotonic()
        finish(supervisor.start(request(tmp_path, "true")))
        spent.append(time.monotonic() - started)
    assert sorted(spent)[10] < 0.1  # about 4 ms on a quiet machine: this only catches a cold start for each
