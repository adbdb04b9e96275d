"""The place of one worker among those that share a job: its variables, its GPUs, its folder, where its outputs go."""

import fcntl
import json
import math
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fiat.ports.compute import Resources

FOLDER = "workers"
"""Folder in a job's work folder for what the workers behind the first one leave."""
LOOPBACK = "lo"
_SIOCGIFADDR = 0x8915


@dataclass(frozen=True)
class Seat:
    """Where one worker sits.

    Attributes:
        rank: its number, from 0.
        size: how many workers there are.
        local_rank: its number among those of its machine; 0 when it has GPUs, since it sees no others than its own.
        local_size: how many are on its machine; 1 when it has GPUs.
        address: host of the first worker.
        port: where that one's store is met.
        threads: how many it computes with.
        interface: the network interface that leads to the others; empty lets the libraries look for it.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    address: str
    port: int
    threads: int
    interface: str = LOOPBACK


def whole_need(need: Resources) -> Resources:
    """What all workers need together, as one job."""
    memory = None if need.memory_bytes is None else need.memory_bytes * need.workers
    return replace(
        need, cpus=need.cpus * need.workers, gpus=need.gpus * need.workers, memory_bytes=memory, workers=1
    )


def threads_of(need: Resources) -> int:
    """How many threads one worker computes with."""
    return max(1, math.floor(need.cpus))


def gpus_of(gpus: Sequence[str], rank: int, size: int) -> tuple[str, ...]:
    """The GPUs of one worker out of those of all, which are in the order of the workers."""
    each = len(gpus) // size
    return tuple(gpus[rank * each : (rank + 1) * each])


def home_of(work_dir: Path, rank: int) -> Path:
    """The scratch folder of a worker; the first one has the job's own."""
    return work_dir if rank == 0 else work_dir / FOLDER / str(rank)


def interface_of(address: str) -> str:
    """Name of the network interface that has an IPv4 address; empty when none has.

    Source: netdevice(7), SIOCGIFADDR.
    """
    if address.startswith("127."):
        return LOOPBACK
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            try:
                found = fcntl.ioctl(sock, _SIOCGIFADDR, struct.pack("256s", name.encode()))
            except OSError:
                continue  # it has no such address
            if socket.inet_ntoa(found[20:24]) == address:
                return name
    return ""


def seated_env(env: Mapping[str, str], seat: Seat, work_dir: Path) -> dict[str, str]:
    """The environment of a worker.

    The variables are those of torch's launcher. What the spec says of threads and network interfaces stays.

    Args:
        env: the environment of the job.
        seat: where the worker sits.
        work_dir: the job's work folder.

    Source: PyTorch documentation, torch.distributed.elastic, environment variables; PyTorch documentation,
    Distributed communication package, common environment variables (GLOO_SOCKET_IFNAME, NCCL_SOCKET_IFNAME).
    """
    usual = {"OMP_NUM_THREADS": str(seat.threads)}
    if seat.interface:
        usual |= {"GLOO_SOCKET_IFNAME": seat.interface, "NCCL_SOCKET_IFNAME": seat.interface}
    own = {
        "RANK": str(seat.rank),
        "WORLD_SIZE": str(seat.size),
        "LOCAL_RANK": str(seat.local_rank),
        "LOCAL_WORLD_SIZE": str(seat.local_size),
        "MASTER_ADDR": seat.address,
        "MASTER_PORT": str(seat.port),
    }
    if seat.rank:
        home = home_of(work_dir, seat.rank)
        own |= {"HOME": str(home), "TMPDIR": str(home / "tmp")}
        if "FIAT_OUTPUTS" in env:
            # Not as a text: JSON writes letters beyond ASCII as escapes.
            outputs = json.loads(env["FIAT_OUTPUTS"]).items()
            own["FIAT_OUTPUTS"] = json.dumps({name: _moved(path, work_dir, home) for name, path in outputs})
    return {**usual, **env, **own}


def seated_argv(argv: Sequence[str], rank: int, work_dir: Path) -> tuple[str, ...]:
    """The command of a worker: those behind the first one write their outputs elsewhere."""
    if rank == 0:
        return tuple(argv)
    home = home_of(work_dir, rank)
    return tuple(_moved(part, work_dir, home) for part in argv)


def make_home(work_dir: Path, rank: int) -> Path:
    """Make the folders that a worker expects, and give its home."""
    home = home_of(work_dir, rank)
    for name in ("out", "tmp"):
        (home / name).mkdir(parents=True, exist_ok=True)
    return home


def _moved(text: str, work_dir: Path, home: Path) -> str:
    """Text with the paths of outputs in another home, also as a shell's quotes have them."""
    for old, new in ((str(work_dir), str(home)), (_quoted(work_dir), _quoted(home))):
        text = text.replace(f"{old}/out/", f"{new}/out/")
    return text


def _quoted(path: Path) -> str:
    """A path as it is inside `shlex.quote`'s quotes."""
    return str(path).replace("'", "'\"'\"'")
