"""Why a process ended, in words: exit codes, signals, limits and the kernel's out-of-memory killer."""

import os
import signal

_MEANINGS: dict[int, str] = {
    signal.SIGSEGV: "a crash in native code",
    signal.SIGBUS: "a bad memory access, often a full disk under a mapped file or /dev/shm",
    signal.SIGABRT: "it gave up by itself",
    signal.SIGILL: "an instruction that this CPU does not have",
    signal.SIGFPE: "an arithmetic fault in native code",
    signal.SIGXFSZ: "it wrote a file beyond its limit",
    signal.SIGSYS: "a system call that is not allowed",
}
_SIZES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def size_text(size_bytes: float) -> str:
    """A size as people read it, such as `1.2 GiB`."""
    for unit_bytes, unit in _SIZES:
        if size_bytes >= unit_bytes:
            return f"{size_bytes / unit_bytes:.3g} {unit}"
    return f"{size_bytes:.0f} bytes"


def seconds_text(seconds: float) -> str:
    """A duration as people read it, such as `2 s`."""
    return f"{seconds:.3g} s" if seconds < 1000 else f"{seconds:.0f} s"


def signal_name(number: int) -> str:
    """`SIGKILL` for 9; `signal 40` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def oom_kills() -> tuple[int | None, int | None]:
    """How often the kernel's out-of-memory killer struck: in our control group, and on the whole machine.

    Source: kernel docs cgroup-v2 (`memory.events`, `oom_kill`), cgroup-v1 (`memory.oom_control`) and
    `/proc/vmstat`.

    Returns:
        Two counters that only grow; None where the kernel does not tell.
    """
    return _group_kills(), _counter("/proc/vmstat")


def _group_kills() -> int | None:
    try:
        with open("/proc/self/cgroup") as file:
            groups = [line.strip().split(":", 2) for line in file]
    except OSError:
        return None
    for _, controllers, path in groups:
        if "memory" in controllers.split(","):
            return _first_counter("/sys/fs/cgroup/memory", path, "memory.oom_control")
    for _, controllers, path in groups:
        if not controllers:
            return _first_counter("/sys/fs/cgroup", path, "memory.events")
    return None


def _first_counter(root: str, path: str, name: str) -> int | None:
    """In a container the path may be the host's; then the root is our own group."""
    found = _counter(f"{root}{path.rstrip('/')}/{name}")
    return found if found is not None else _counter(f"{root}/{name}")


def _counter(path: str) -> int | None:
    try:
        with open(path) as file:
            for line in file:
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    except (OSError, ValueError):
        return None
    return None


def exit_sentence(status: int, before: tuple[int | None, int | None]) -> tuple[str, int | None]:
    """Say how a process ended by itself.

    Args:
        status: wait status as `os.waitpid` gives it.
        before: `oom_kills()` when it was started.

    Returns:
        (sentence, exit code); the sentence is empty for exit code 0, the code None after a signal.
    """
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        text = f"killed by signal {number} ({signal_name(number)})"
        if number == signal.SIGKILL:
            return text + _blame(before), None
        meaning = _MEANINGS.get(number)
        return text + (f": {meaning}" if meaning else ""), None
    code = os.WEXITSTATUS(status)
    if not code:
        return "", 0
    text = f"exited with code {code}"
    if code - 128 in signal.valid_signals():
        text += (
            f", which a shell gives when signal {code - 128} ({signal_name(code - 128)}) killed its command"
        )
    if code == 128 + signal.SIGKILL or _struck(before):
        text += _blame(before)
    return text, code


def _struck(before: tuple[int | None, int | None]) -> bool:
    group, machine = oom_kills()
    if before[0] is not None and group is not None:
        return group > before[0]
    return before[1] is not None and machine is not None and machine > before[1]


def _blame(before: tuple[int | None, int | None]) -> str:
    group, machine = oom_kills()
    if before[0] is not None and group is not None and group > before[0]:
        return "; the kernel's out-of-memory killer did it"
    if before[1] is not None and machine is not None:
        return "; probably by the kernel's out-of-memory killer" if machine > before[1] else ""
    return "; possibly by the kernel's out-of-memory killer"
