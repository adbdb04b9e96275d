"""Steps that take all they can: each ends at its limit, with a reason that names it, and leaves no process behind.

The numbers are small, and so is the harm if a limit should fail: bombs here stop by themselves.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fiat.builtin.compute_local import LocalCompute
from fiat.ports.compute import JobResult, Resources, Sandbox
from fiat.testing.compute_jobs import FAMILY, WAIT_S, Jobs, wait_for

sys.path.insert(0, str(Path(__file__).parent))
from box_stage import Boxed, marked, need_sandbox

ROOT = Path(__file__).parents[2]
LIMITS = Sandbox(
    "bubblewrap",
    processes=40,
    memory_bytes=300 << 20,
    disk_bytes=30 << 20,
    file_bytes=30 << 20,
    log_bytes=2 << 20,
)
MEGABYTE = 'block = b"x" * (1 << 20)\n'

# what it does: (program, reason)
GREEDY = {
    "fork bomb": (
        "import os, time\nfor _ in range(9):\n    try: os.fork()\n    except OSError: pass\ntime.sleep(60)",
        r"had \d+ processes at a time, more than its limit of 40",
    ),
    "daemons": (
        (
            "import os, time\n"
            "for _ in range(100):\n"
            "    if os.fork() == 0:\n"
            "        os.setsid()\n"
            "        if os.fork() == 0: time.sleep(60)\n"
            "        os._exit(0)\n"
            "    time.sleep(0.005)\n"
            "time.sleep(60)"
        ),
        r"had \d+ processes at a time, more than its limit of 40",
    ),
    "thread bomb": (
        (
            "import threading, time\n"
            "for _ in range(600): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
            "time.sleep(60)"
        ),
        r"had \d+ threads at a time, more than 8 for each process of its limit",
    ),
    "memory": (
        "held = []\nfor _ in range(800): held.append(bytearray(b'x' * (1 << 20)))\nimport time; time.sleep(60)",
        r"used \d+ MiB of memory, more than its limit of 300 MiB",
    ),
    "many files": (
        MEGABYTE
        + "import os, time\n"
        + "for i in range(200):\n    open(f'f{i}', 'wb').write(block); time.sleep(0.02)\n"
        + "time.sleep(60)",
        r"wrote \d+(\.\d+)? MiB, more than its limit of 30 MiB",
    ),
    "deleted files": (
        MEGABYTE
        + "import os, time\nheld = []\n"
        + "for i in range(100):\n"
        + "    held.append(open(f'f{i}', 'wb')); os.unlink(f'f{i}'); held[-1].write(block); held[-1].flush()\n"
        + "    time.sleep(0.02)\n"
        + "time.sleep(60)",
        r"wrote \d+(\.\d+)? MiB, more than its limit of 30 MiB",
    ),
    "one large file": (
        MEGABYTE + "with open('big', 'wb') as file:\n    for _ in range(200): file.write(block)\n",
        r"wrote (a file as large as|\d+(\.\d+)? MiB, more than) its limit of 30 MiB",
    ),
    "one large file from a shell": (
        "import os; os.execv('/bin/sh', ['sh', '-c', 'head -c 200000000 /dev/zero > big'])",
        r"wrote (a file as large as|\d+(\.\d+)? MiB, more than) its limit of 30 MiB",
    ),
    "nested folders": (
        "import os, time\nfor _ in range(300):\n    os.mkdir('d' * 200); os.chdir('d' * 200)\ntime.sleep(60)",
        r"hid folders nested too deeply from the measure of its limit of 30 MiB on disk",
    ),
    "endless output": (
        "import os\nwhile True: os.write(1, b'all work and no play\\n' * 5000)",
        r"printed more than its limit of 2 MiB",
    ),
    "a line of a gigabyte": (
        "import os\nfor _ in range(1024): os.write(1, b'x' * (1 << 20))",
        r"printed more than its limit of 2 MiB",
    ),
    "a full /tmp": (
        MEGABYTE + "with open('/tmp/big', 'wb') as file:\n    for _ in range(200): file.write(block)\n",
        r"(exited with code 1|wrote a file as large as its limit of 30 MiB)",
    ),
    "shared memory": (
        MEGABYTE
        + "import itertools\n"
        + "for i in itertools.count():\n    open(f'/dev/shm/f{i}', 'wb').write(block)\n",
        r"exited with code 1",
    ),
}


@pytest.fixture
def boxed(tmp_path: Path) -> Iterator[Boxed]:
    need_sandbox()
    compute = Boxed(LocalCompute(cpus=4, gpus=0), LIMITS)
    compute.start([])
    yield compute
    compute.close()


def run(boxed: Boxed, jobs: Jobs, code: str, **settings: object) -> tuple[JobResult, str]:
    job = jobs.python(code, f"mark{jobs.folder}", **settings)
    result = boxed.submit(job).result(WAIT_S)
    return result, jobs.log(job)


@pytest.mark.parametrize("what", GREEDY)
def test_a_greedy_step_ends_at_its_limit_and_says_which(boxed: Boxed, tmp_path: Path, what: str) -> None:
    code, reason = GREEDY[what]
    jobs = Jobs(tmp_path)
    started = time.monotonic()
    result, log = run(boxed, jobs, code)
    assert time.monotonic() - started < 20
    assert result.state == "failed"
    assert re.fullmatch(reason, result.reason), result.reason
    assert f"[fiat] {result.reason}" in log
    assert len(log) < (2 << 20) + 1000
    wait_for(lambda: not marked(f"mark{tmp_path}"), "nobody is left", 5)


@pytest.mark.slow
def test_a_step_that_ignores_sigterm_is_gone_after_its_time(boxed: Boxed, tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    future = boxed.submit(jobs.python(FAMILY, f"mark{tmp_path}", timeout_s=1.0))
    wait_for(lambda: len(marked(f"mark{tmp_path}")) >= 5, "the family runs")
    result = future.result(WAIT_S)
    assert (result.state, result.reason) == ("failed", "ran longer than its limit of 1 s")
    assert result.seconds < 8
    assert marked(f"mark{tmp_path}") == []


def test_a_polite_step_has_time_to_save_its_work(boxed: Boxed, tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "def save(*_):\n    print('saved', flush=True); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, save)\nprint('on', flush=True)\ntime.sleep(60)"
    )
    result, log = run(boxed, Jobs(tmp_path), code, timeout_s=1.0)
    assert result.reason == "ran longer than its limit of 1 s"
    assert "saved" in log.splitlines()


def test_a_crash_leaves_no_core_and_names_its_signal(boxed: Boxed, tmp_path: Path) -> None:
    result, _ = run(boxed, Jobs(tmp_path), "import os; os.abort()")
    assert result.reason == "killed by signal 6 (SIGABRT): it gave up by itself"
    assert [path.name for path in tmp_path.rglob("*core*")] == []


def test_limits_hold_without_a_sandbox_too(tmp_path: Path) -> None:
    boxed = Boxed(
        LocalCompute(cpus=4, gpus=0), Sandbox("none", processes=40, log_bytes=2 << 20, disk_bytes=30 << 20)
    )
    boxed.start([])
    jobs = Jobs(tmp_path)
    try:
        for what in ("fork bomb", "endless output", "many files"):
            code, reason = GREEDY[what]
            result, _ = run(boxed, jobs, code)
            assert re.fullmatch(reason, result.reason), result.reason
            wait_for(lambda: not marked(f"mark{tmp_path}"), "nobody is left", 5)
    finally:
        boxed.close()


def test_the_smaller_of_two_memory_limits_counts(boxed: Boxed, tmp_path: Path) -> None:
    code, _ = GREEDY["memory"]
    result, _ = run(boxed, Jobs(tmp_path), code, resources=Resources(memory_bytes=150 << 20))
    assert result.reason.endswith("of memory, more than its limit of 150 MiB")


def test_greedy_steps_do_not_disturb_a_quiet_one(boxed: Boxed, tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    (tmp_path / "quiet").mkdir()
    sleep = Jobs(tmp_path / "quiet").python("import time; time.sleep(1.5); print('well')")
    quiet = boxed.submit(replace(sleep, id="quiet"))
    for name in ("fork bomb", "endless output", "one large file"):
        assert run(boxed, jobs, GREEDY[name][0])[0].state == "failed"
    assert quiet.result(WAIT_S).state == "done"


_AS_NOBODY = """
import os, resource, sys
sys.path.insert(0, sys.argv[1])
from fiat.builtin.job_child import Supervisor
from fiat.builtin.sandbox_probe import probe_sandbox
from fiat.builtin.sandbox_system import system_options
folder = sys.argv[2]
options = system_options(network=False, gpus=(), shared_bytes=1 << 20, temp_bytes=1 << 20)
code = '''
import os, time
for started in range(1000):
    try:
        if os.fork() == 0: os.read(0, 1); time.sleep(20); os._exit(0)
    except BlockingIOError:
        print("refused after", started, os.getuid(), flush=True); break
time.sleep(60)
'''
supervisor = Supervisor()
child = supervisor.start({
    "argv": [sys.executable, "-I", "-S", "-c", code], "cwd": folder, "env": {}, "log": folder + "/log",
    "limits": {"processes": 20},
    "box": {"program": probe_sandbox().program, "options": [*options, "--bind", folder, folder]},
})
print(child.wait(30)["reason"])
supervisor.close()
"""


def test_for_a_runner_that_is_not_root_the_kernel_itself_stops_a_fork_bomb(tmp_path: Path) -> None:
    need_sandbox()
    python = Path("/usr/bin/python3")
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o777)
        drop = (
            ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] if os.geteuid() == 0 else []
        )
        command = [*drop, str(python), "-I", "-S", "-c"]
        able = [
            *command,
            f"import sys, os; sys.exit(sys.version_info < (3, 11) or not os.access({str(ROOT)!r}, 5))",
        ]
        if not python.exists() or subprocess.run(able, check=False).returncode:
            pytest.skip("the system's Python is too old, or somebody else may not read this checkout")
        done = subprocess.run(
            [*command, _AS_NOBODY, str(ROOT), str(folder)],
            capture_output=True,
            text=True,
            check=True,
            cwd="/",
        )
        assert re.fullmatch(r"had \d+ processes at a time, more than its limit of 20\n", done.stdout), done
        refused = re.search(r"refused after (\d+) 65534", (folder / "log").read_text())
        # Whoever looks first: the runner, or the kernel at 8 * 20 + 64 threads.
        assert refused is None or int(refused[1]) < 224
    finally:
        shutil.rmtree(folder)
