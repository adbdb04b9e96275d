"""Two nodes of one Ray on loopback, of which the second sees nothing of the store and the checkout."""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fiat.builtin import job_tree
from fiat.builtin.ray_launch import host_env
from fiat.testing.compute_jobs import wait_for

PROGRAM = Path(__file__).with_name("loopback_node.py")
STARTING_S = 60.0
_ATTEMPTS = 6
NODE = "node"


@dataclass
class Cluster:
    """Two nodes that run.

    Attributes:
        folder: for their sockets and their token.
        address: of the head.
        env: what a client's environment needs.
        hidden: folders that the second node does not see.
        head_pid: process of the head.
    """

    folder: Path
    address: str
    env: dict[str, str]
    hidden: tuple[Path, ...]
    head_pid: int
    _nodes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def node_folder(self) -> Path:
        """Where the second node keeps what is sent to it."""
        return self.folder / NODE

    def start_second(self, cpus: int = 2) -> None:
        """Start a second node, also a new one after the first died."""
        folder = Path(tempfile.mkdtemp(prefix="s", dir=self.folder)) / "n"
        self._nodes.append(start_node(folder, self.folder / "token", cpus, self.address, self.hidden))

    @contextmanager
    def node_at_home(self, cpus: int = 1) -> Iterator[None]:
        """Within there is a third node, which sees all that the head sees."""
        folder = Path(tempfile.mkdtemp(prefix="t", dir=self.folder)) / "n"
        node = start_node(folder, self.folder / "token", cpus, self.address)
        try:
            yield
        finally:
            end_node(node)

    def kill_second(self) -> None:
        """End the second node as a machine ends that loses its power."""
        node = self._nodes.pop()
        family = [node.pid, *job_tree.descendants(node.pid)]
        for pid in family:
            os.kill(pid, signal.SIGSTOP)
        family += [pid for pid in job_tree.descendants(node.pid) if pid not in family]
        job_tree.send(family, signal.SIGKILL)
        node.wait()

    def close(self) -> None:
        """End both."""
        for node in self._nodes:
            end_node(node)


def start_node(
    folder: Path, token: Path, cpus: int, address: str | None = None, hidden: Sequence[Path] = ()
) -> "subprocess.Popen[bytes]":
    """Start a node and wait until it is up; a busy machine may need several tries, since Ray waits for seconds only."""
    env = {
        **host_env(os.environ, token.parent, None),
        "RAY_raylet_start_wait_time_s": "35",
        "RAY_agent_register_timeout_ms": "120000",
        "RAY_health_check_period_ms": "1000",
    }
    for attempt in range(_ATTEMPTS):
        place = folder / str(attempt)
        place.mkdir(parents=True)
        argv = [sys.executable, str(PROGRAM), str(place), str(cpus), *([address] if address else [])]
        if hidden:
            env["FIAT_NODE_FOLDER"] = str(token.parent / NODE)
            mounts = [f"mount -t tmpfs -o size=1m hidden {shlex.quote(str(path))}" for path in hidden]
            argv = ["unshare", "-m", "sh", "-ec", "; ".join([*mounts, f"exec {shlex.join(argv)}"])]
        with (place / "log").open("wb") as log:
            node = subprocess.Popen(
                argv, env=env, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        if _is_up(node, place / "address"):
            return node
        end_node(node)
    raise AssertionError((folder / "0" / "log").read_text())


def address_of(folder: Path) -> str:
    """The address of a node that was started with this folder."""
    (said,) = folder.glob("*/address")
    return said.read_text().split()[0]


def _is_up(node: "subprocess.Popen[bytes]", said: Path) -> bool:
    try:
        wait_for(lambda: said.exists() or node.poll() is not None, "the node is up", STARTING_S)
    except AssertionError:
        return False
    return node.poll() is None


def end_node(node: "subprocess.Popen[bytes]") -> None:
    """End a node and what it started."""
    below = job_tree.descendants(node.pid)
    job_tree.send([node.pid, *below], signal.SIGKILL)
    node.wait()


def need_mounts() -> None:
    """Skip the test at a desk that may not mount; CI must."""
    done = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    if done.returncode:
        if os.environ.get("CI"):
            pytest.fail("`unshare -m` is refused; CI must test nodes that share no folder")
        pytest.skip("needs the right to mount, for a node that does not see the store: run it as root")


@contextmanager
def two_nodes(hidden: Sequence[Path], cpus: int = 2) -> Iterator[Cluster]:
    """A cluster whose head has no core to give, so that all steps go to the second node."""
    need_mounts()
    with tempfile.TemporaryDirectory(prefix="fiat-2n-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        token = folder / "token"
        token.write_text(os.urandom(32).hex())
        token.chmod(0o600)
        head = start_node(folder / "h", token, 0)
        address = address_of(folder / "h")
        env = {"RAY_ADDRESS": address, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
        cluster = Cluster(folder, address, env, tuple(hidden), head.pid)
        try:
            cluster.start_second(cpus)
            yield cluster
        finally:
            cluster.close()
            end_node(head)
