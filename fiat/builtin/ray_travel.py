"""A job on a node that does not see the store: bring what it needs, run it there, bring home what it made.

Loaded in Ray workers only. On a node that sees the job's scratch folder nothing of this happens.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import ray

from fiat.builtin.job_death import size_text
from fiat.builtin.ray_desk_door import WORDS, find_desk, patiently
from fiat.builtin.ray_node import NodeFolder, node_folder
from fiat.builtin.ray_travel_beneath import checked_path
from fiat.builtin.ray_travel_build import build_here, check_build
from fiat.builtin.ray_travel_deliver import deliver
from fiat.builtin.ray_travel_follow import Follower
from fiat.builtin.ray_travel_outputs import Inputs
from fiat.builtin.ray_travel_parcel import CHECKPOINTS, ROOT, WORK, Item, Parcel, in_chunks
from fiat.builtin.ray_travel_paths import Moves, moved_job
from fiat.builtin.ray_travel_remote import fetch_large
from fiat.builtin.ray_travel_send import BULK_PATIENCE_S, PATIENCE_S, Home, Tail
from fiat.ports.compute import Job, JobResult

_UPWARDS = 3
_WINDOW = 4
_LOG = "log"
_PLACES = {ROOT: "root", WORK: "w", CHECKPOINTS: "k"}


@dataclass(frozen=True)
class Place:
    """Where a job runs.

    Attributes:
        job: as it is on this node; user code and trusted steps are run with this one.
        import_path: `sys.path` for trusted steps here.
        deliver: call it with the result as it is here; it brings the outputs home and gives the result as it is there.
    """

    job: Job
    import_path: tuple[str, ...]
    deliver: Callable[[JobResult], JobResult]


def cancel_path(job: Job) -> Path:
    """File whose existence cancels the job, also on another host that shares the disk."""
    return job.work_dir / f".{job.id}.cancel"


def started_path(job: Job) -> Path:
    """File that a job makes when it has its resources and begins."""
    return job.work_dir / f".{job.id}.started"


def mark(job: Job) -> None:
    """Leave the sign in the job's scratch folder by which a worker knows that it sees the same folder.

    Raises:
        OSError: the disk refused.
    """
    (job.work_dir / _sign()).write_text(machine_name(), "utf-8")


def sees(job: Job) -> bool:
    """Whether this node sees the job's scratch folder: as its own, or as that of the job that it is a part of."""
    return _found_sign(job) is not None


def _found_sign(job: Job) -> Path | None:
    folders = (job.work_dir, *job.work_dir.parents)[: _UPWARDS + 1]
    return next((folder / _sign() for folder in folders if (folder / _sign()).exists()), None)


