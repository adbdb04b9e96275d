"""A step of strangers tries to get out through the kernel: every call is refused, and nothing outside changes."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fiat.builtin import job_tree
from fiat.builtin.compute_local import LocalCompute
from fiat.builtin.job_child import Supervisor
from fiat.builtin.sandbox_landlock import landlock_version
from fiat.builtin.sandbox_probe import probe_sandbox
from fiat.builtin.sandbox_seccomp import filter_program
from fiat.builtin.sandbox_system import system_options
from fiat.ports.compute import Sandbox
from fiat.testing.compute_jobs import FAMILY, WAIT_S, Jobs, wait_for

sys.path.insert(0, str(Path(__file__).parent))
from box_stage import Boxed, marked, need_sandbox

# Numbers of x86_64 and aarch64. Each entry becomes the name of the error, or what came back.
_ESCAPES = """
import ctypes, errno, fcntl, json, os, platform, signal, socket, stat, sys, termios
libc = ctypes.CDLL(None, use_errno=True)
column = {"x86_64": 0, "aarch64": 1}[platform.machine()]
found = {}

def call(name, numbers, *arguments):
    number = numbers if isinstance(numbers, int) else numbers[column]
    ctypes.set_errno(0)
    came = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    found[name] = errno.errorcode.get(ctypes.get_errno(), "?") if came < 0 else f"worked: {came}"

def attempt(name, act):
    try:
        found[name] = f"worked: {act()!r}"
    except OSError as error:
        found[name] = errno.errorcode.get(error.errno, str(error.errno))
    except ValueError:  # how the module resource says EPERM
        found[name] = "EPERM"

def write(path, text="x"):
    with open(path, "w") as file:
        file.write(text)

NEWUSER, NEWNS, NEWPID = 0x10000000, 0x20000, 0x20000000
call("unshare", (272, 97), NEWUSER | NEWNS)
call("clone", (56, 220), NEWUSER | signal.SIGCHLD, 0, 0, 0, 0)
call("clone3", 435, 0, 0)
call("setns", (308, 268), 0, 0)
call("mount", (165, 40), b"none", b"/tmp", b"tmpfs", 0, 0)
call("umount", (166, 39), b"/tmp", 2)
call("remount writable", (165, 40), b"none", b"/usr", 0, 32 | 4096, 0)
call("open_tree", 428, -100, b"/", 0)
call("pivot_root", (155, 41), b"/", b"/")
call("chroot", (161, 51), b"/tmp")
call("ptrace", (101, 117), 16, 1, 0, 0)
call("bpf", (321, 280), 5, b"\\0" * 128, 128)
call("io_uring", 425, 8, b"\\0" * 200)
call("perf_event_open", (298, 241), b"\\0" * 128, 0, -1, -1, 0)
call("userfaultfd", (323, 282), 0)
call("keyctl", (250, 219), 0, -3, 0, 0, 0)
call("add_key", (248, 217), b"user", b"a", b"b", 1, -3)
call("init_module", (175, 105), b"x", 1, b"")
call("kexec", (246, 104), 0, 0, 0, 0)
call("open_by_handle_at", (304, 265), -100, b"\\0" * 64, 0)
call("sethostname", (170, 161), b"mine", 4)
call("clock_settime", (227, 112), 0, b"\\0" * 16)
call("syslog", (103, 116), 3, b"\\0" * 100, 100)
call("reboot", (169, 142), 1, 2, 0, 0)
if column == 0:
    call("x32 numbers", 0x40000000 + 39)
    call("iopl", 172, 3)
primary, secondary = os.openpty()
attempt("TIOCSTI", lambda: fcntl.ioctl(secondary, termios.TIOCSTI, b"x"))
attempt("terminal", lambda: os.open("/dev/tty", os.O_RDWR))
for name in ("mem", "kmem", "port", "kmsg", "vda", "sda", "fuse", "kvm", "net/tun", "loop-control"):
    attempt(f"/dev/{name}", lambda: os.open(f"/dev/{name}", os.O_RDONLY))
