"""The system that a sandboxed job sees: programs and libraries read-only, a few settings, its own /proc, /dev and /tmp."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

HOST_NAME = "sandbox"
_ROOTS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_STORES = ("/nix/store", "/gnu/store")  # where some systems keep all libraries
# Of /etc a job gets copies of files and sees folders, each where it is there: a mount for every file would take long.
_FILES = (
    "ld.so.cache",
    "ld.so.conf",
    "localtime",
    "mime.types",
    "pki/tls/cert.pem",
    "pki/tls/openssl.cnf",
    "protocols",
    "services",
    "ssl/cert.pem",
    "ssl/openssl.cnf",
    "timezone",
)
_FOLDERS = (
    "alternatives",
    "crypto-policies",
    "fonts",
    "pki/ca-trust/extracted",
    "pki/tls/certs",
    "ssl/certs",
)
# What the kernel shows of the whole machine there. /proc/sys may be written by the machine's root, which a job of a
# runner that is started as root still is for the kernel.
_PROC_FILES = (
    "kallsyms",
    "kcore",
    "keys",
    "kmsg",
    "kpagecgroup",
    "kpagecount",
    "kpageflags",
    "latency_stats",
    "sched_debug",
    "sysrq-trigger",
    "timer_list",
)
_PROC_FOLDERS = ("acpi", "asound", "scsi")
_PROC_READ_ONLY = ("fs", "sys")  # bubblewrap itself sees to "bus" and "irq"
_GPU_FOLDERS = ("/sys/bus/pci", "/sys/devices", "/sys/module")
_GPU_DEVICES = ("nvidia*", "nvidia-caps/*")


def system_options(*, network: bool, gpus: Sequence[str], shared_bytes: int, temp_bytes: int) -> list[str]:
    """Options of bubblewrap for everything but the job's own paths; what is not on this machine is left out.

    Args:
        network: whether it shares the machine's network.
        gpus: ids of its GPUs; with any it sees the devices of all: which of them it uses is up to
            CUDA_VISIBLE_DEVICES, since ids and device files need not be numbered alike.
        shared_bytes: size of /dev/shm, which is memory.
        temp_bytes: size of /tmp, which is memory; TMPDIR is on disk.
    """
    options = ["--unshare-all", "--unshare-user", "--disable-userns", *(["--share-net"] if network else [])]
    options += ["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", HOST_NAME]
    options += ["--uid", "65534", "--gid", "65534", "--clearenv", "--ro-bind", "/usr", "/usr"]
    for root in map(Path, _ROOTS):
        if root.is_symlink():
            options += ["--symlink", str(root.readlink()), str(root)]
        elif root.is_dir():
            options += ["--ro-bind", str(root), str(root)]
    for path in (*_STORES, "/sys/devices/system"):
        options += ["--ro-bind-try", path, path]
    options += ["--proc", "/proc", *_covers(), "--dev", "/dev", *(_devices() if gpus else [])]
    options += ["--size", str(shared_bytes), "--perms", "1777", "--tmpfs", "/dev/shm"]  # noqa: S108 (in the sandbox)
    options += ["--size", str(temp_bytes), "--perms", "1777", "--tmpfs", "/tmp"]  # noqa: S108 (in the sandbox)
    return [*options, "--symlink", "/tmp", "/var/tmp"]  # noqa: S108 (in the sandbox)


def _covers() -> Iterator[str]:
    for name in _PROC_FILES:
        if os.access(f"/proc/{name}", os.R_OK) or os.access(f"/proc/{name}", os.W_OK):
            yield from ("--ro-bind", "/dev/null", f"/proc/{name}")
    for name in _PROC_FOLDERS:
        if Path(f"/proc/{name}").is_dir():
            yield from ("--size", "4096", "--tmpfs", f"/proc/{name}", "--remount-ro", f"/proc/{name}")
    for name in _PROC_READ_ONLY:
        if Path(f"/proc/{name}").is_dir():
            yield from ("--ro-bind", f"/proc/{name}", f"/proc/{name}")


def _devices() -> Iterator[str]:
    for pattern in _GPU_DEVICES:
        for device in sorted(Path("/dev").glob(pattern)):
            if not device.is_dir():
                yield from ("--dev-bind-try", str(device), str(device))
    for folder in _GPU_FOLDERS:
        yield from ("--ro-bind-try", folder, folder)


def write_settings(folder: Path, env: Mapping[str, str], *, network: bool) -> Iterator[str]:
    """Make the /etc of a job, and give the options that put it there.

    Args:
        folder: where to make it; exists.
        env: the job's environment.
        network: whether names are to be looked up as the machine does.
    """
    files = {
        "passwd": f"nobody:x:65534:65534:nobody:{env.get('HOME', '/')}:/bin/sh\n",
        "group": "nogroup:x:65534:\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "hosts": f"127.0.0.1 localhost {HOST_NAME}\n::1 localhost\n",
    }
    if network:
        files["hosts"] += _read("/etc/hosts")
        files["resolv.conf"] = _read("/etc/resolv.conf")
    for name, text in files.items():
        (folder / name).write_text(text)
    for name in _FILES:
        with suppress(OSError):
            content = Path(f"/etc/{name}").read_bytes()
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    seen = [name for name in _FOLDERS if Path(f"/etc/{name}").is_dir()]
    for name in seen:
        (folder / name).mkdir(parents=True, exist_ok=True)
    yield from ("--ro-bind", str(folder), "/etc")
    for name in seen:
        yield from ("--ro-bind", f"/etc/{name}", f"/etc/{name}")


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
