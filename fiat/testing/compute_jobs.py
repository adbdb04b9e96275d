"""Jobs for the conformance suite of the port `compute`: programs that behave badly, and a planted step."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from fiat.ports.compute import Command, Job, Resources
from fiat.ports.step import StepContext

CANARY = "FIAT_SUITE_CANARY"
WAIT_S = 60.0
NO_GPU = {"CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": "", "ROCR_VISIBLE_DEVICES": ""}
"""What a compute adds to the environment of a job that has no GPU."""

_STEP_MODULE = """
import os, signal, sys, time
from fiat.errors import SpecError
from fiat.ports.step import StepOutcome
from fiat.run.model import Metric

class SuiteStep:
    name, version, packages = "suite", "1", ()

    def run(self, context):
        what = context.params["do"]
        print("step says", what)
        if what == "spec":
            raise SpecError("the label is missing", hint="name one")
        if what == "bug":
            raise ZeroDivisionError("by zero")
        if what == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if what == "sleep":
            time.sleep(60)
        context.outputs["out"].write_text(os.environ.get("FIAT_SUITE_CANARY", "clean"))
        gpus = os.environ.get("CUDA_VISIBLE_DEVICES")
        return StepOutcome((Metric("rows", 3.0),), {"pid": os.getpid(), "gpus": gpus})
"""


def plant_step(folder: Path) -> None:
    """Install a step plugin of the kind `suite` into a folder that shall be put on `sys.path`."""
    about = folder / "fiat_suite_step-1.dist-info"
    about.mkdir(parents=True)
    (folder / "fiat_suite_step.py").write_text(_STEP_MODULE)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: fiat-suite-step\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[fiat.step]\nsuite = fiat_suite_step:SuiteStep\n")


def is_alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: it does not in time.
    """
    give_up_at = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > give_up_at:
            raise AssertionError(f"not in {timeout_s:g} s: {what}")
        time.sleep(0.02)


class Jobs:
    """Makes jobs in a scratch folder.

    Attributes:
        folder: where the jobs run and write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made = 0

    def python(self, code: str, *args: str, **settings: object) -> Job:
        """A job that runs a piece of Python with only `env` (default: PATH) around it."""
        env = settings.pop("env", {"PATH": "/usr/bin:/bin"})
        command = Command((sys.executable, "-I", "-S", "-c", code, *args), self.folder, env)  # type: ignore[arg-type]  # given by tests
        return self._job(command=command, **settings)

    def trusted(self, what: str, **settings: object) -> Job:
        """A job that runs the planted step."""
        root = self.folder
        self._made += 1
        out = root / f"out{self._made}"
        context = StepContext("suite", {"do": what}, {}, {"out": out}, root, root)
        return self._job(task=context, **settings)

    def log(self, job: Job) -> str:
        """What the job printed."""
        return job.log_path.read_text(encoding="utf-8")

    def _job(self, **settings: object) -> Job:
        self._made += 1
        name = f"job{self._made}"
        work = self.folder / f"work-{name}"
        work.mkdir()
        settings.setdefault("resources", Resources())
        return Job(name, name, log_path=self.folder / f"{name}.log", work_dir=work, **settings)  # type: ignore[arg-type]  # checked by Job's own fields


def read_pids(path: Path) -> list[int]:
    """Process ids that a program wrote down."""
    return [int(word) for word in path.read_text().split() if word != "end"]


# Ignores SIGTERM, has children, a grandchild, and one in a session of its own.
FAMILY = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pids = [os.getpid()]
for new_session in (False, True):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        if new_session:
            os.setsid()
        grandchild = os.fork()
        if grandchild == 0:
            os.write(write, b"%d " % os.getpid())
            time.sleep(100)
        if new_session:
            os._exit(0)
        time.sleep(100)
    pids.append(int(os.read(read, 100)))
    if not new_session:
        pids.append(child)
open("pids", "w").write(" ".join(map(str, pids)) + " end")
time.sleep(100)
"""

# Ends, and leaves a daemon that holds none of its descriptors.
DAEMON = """
import os, time
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in (0, 1, 2):
            os.close(fd)
        open("pids", "w").write(str(os.getpid()) + " end")
        os.write(write, b"x")
        time.sleep(100)
    os._exit(0)
os.read(read, 1)
"""

# Ends well only when another job runs at the same time.
MEET = """
import os, sys, time
mine, other = sys.argv[1:]
open(mine, "w").close()
end = time.monotonic() + 30
while not os.path.exists(other):
    if time.monotonic() > end:
        raise SystemExit("the other did not come")
    time.sleep(0.01)
"""

# Writes when it ran and which GPUs it saw.
SPAN = """
import os, sys, time
start = time.monotonic_ns()
time.sleep(0.2)
text = f"{start} {time.monotonic_ns()} {os.environ['CUDA_VISIBLE_DEVICES']}"
open(sys.argv[1], "w").write(text)
"""

# A line of 200 MB, escape sequences, bytes that are no UTF-8, a last line without an end.
NOISE = r"""
import os
for _ in range(200):
    os.write(1, b"a" * 1_000_000)
os.write(1, b"\n\x1b]0;title\x07\x1b[31mred\x1b[0m \xff\xfe \x00\x08bell\x07\n")
os.write(1, b"FIAT_METRIC m=7\nthe end")
"""
