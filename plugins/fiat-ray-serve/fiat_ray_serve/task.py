"""What the control program is told, and how it is started: below our supervisor, with a scrubbed environment."""

import hashlib
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import fiat
from fiat.builtin.job_child import Supervisor
from fiat.builtin.ray_launch import check_version, host_env
from fiat.builtin.ray_state import build_id, status
from fiat.errors import EnvironmentFault

OUTCOME = "outcome.json"
_PROGRAM = "import sys; sys.path[:] = {path}; from fiat_ray_serve import control; control.main()"
_LONGEST_S = 300.0


@dataclass(frozen=True)
class ServeTask:
    """JSON values.

    Attributes:
        verb: `ensure` runs the application, `status` only looks, `remove` takes it away.
        address: of Ray.
        app: name of Serve's application.
        route: path below which it answers, such as `/taxi`.
        folder: of the service.
        host: address that a Serve that is started listens on.
        port: likewise; 0 for a free one.
        fewest: replicas.
        most: replicas; above `fewest` Serve scales by requests.
        cpus: cores of each replica.
        gpus: GPUs of each replica.
        limits: fields of `fiat.serving.release.ServerLimits`.
    """

    verb: Literal["ensure", "status", "remove"]
    address: str
    app: str
    route: str = "/"
    folder: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    fewest: int = 1
    most: int = 1
    cpus: float = 1.0
    gpus: float = 0.0
    limits: Mapping[str, Any] = field(default_factory=dict)

    def config_digest(self) -> str:
        """Changes only with what needs other replicas: not with how many there are."""
        kept = [self.folder, self.cpus, self.gpus, dict(self.limits), build_id()]
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Cluster:
    """A Ray that is there.

    Attributes:
        address: of it.
        env: the variables that let us in.
    """

    address: str
    env: Mapping[str, str]


def find_cluster(env: Mapping[str, str], state_dir: Path) -> Cluster:
    """The Ray that RAY_ADDRESS names, or else the one that `fiat up` left running.

    Raises:
        EnvironmentFault: there is none, or Ray is not installed or too old.
    """
    check_version()
    if address := env.get("RAY_ADDRESS"):
        return Cluster(address, host_env(env, state_dir, address))
    warm = status(state_dir)
    if warm is None or warm.build != build_id():
        raise EnvironmentFault(
            "there is no Ray to serve on", hint="`fiat up` starts one that stays; RAY_ADDRESS names a cluster"
        )
    given = {**env, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": warm.token_path}
    return Cluster(warm.address, host_env(given, state_dir, warm.address))


def run_control(task: ServeTask, cluster: Cluster, log: Path) -> dict[str, Any]:
    """Run the control program and wait for its end.

    Args:
        task: what it shall do.
        cluster: the Ray.
        log: file for what it prints.

    Returns:
        See `control.run`.

    Raises:
        EnvironmentFault: Ray or Serve is at fault.
    """
    supervisor = Supervisor()
    with tempfile.TemporaryDirectory(prefix="fiat-serve-") as scratch:
        request = Path(scratch) / "request.json"
        request.write_text(json.dumps(asdict(task)), "utf-8")
        path = json.dumps([str(Path(part).absolute()) for part in sys.path])
        child = supervisor.start(
            {
                "argv": [sys.executable, "-I", "-c", _PROGRAM.format(path=path), str(request)],
                "cwd": str(Path(fiat.__file__).parent.parent),
                "env": dict(cluster.env),
                "log": str(log),
                "measured": False,
                "timeout_s": _LONGEST_S,
            }
        )
        try:
            ended = child.wait()
        finally:
            child.close()
            supervisor.close()
        try:
            said: dict[str, Any] = json.loads(request.with_name(OUTCOME).read_bytes())
        except (OSError, ValueError):
            reason = (ended or {}).get("reason") or "it ended without a word"
            raise EnvironmentFault(f"Ray Serve could not be asked: {reason}", hint=f"see {log}") from None
    if "fault" in said:
        raise EnvironmentFault(str(said["fault"]), hint=str(said["hint"]))
    return said