def machine_name() -> str:
    """What two processes have in common that know the same process ids. Source: random(4), namespaces(7)."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
    return f"{boot} {Path('/proc/self/ns/pid').readlink()}"


def owned_here(job: Job, sign: Path | None) -> Job:
    """The job on a node that sees its folder; its owner is a process here only where the machine is the same."""
    if sign is None or sign.read_text("utf-8") == machine_name():
        return job
    return replace(job, owner_pid=0)


@contextmanager
def settled(job: Job, import_path: Sequence[str] = (), *, trial: str = "") -> Iterator[Place]:
    """Within, the job can be run on this node, wherever that is.

    Args:
        job: as whoever submitted it sees it.
        import_path: `sys.path` of whoever submitted it.
        trial: the folder among its checkpoints that is needed; empty is all.

    Raises:
        EnvironmentFault: this node can't take it.
        OSError: the disk refused.
        Torn: something changed on its way.
        RayError: the way home is cut.
    """
    sign, desk = _found_sign(job), find_desk()
    if desk is not None:
        _check_build(desk, job)
    if sign is not None or desk is None:
        started_path(job).touch()
        yield Place(owned_here(job, sign), tuple(import_path), lambda result: result)
        return
    node = node_folder(os.environ)
    node.sweep()
    with node.job_folder() as folder:
        parcel = patiently(partial(_packed, desk, job, trial), PATIENCE_S)
        if parcel.carrier is not None:
            parcel = replace(parcel, carrier=parcel.carrier.here(os.environ))
        missing, notes = _fetch(desk, node, folder, parcel)
        _lay_out(node, folder, parcel)
        (folder / _LOG).write_text(_beginning(parcel, missing, notes), "utf-8", "backslashreplace")
        with _living(job, import_path, desk, node, folder, parcel) as place:
            yield place


@contextmanager
def _living(
    job: Job, import_path: Sequence[str], desk: Any, node: NodeFolder, folder: Path, parcel: Parcel
) -> Iterator[Place]:
    places = {place: str(folder / _PLACES[place]) for place in parcel.folders}
    moves = Moves({parcel.folders[place]: places[place] for place in places} | _ledger(job, folder))
    here = moved_job(job, moves, log_path=folder / _LOG, python=(parcel.python, sys.executable))
    _move_documents(here.work_dir, moves)
    if here.work_dir != Path(places[WORK]):
        _move_documents(Path(places[WORK]), moves)
    (Path(places[WORK]) / _sign()).touch()
    sandbox = here.command.sandbox if here.command else None
    mirrored = here.checkpoints is not None and _is_first(here)
    home = Home(
        desk=desk,
        base=parcel.folders[WORK],
        cancel=str(cancel_path(job)),
        back=moves.back(),
        scratch=folder,
        checkpoints=(Path(places[CHECKPOINTS]), parcel.folders[CHECKPOINTS]) if mirrored else None,
        carrier=parcel.carrier,
        most_bytes=sandbox.disk_bytes if sandbox else None,
        ledger=(here.study.ledger, str(job.study.ledger)) if job.study and here.study else None,
        tails=[Tail(here.log_path, str(job.log_path))],
    )
    follower = Follower(home, cancel_path(here).touch)
    follower.start()
    try:
        home.begin(started_path(job))
        inputs = Inputs(node.objects, {item.digest for item in parcel.items if item.place == WORK})
        delivered = partial(deliver, home, follower, inputs, Path(places[WORK]), parcel.folders[ROOT])
        yield Place(here, _importable(import_path), delivered)
    finally:
        follower.stop()


def _fetch(desk: Any, node: NodeFolder, folder: Path, parcel: Parcel) -> tuple[list[Item], list[str]]:
    """Bring what is not here yet; gives that, and what is to be said about the way."""
    with node.fetching():
        missing = node.claim(folder, parcel.items)
        fault = fetch_large(desk, node, parcel.carrier, folder, missing)
        _fetch_pieces(desk, node, folder, [item for item in missing if not node.has(item)])
    return missing, [f"comes in pieces, since the way by the remote failed: {fault}"] if fault else []


def _fetch_pieces(desk: Any, node: NodeFolder, folder: Path, items: Sequence[Item]) -> None:
    """Bring files in messages of a bounded size, some on their way at a time."""
    chunks = in_chunks(items)
    pending: list[Any] = []
    for position in range(len(chunks) + _WINDOW):
        if position < len(chunks):
            pending.append((chunks[position], desk.read.remote(chunks[position])))
        if pending and (len(pending) >= _WINDOW or position >= len(chunks)):
            chunk, ref = pending.pop(0)
            node.write(folder, chunk, ray.get(ref, timeout=BULK_PATIENCE_S))
    for item in items:
        node.keep(folder, item)


def _beginning(parcel: Parcel, missing: Sequence[Item], notes: Sequence[str]) -> str:
    """The first lines of the job's log."""
    size_bytes = sum(item.size_bytes for item in missing)
    n_files = sum(1 for item in parcel.items if item.digest)
    sent = f"{len(missing)} of its {n_files} files were sent ({size_text(size_bytes)})"
    sentences = (
        f"runs on node {os.uname().nodename}, which does not see the store: {sent}",
        *parcel.notes,
        *notes,
    )
    return "".join(f"[fiat] {sentence}\n" for sentence in sentences)


def _lay_out(node: NodeFolder, folder: Path, parcel: Parcel) -> None:
    for place in parcel.folders:
        (folder / _PLACES[place]).mkdir(mode=0o700)
    for item in parcel.items:
        target = folder / _PLACES[item.place] / checked_path(item.path)
        if item.link:
            target.symlink_to(item.link)
        elif item.digest:
            node.lay(item, target, own=item.place != WORK)
        else:
            target.mkdir(parents=True, exist_ok=True)


def _move_documents(folder: Path, moves: Moves) -> None:
    """Requests that lie ready in a scratch folder name paths."""
    for path in folder.glob("*.json"):
        document = json.loads(path.read_text("utf-8"))
        path.unlink()
        path.write_text(json.dumps(moves.value(document)), "utf-8")


def _is_first(job: Job) -> bool:
    """Whether it is no worker behind the first one: what those write of checkpoints would replace the first one's."""
    return job.command is None or job.command.env.get("RANK", "0") == "0"


def _ledger(job: Job, folder: Path) -> dict[str, str]:
    if job.study is None:
        return {}
    (folder / "l").mkdir(mode=0o700)
    return {str(job.study.ledger): str(folder / "l")}


def _importable(import_path: Sequence[str]) -> tuple[str, ...]:
    """Folders of whoever submitted the job that are here too, and our own."""
    return tuple(dict.fromkeys([*filter(os.path.isdir, import_path), *filter(None, sys.path)]))


def _packed(desk: Any, job: Job, trial: str) -> Parcel:
    parcel: Parcel = ray.get(desk.pack.remote(job, trial), timeout=BULK_PATIENCE_S)
    return parcel


def _check_build(desk: Any, job: Job) -> None:
    """Refuse a node that is unlike the machine that the run comes from.

    Raises:
        EnvironmentFault: it is.
        RayError: the way home is cut.
    """
    build = desk.build.options(concurrency_group=WORDS)
    theirs = patiently(lambda: ray.get(build.remote(), timeout=PATIENCE_S), PATIENCE_S)
    check_build(theirs, build_here(), user_code=job.command is not None)


def _sign() -> str:
    """Not known to a folder that only has the same name."""
    return f".{ray.get_runtime_context().get_job_id()}.here"
