"""How user code is shut off: the operator's policy and the spec's wish become one step's sandbox."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from fiat.errors import EnvironmentFault
from fiat.plan.model import Step
from fiat.ports.compute import Sandbox
from fiat.store.store import Store
from fiat.store.trees import DIR

_HIDDEN = (".git", ".fiat")


@dataclass(frozen=True)
class SandboxPolicy:
    """What the operator of a runner decides for user code; a spec can ask for less of it, never for more.

    Attributes:
        kind: `none` runs it with the runner's own rights, within the limits.
        network: a spec may ask for the network.
        processes: most processes of a step; limits of None are none.
        memory_bytes: most memory of a step; does not reserve any.
        disk_bytes: most that a step may hold in its work folder, and the largest file it may write.
        log_bytes: most that a step may print.
        read_only: further files and folders that steps may read, absolute.
    """

    kind: Literal["bubblewrap", "none"] = "bubblewrap"
    network: bool = False
    processes: int | None = 512
    memory_bytes: int | None = None
    disk_bytes: int | None = 20 << 30
    log_bytes: int | None = 100 << 20
    read_only: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Places:
    """Where one step works.

    Attributes:
        store: the store, nothing of which it sees but its inputs.
        root: the checkout.
        work: its scratch folder; inputs are in `in` there, outputs go to `out`.
        kept: folders that it may write and that outlive it.
    """

    store: Store
    root: Path
    work: Path
    kept: tuple[Path, ...] = ()


def shut_off(step: Step, places: Places, policy: SandboxPolicy | None) -> Sandbox | None:
    """The sandbox of a step.

    Args:
        step: user code.
        places: where it works.
        policy: the operator's, None on a desk: there the user is the operator, and only a spec that says so gets a
            sandbox.
    """
    if policy is None:
        if step.limits.sandbox != "bubblewrap":
            return None
        policy = SandboxPolicy(network=True, processes=None, disk_bytes=None, log_bytes=None)
    limited = Sandbox(
        "none",
        writable=(places.work, places.work / "out", *places.kept),
        network=True,
        processes=policy.processes,
        memory_bytes=policy.memory_bytes,
        disk_bytes=policy.disk_bytes,
        file_bytes=policy.disk_bytes,
        log_bytes=policy.log_bytes,
    )
    if policy.kind == "none" and step.limits.sandbox != "bubblewrap":
        return limited
    refused = step.network and not policy.network
    return replace(
        limited,
        kind="bubblewrap",
        read_only=(places.root, *policy.read_only),
        inputs=(places.work / "in",),
        hidden=_hidden(places),
        network=step.network and policy.network,
        notes=("the spec asks for the network, which is not granted here",) if refused else (),
    )


def _hidden(places: Places) -> tuple[Path, ...]:
    """The store, under the name that it has in the checkout too, and what git knows.

    The store may lie in the checkout, and laid out checkouts lie in the store: the longer path decides.
    """
    store, root = places.store.root.absolute(), places.root
    hidden = [store, *(root / name for name in _HIDDEN)]
    if store.resolve().is_relative_to(root.resolve()) and store.resolve() != root.resolve():
        hidden.append(root / store.resolve().relative_to(root.resolve()))
    return tuple(dict.fromkeys(hidden))


def stray_output(outputs: Mapping[str, Path], work: Path, inputs: frozenset[str]) -> str:
    """The name of an output that leads out of where it was to be written, empty when none does.

    Code in a sandbox can write a link to a path that it can't open itself, for us to follow. All its processes have
    ended by now, so what is looked at stays as it is.

    Args:
        outputs: name to path.
        work: the step's scratch folder.
        inputs: digests of the files that the step was given; it may hand these on as links.
    """
    for name, path in outputs.items():
        if path.parent.resolve() != work.resolve() / "out":
            return name
        top = path.parent.resolve() / path.name
        try:
            for link in _links(path):
                target = link.resolve()
                own = not path.is_symlink() and target.is_relative_to(top)
                if not own and f"{target.parent.name}{target.name}" not in inputs:
                    return name
        except (OSError, RuntimeError):  # a circle of links, a path that is too long, a folder that it shut
            return name
    return ""


def _links(path: Path) -> Iterator[Path]:
    if path.is_symlink():
        yield path
        return
    waiting = [str(path)] if path.is_dir() else []
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    yield Path(entry.path)
                elif entry.is_dir():
                    waiting.append(entry.path)


def digests_of(store: Store, inputs: Mapping[str, str]) -> frozenset[str]:
    """The digests of all files that artifacts hold.

    Args:
        store: where they are.
        inputs: role to artifact digest.
    """
    found: set[str] = set()
    for digest in inputs.values():
        if digest.endswith(DIR):
            try:
                found.update(file.digest for file in store.artifacts.files(digest))
            except EnvironmentFault:
                continue
        else:
            found.add(digest)
    return frozenset(found)
