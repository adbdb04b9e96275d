"""A runner's machine with a canary in each place that a step must not see, and desks whose steps run as on a runner."""

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fiat.engine.jobs import Bench
from fiat.engine.sandbox import SandboxPolicy
from fiat.engine.silent import SilentReporter
from fiat.wiring.desk import Desk, open_desk
from fiat.wiring.settings import read_settings

CANARY = "canary-8d1f0a77c3"

_SPY = """
import glob, json, os, socket, sys
targets = json.loads(sys.argv[1])
found = {}

def read(path):
    try:
        with open(path, "rb") as file:
            return file.read().decode("latin-1")
    except OSError as error:
        return type(error).__name__

for name, path in targets["files"].items():
    found[name] = read(path)
for name, path in targets["folders"].items():
    try:
        found[name] = os.listdir(path)
    except OSError as error:
        found[name] = type(error).__name__
for name, (host, port) in targets["ports"].items():
    try:
        socket.create_connection((host, port), 2).close()
        found[name] = "connected"
    except OSError as error:
        found[name] = type(error).__name__
try:
    link = socket.socket(socket.AF_UNIX)
    link.connect("\\0" + targets["abstract"])
    found["abstract"] = "connected"
except OSError as error:
    found["abstract"] = type(error).__name__
found["environments"] = [read(path) for path in glob.glob("/proc/[0-9]*/environ")]
found["commands"] = [read(path) for path in glob.glob("/proc/[0-9]*/cmdline")]
found["mounts"] = read("/proc/self/mountinfo")
found["environ"] = sorted(os.environ)
found["root"] = sorted(os.listdir("/"))
found["etc"] = sorted(os.listdir("/etc"))
found["home"] = os.listdir(os.path.expanduser("~"))
found["user"] = [os.getuid(), os.getgid(), os.getgroups()]
found["name"] = socket.gethostname()
json.dump(found, open(sys.argv[2], "w"))
"""


@dataclass
class Guarded(Desk):
    """A desk whose steps run as they do on a runner."""

    policy: SandboxPolicy = field(default_factory=SandboxPolicy)
    granted: dict[str, str] = field(default_factory=dict)

    def bench(self, run_id: str) -> Bench:
        return replace(super().bench(run_id), sandbox=self.policy, secrets=self.granted)


def guard(desk: Desk, policy: SandboxPolicy, granted: dict[str, str] | None = None) -> Guarded:
    parts = (desk.named, desk.overrides, desk.settings, desk.root, desk.loaded, desk.checkout)
    return Guarded(*parts, policy=policy, granted=granted or {})


@dataclass(frozen=True)
class Machine:
    """A runner's machine with something in each place that a step must not see."""

    root: Path
    home: Path
    port: int
    abstract: str

    def spec(self, steps: str, env: str = "") -> Path:
        path = self.root / "spec.yaml"
        path.write_text(f"fiat: 1\nname: t\nenv: {{secrets: [GIVEN]{env}}}\nsteps:\n{steps}")
        return path

    def spy(
        self,
        policy: SandboxPolicy,
        env: str = "",
        *,
        compute: str = "local",
        more: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        (self.root / "spy.py").write_text(_SPY)
        state = self.root / ".fiat"
        targets: dict[str, Any] = {
            "files": {
                "ssh": str(self.home / ".ssh/id_ed25519"),
                "secrets folder": str(self.home / "secrets/key"),
                "database": str(state / "store.db"),
                "other run's log": str(state / "runs/other/train.log"),
                "other run's work": str(state / "work/other/train.1/request.json"),
                "git credentials": str(self.root / ".git/config"),
                "shadow": "/etc/shadow",
                "core": "/proc/kcore",
                "keys": "/proc/keys",
                "own code": str(self.root / "spy.py"),
            },
            "folders": {
                "home": str(self.home),
                "root's home": "/root/.ssh",
                "store": str(state),
                "cache": str(state / "cache"),
                "git": str(self.root / ".git"),
                "run": "/run",
                "var": "/var/lib",
                "disks": "/sys/block",
            },
            "ports": {
                "loopback": ["127.0.0.1", self.port],
                "metadata": ["169.254.169.254", 80],
                "outside": ["192.0.2.1", 80],
            },
            "abstract": self.abstract,
        }
        for kind, entries in (more or {}).items():
            targets[kind] |= entries
        (self.root / "targets.json").write_text(json.dumps(targets))
        step = "  spy: {run: 'python spy.py \"$(cat targets.json)\" {out.seen}', out: {seen: file}, secrets: [GIVEN]}\n"
        spec = self.spec(step, env)
        desk = guard(self.desk(spec), policy, {"GIVEN": "value-of-given"})
        run = desk.apply(desk.new_run(), SilentReporter(), compute=compute)
        assert run.verdict == "pass", run.reason
        digest = run.steps[0].outputs["seen"].digest
        seen: dict[str, Any] = json.loads(desk.store.artifacts.object_path(digest).read_text())
        assert run.steps[0].resources["sandbox"] == policy.kind
        return seen

    def desk(self, spec: Path) -> Desk:
        return open_desk(str(spec), [], read_settings({**os.environ, "RUNNER_TOKEN": CANARY}))


@contextmanager
def make_machine(tmp_path: Path) -> Iterator[Machine]:
    root, home = tmp_path / "checkout", tmp_path / "home"
    state = root / ".fiat"
    for path in (
        home / ".ssh/id_ed25519",
        home / "secrets/key",
        state / "runs/other/train.log",
        state / "work/other/train.1/request.json",
    ):
        path.parent.mkdir(parents=True)
        path.write_text(CANARY)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    with (root / ".git/config").open("a") as file:
        file.write(f'[http]\n\textraHeader = "Authorization: {CANARY}"\n')
    abstract = f"fiat-test-{os.getpid()}-{tmp_path.name}"
    with socket.create_server(("127.0.0.1", 0)) as door, socket.socket(socket.AF_UNIX) as hall:
        hall.bind("\0" + abstract)
        hall.listen()
        for server in (door, hall):
            threading.Thread(target=_serve, args=(server,), daemon=True).start()
        yield Machine(root, home, door.getsockname()[1], abstract)
        for server in (door, hall):
            server.shutdown(socket.SHUT_RDWR)


def _serve(server: socket.socket) -> None:
    while True:
        try:
            server.accept()[0].close()
        except OSError:
            return