attempt("make a disk", lambda: os.mknod("disk", 0o600 | stat.S_IFBLK, os.makedev(8, 0)))
attempt("be root", lambda: os.setuid(0))
attempt("packet socket", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches",
             "/proc/sysrq-trigger", "/proc/1/oom_score_adj", "/sys/kernel/uevent_helper", "/etc/passwd", "/etc/new",
             "/usr/bin/new", "/new", "/dev/new", sys.executable, "/proc/1/root/new"):
    attempt("write " + path, lambda: write(path))
attempt("write beside", lambda: write("../new"))
outside = int(sys.argv[1])
attempt("signal outside", lambda: os.kill(outside, 0))
attempt("read outside", lambda: open(f"/proc/{outside}/environ", "rb").read())
attempt("rename the work folder", lambda: os.rename(os.getcwd(), os.getcwd() + "2"))
attempt("more processes", lambda: __import__("resource").setrlimit(6, (1 << 20, 1 << 20)))
attempt("own priority", lambda: os.nice(-5))
found["capabilities"] = [line.split()[1] for line in open("/proc/self/status") if line.startswith("Cap")]
found["no new privileges"] = [line.split()[1] for line in open("/proc/self/status") if line.startswith("NoNewPrivs")]
found["filter"] = [line.split()[1] for line in open("/proc/self/status") if line.startswith("Seccomp:")]
found["writable"] = sorted(
    line.split()[4] for line in open("/proc/self/mountinfo") if "rw" in line.split()[5].split(",")
)
json.dump(found, open("found.json", "w"))
"""

HARMLESS = {"/dev", "/dev/full", "/dev/null", "/dev/random", "/dev/tty", "/dev/urandom", "/dev/zero"}


@pytest.fixture
def boxed() -> Iterator[Boxed]:
    need_sandbox()
    compute = Boxed(LocalCompute(cpus=2, gpus=0), Sandbox("bubblewrap", processes=64))
    compute.start([])
    yield compute
    compute.close()


def attack(boxed: Boxed, folder: Path) -> dict[str, Any]:
    jobs = Jobs(folder)
    job = jobs.python(_ESCAPES, str(os.getpid()))
    result = boxed.submit(job).result(WAIT_S)
    assert result.state == "done", (result.reason, jobs.log(job))
    found: dict[str, Any] = json.loads((folder / "found.json").read_text())
    return found


def test_the_kernel_refuses_every_way_out(boxed: Boxed, tmp_path: Path) -> None:
    if not filter_program():
        pytest.skip("no filter of system calls for this kind of machine")
    found = attack(boxed, tmp_path)
    facts = {name: found.pop(name) for name in ("capabilities", "no new privileges", "filter", "writable")}
    found.pop("write beside")  # the folder above lies in the sandbox's own /tmp
    assert not (tmp_path.parent / "new").exists()
    worked = {name: how for name, how in found.items() if how.startswith(("worked", "?"))}
    assert worked == {}
    assert facts["capabilities"] == ["0000000000000000"] * 5
    assert facts["no new privileges"] == ["1"]
    assert facts["filter"] == ["2"]
    writable = set(facts["writable"]) - HARMLESS
    work = {str(path) for path in (tmp_path, tmp_path / "work-job1")}
    assert writable == {"/dev/pts", "/dev/shm", "/tmp", "/proc", *work}
    assert found["clone3"] == "ENOSYS"
    assert {found[name] for name in ("bpf", "io_uring", "ptrace", "mount", "unshare", "clone")} == {"EPERM"}


def test_what_is_left_behind_is_no_set_user_id_program_of_anybody_else(boxed: Boxed, tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    job = jobs.python(
        "import os, shutil; shutil.copy('/usr/bin/id', 'id'); os.chmod('id', 0o6755); os.execv('./id', ['id'])"
    )
    result = boxed.submit(job).result(WAIT_S)
    assert result.state == "done"
    assert jobs.log(job).startswith("uid=65534(nobody)")
    assert (tmp_path / "id").stat().st_uid == os.getuid()


def test_variables_of_a_job_do_not_act_outside_of_its_sandbox(boxed: Boxed, tmp_path: Path) -> None:
    marker = tmp_path.with_name(f"{tmp_path.name}.outside")
    (tmp_path / "evil.c").write_text(
        f'#include <fcntl.h>\n__attribute__((constructor)) void go(void) {{ open("{marker}", O_CREAT, 0600); }}'
    )
    library = tmp_path / "evil.so"
    made = subprocess.run(
        ["cc", "-shared", "-fPIC", "-o", str(library), str(tmp_path / "evil.c")],
        check=False,
        capture_output=True,
    )
    if made.returncode and os.environ.get("CI"):
        pytest.fail("there is no C compiler; CI must test hostile variables")
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "LD_PRELOAD": str(library), "LD_LIBRARY_PATH": str(tmp_path)}
    (tmp_path / "bwrap").write_text(f"#!/bin/sh\ntouch {marker}\n")
    (tmp_path / "bwrap").chmod(0o755)
    jobs = Jobs(tmp_path)
    job = jobs.python("import os; print(os.environ['LD_PRELOAD'])", env=env)
    assert boxed.submit(job).result(WAIT_S).state == "done"
    assert str(library) in jobs.log(job)
    assert not marker.exists()


def test_secrets_stand_in_no_command_line_and_no_other_environment(tmp_path: Path) -> None:
    need_sandbox()
    folder = tmp_path / "w"
    folder.mkdir()
    value = "value-93b1-of-a-secret"
    options = [*system_options(network=False, gpus=(), shared_bytes=1 << 20, temp_bytes=1 << 20)]
    options += ["--bind", str(folder), str(folder)]
    supervisor = Supervisor()
    child = supervisor.start(
        {
            "argv": ["/bin/sh", "-c", f"echo $TOKEN > seen; sleep 60 # mark{tmp_path}"],
            "cwd": str(folder),
            "env": {"TOKEN": value},
            "log": str(tmp_path / "log"),
            "box": {"program": probe_sandbox().program, "options": options},
        }
    )
    try:
        wait_for(lambda: (folder / "seen").exists(), "it runs")
        holders = []
        for pid in job_tree.descendants(os.getpid()):
            assert value.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
            if value.encode() in Path(f"/proc/{pid}/environ").read_bytes():
                holders.append(Path(f"/proc/{pid}/comm").read_text().strip())
        assert holders
        assert set(holders) <= {"sh", "sleep"}
    finally:
        child.cancel()
        child.wait(10)
        child.close()
        supervisor.close()


@pytest.mark.parametrize("who", ["runner", "monitor", "first"])
def test_whoever_of_the_chain_is_killed_takes_the_sandbox_with_it(
    boxed: Boxed, tmp_path: Path, who: str
) -> None:
    mark = f"mark{tmp_path}"
    future = boxed.submit(Jobs(tmp_path).python(FAMILY, mark))
    wait_for(lambda: len(marked(mark)) >= 6, "the family runs in its sandbox")
    below = job_tree.descendants(os.getpid())
    monitor, first = (pid for pid in below if Path(f"/proc/{pid}/comm").read_text() == "bwrap\n")
    runner = int(Path(f"/proc/{monitor}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill({"runner": runner, "monitor": monitor, "first": first}[who], signal.SIGKILL)
    result = future.result(WAIT_S)
    assert result.state == ("lost" if who == "runner" else "failed")
    wait_for(lambda: marked(mark) == [], "nobody is left", 5)


def test_abstract_sockets_of_the_machine_are_out_of_reach_with_the_network_too(tmp_path: Path) -> None:
    need_sandbox()
    if landlock_version() < 6:
        pytest.skip("Landlock of this kernel is too old to shut abstract sockets off")
    compute = Boxed(LocalCompute(cpus=2, gpus=0), Sandbox("bubblewrap", network=True))
    compute.start([])
    code = (
        "import socket, sys\n"
        "own = socket.socket(socket.AF_UNIX); own.bind('\\0own' + sys.argv[1]); own.listen()\n"
        "socket.socket(socket.AF_UNIX).connect('\\0own' + sys.argv[1])\n"
        "try: socket.socket(socket.AF_UNIX).connect('\\0' + sys.argv[1])\n"
        "except PermissionError: print('refused')"
    )
    with socket.socket(socket.AF_UNIX) as hall:
        name = f"fiat-{os.getpid()}-{tmp_path.name}"
        hall.bind("\0" + name)
        hall.listen()
        jobs = Jobs(tmp_path)
        job = jobs.python(code, name)
        assert compute.submit(job).result(WAIT_S).state == "done"
        compute.close()
    assert jobs.log(job) == "refused\n"
