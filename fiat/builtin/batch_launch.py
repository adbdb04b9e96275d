"""Start the scoring program below our supervisor: it dies with us, and all of Ray with it; what it finished stays."""

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import fiat
from fiat.builtin.batch_gpus import BatchGrant, granted
from fiat.builtin.batch_job import OUTCOME, BatchTask
from fiat.builtin.compute_machine import scrubbed, visible_gpus
from fiat.builtin.job_child import Supervisor
from fiat.builtin.ray_launch import check_version, host_env, make_temp_dir
from fiat.builtin.ray_state import build_id, status, sweep, write_owner
from fiat.errors import EnvironmentFault, FiatError, SpecError

_PROGRAM = "import sys; sys.path[:] = {path}; from fiat.builtin import {module}; {module}.main()"


@dataclass(frozen=True)
class Seat:
    """Where scoring runs.

    Attributes:
        ray: whether Ray is wanted.
        address: of a Ray that is there; empty for the warm one of `state_dir`, or one of our own.
        state_dir: where `fiat up` records the Ray that it started.
        env: the whole environment; only its harmless part, and Ray's tokens, are passed on.
    """

    ray: bool
    address: str
    state_dir: Path
    env: Mapping[str, str]


def score(task: BatchTask, seat: Seat) -> None:
    """Score, and wait for the end.

    Args:
        task: without a Ray.
        seat: where.

    Raises:
        SpecError: the input is not what the model reads, or is damaged.
        EnvironmentFault: the machine or Ray is at fault.
    """
    supervisor = Supervisor()
    try:
        if seat.ray and seat.address:  # it places GPUs itself
            _score(task, seat, supervisor, None)
            return
        with granted(task, seat.env) as grant:
            most = task.actors if grant is None else min(task.actors or grant.actors, grant.actors)
            _score(replace(task, actors=most), seat, supervisor, grant)
    finally:
        supervisor.close()


def _score(task: BatchTask, seat: Seat, supervisor: Supervisor, grant: BatchGrant | None) -> None:
    work = Path(task.work)
    shown = {} if grant is None else grant.shown(seat.env)
    held = () if grant is None else (grant.fd,)
    first = replace(task, ray=seat.address if seat.ray else None)
    local = {
        **scrubbed(seat.env, devices=task.gpus > 0),
        **(shown if task.gpus else visible_gpus(())),
    }
    if _run(supervisor, "batch_job", first, work, local, held):
        return
    check_version()
    address, token = _ray_of(seat, own=grant is not None)
    temp_dir = make_temp_dir()
    write_owner(temp_dir, os.getpid())
    try:
        env = {**host_env({**seat.env, **token}, temp_dir, address or None), **shown}
        given = None if grant is None else len(grant.ids)
        again = replace(task, ray=address, temp_dir=str(temp_dir), given=given)
        _run(supervisor, "batch_ray", again, work, env, held)
    finally:
        shutil.rmtree(temp_dir, ignore_errors=True)


def _ray_of(seat: Seat, *, own: bool) -> tuple[str, dict[str, str]]:
    """Address of the Ray to use and the variables that let us in; an empty address for one of our own.

    Args:
        seat: where scoring runs.
        own: whether it was given GPUs, of which the warm Ray knows nothing.
    """
    if seat.address:
        return seat.address, {}
    warm = None if own else status(seat.state_dir)
    if warm is not None and warm.build == build_id():
        return warm.address, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": warm.token_path}
    sweep()
    return "", {}


def _run(
    supervisor: Supervisor,
    module: str,
    task: BatchTask,
    work: Path,
    env: Mapping[str, str],
    held: Sequence[int],
) -> bool:
    request, outcome, log = work / "request.json", work / OUTCOME, work / "batch.log"
    outcome.unlink(missing_ok=True)
    task.write(request)
    path = json.dumps([str(Path(part).absolute()) for part in sys.path])
    program = _PROGRAM.format(path=path, module=module)
    child = supervisor.start(
        {
            "argv": [sys.executable, "-I", "-c", program, str(request)],
            "cwd": str(Path(fiat.__file__).parent.parent),
            "env": dict(env),
            "log": str(log),
            "measured": False,
        },
        held=held,
    )
    try:
        ended = child.wait()
    finally:
        child.close()
    try:
        said = json.loads(outcome.read_bytes())
    except (OSError, ValueError):
        reason = (ended or {}).get("reason") or "it ended without a word"
        raise EnvironmentFault(
            f"the scoring program died: {reason}{_last_line(log)}",
            hint="what was scored is kept: deploy again",
        ) from None
    if "fault" in said:
        raise _fault(said)
    return bool(said["done"])


def _fault(said: Mapping[str, str]) -> FiatError:
    where = f" ({said['where']})" if said.get("where") else ""
    kind = SpecError if said["fault"].startswith("Spec") else EnvironmentFault
    return kind(said["message"] + where, hint=said["hint"])


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return f"; {lines[-1].strip()[:300]}" if lines else ""
