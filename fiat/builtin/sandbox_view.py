"""What one sandboxed job sees: its sandbox as options of bubblewrap, and the folder with what was made for it."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fiat.builtin.compute_machine import memory_total_bytes
from fiat.builtin.sandbox_system import system_options, write_settings
from fiat.ports.compute import Sandbox

_TEMP_BYTES = 1 << 30
_LINKS = 100  # more than that many mounts take time: bubblewrap reads the list of all of them for each


@dataclass(frozen=True)
class View:
    """A prepared view.

    Attributes:
        options: for bubblewrap, in their order.
        folder: what was made for it; remove it when the job has ended.
    """

    options: tuple[str, ...]
    folder: Path

    def close(self) -> None:
        """Remove what was made."""
        shutil.rmtree(self.folder, ignore_errors=True)


def make_view(
    sandbox: Sandbox,
    *,
    work_dir: Path,
    env: Mapping[str, str],
    gpus: Sequence[str],
    python: Sequence[Path],
    memory_bytes: int | None,
) -> View:
    """Lay out what the job sees.

    Args:
        sandbox: what the engine asks for.
        work_dir: the job's scratch folder; ours is made beside it.
        env: the job's environment.
        gpus: ids of its GPUs.
        python: what it must see of the interpreter.
        memory_bytes: most memory that it may use; None is no limit.

    Raises:
        OSError: the disk refused, or a path of the sandbox is not there.
    """
    folder = work_dir.with_name(f"{work_dir.name}.box")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "etc").mkdir(parents=True)
    memory = min(memory_bytes or memory_total_bytes(), memory_total_bytes())
    options = system_options(
        network=sandbox.network,
        gpus=gpus,
        shared_bytes=memory // 2,
        temp_bytes=min(_TEMP_BYTES, memory // 4),
    )
    options += write_settings(folder / "etc", env, network=sandbox.network)
    options += _mounts(sandbox, python, folder / "objects")
    return View((*options, "--remount-ro", "/dev", "--remount-ro", "/"), folder)


def _mounts(sandbox: Sandbox, python: Sequence[Path], farm: Path) -> Iterator[str]:
    """Each path at its own place, outer ones first, so that the deepest decides."""
    plan: dict[Path, tuple[str, ...]] = {}
    for path in (*python, *sandbox.read_only):
        plan[path] = ("--ro-bind", str(path), str(path))
    for path in sandbox.hidden:
        if path.is_dir():
            plan[path] = ("--size", "4096", "--tmpfs", str(path))
        elif path.exists():
            plan[path] = ("--ro-bind", "/dev/null", str(path))
    for path in sandbox.writable:
        plan[path] = ("--bind", str(path), str(path))
    for path in sandbox.inputs:
        plan[path] = ("--ro-bind", str(path), str(path))
    for source, place in _objects(sandbox.inputs, farm):
        plan[place] = ("--ro-bind", str(source), str(place))
    for path in sorted(plan, key=lambda path: path.parts):
        yield from plan[path]
    for path, mount in plan.items():
        if "--tmpfs" in mount:
            yield from ("--remount-ro", str(path))


def _objects(inputs: Sequence[Path], farm: Path) -> list[tuple[Path, Path]]:
    """The files that links among the inputs lead to, as (source, place): these alone, not what lies beside them.

    Many of them are gathered as hard links in folders of their own, which are then mounted in place of the real ones.
    """
    targets = sorted({target for path in inputs for target in _link_targets(path)})
    if len(targets) <= _LINKS:
        return [(target, target) for target in targets]
    gathered: dict[Path, Path] = {}
    try:
        for target in targets:
            place = target.parent.parent  # objects lie in folders by the first letters of their digests
            stead = farm / str(len(gathered)) if place not in gathered else gathered[place]
            gathered[place] = stead
            (stead / target.parent.name).mkdir(parents=True, exist_ok=True)
            os.link(target, stead / target.parent.name / target.name)
    except OSError:  # another file system, or not our file
        return [(target, target) for target in targets]
    return [(stead, place) for place, stead in gathered.items()]


def _link_targets(path: Path) -> Iterator[Path]:
    if path.is_symlink():
        yield from _file_behind(path)
        return
    waiting = [str(path)] if path.is_dir() else []
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    yield from _file_behind(Path(entry.path))
                elif entry.is_dir():
                    waiting.append(entry.path)


def _file_behind(link: Path) -> Iterator[Path]:
    with suppress(OSError):
        target = Path(os.path.normpath(link.parent / link.readlink()))
        if target.is_file() and not target.is_symlink():
            yield target
