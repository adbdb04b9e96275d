"""Versions of a deployed model side by side, and one link that leads to the current one.

`<path>/<model>` is what people read: a link into `<path>/.<model>/` (targets that convert what they put there have shelves
of their own, `.<model>.<kind>`). A version has its name only when it is whole and on disk, and the link is moved in one
step. The version before the current one stays, so that who reads while the link moves finds its files.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath

from fiat.builtin.deploy_shelf import admit, flush, locked
from fiat.builtin.source_dvc_file import folder_md5
from fiat.errors import EnvironmentFault, SpecError
from fiat.model.package import GRAPH, damaged_files
from fiat.model.precheck import precheck_model
from fiat.model.signing import BESIDE
from fiat.ports.deploy import DeployRequest

LOCK_WAIT_S = 60.0
_UNFINISHED = "unfinished."


@dataclass(frozen=True)
class Place:
    """Where a model goes.

    Attributes:
        link: what people read.
        shelf: holds its versions.
    """

    link: Path
    shelf: Path


def place_of(request: DeployRequest, kind: str = "", default: str = "models") -> Place:
    """The place that a request's settings name.

    Args:
        request: its settings have `model`, and `path` or nothing.
        kind: of target; empty for the one that puts packages there as they are.
        default: the path when settings have none.

    Raises:
        SpecError: the path leaves the root, or the model's name can't be a folder's.
    """
    model, path = str(request.settings["model"]), str(request.settings.get("path") or default)
    if model in ("", ".", "..") or "/" in model or "\0" in model or (request.confined and model[0] == "."):
        raise SpecError(f"{model!r} can't be the name of a folder", hint="choose another model.name")
    folder = folder_of(request, path)
    return Place(folder / model, folder / (f".{model}.{kind}" if kind else f".{model}"))


def folder_of(request: DeployRequest, path: str, key: str = "path") -> Path:
    """The folder or file that a path in the settings means.

    Args:
        request: says what paths are relative to, and whether they may leave it.
        path: as the spec says.
        key: the setting, for messages.

    Raises:
        SpecError: the path leaves the root.
    """
    root = request.root.resolve()
    folder = (root / path).resolve()
    absolute = Path(path).is_absolute()
    if request.confined and (absolute or any(part.startswith(".") for part in PurePosixPath(path).parts)):
        raise SpecError(
            f"deploy.{request.target}.{key} is {path}: the operator grants folders below the target's own only",
            hint="say a relative path without `..` and hidden folders, such as models",
        )
    if (request.confined or not absolute) and not folder.is_relative_to(root):
        where = "the target's folder" if request.confined else f"the checkout: it leads to {folder}"
        raise SpecError(
            f"deploy.{request.target}.{key} leaves {where}",
            hint="" if request.confined else "say an absolute path when the model shall go there",
        )
    return folder


def current_version(place: Place) -> Path | None:
    """The version folder that the link leads to; None when it leads elsewhere or nowhere."""
    try:
        target = place.link.parent / place.link.readlink()
    except OSError:
        return None
    return target if target.parent == place.shelf and target.is_dir() else None


def plain_name(version: Path) -> str:
    """What a version folder was called when it was asked for: without the `+1` of one beside a damaged one."""
    return version.name.partition("+")[0]


def bring_version(
    request: DeployRequest,
    place: Place,
    *,
    lock_wait_s: float,
    is_there: Callable[[], bool],
    make: Callable[[Path], Path],
    publish: Callable[[Path], object] = lambda _: None,
) -> None:
    """Let the link lead to the request's version; one deploy at a time, and never one that is older than the last.

    Args:
        request: what is wanted.
        place: where.
        lock_wait_s: how long another deploy of the same model is waited for.
        is_there: whether the current version is the wanted one.
        make: gives the version's folder on the shelf, complete.
        publish: what must be done with the folder elsewhere before the link leads to it; again each time.

    Raises:
        SpecError: the link's place is taken by something that no such deploy made.
        Stalled: a newer deploy went ahead.
        Waiting: another deploy holds the place all the time.
        EnvironmentFault: the folder can't be written.
    """
    try:
        place.shelf.mkdir(parents=True, exist_ok=True)
        with locked(place.shelf, lock_wait_s):
            admit(place.shelf, request)
            before = current_version(place)
            if before is not None and is_there():
                publish(before)
                return
            _refuse_stranger(place)
            folder = make(place.shelf)
            publish(folder)
            _swap(place, folder)
            _sweep(place.shelf, {folder.name, before.name if before else folder.name})
    except OSError as error:
        raise EnvironmentFault(
            f"the model can't be put at {place.link}: {error.strerror or error}",
            hint="the model that was there before is untouched",
        ) from error


def ready_version(
    shelf: Path, name: str, is_whole: Callable[[Path], bool], fill: Callable[[Path], None]
) -> Path:
    """The version folder of that name: the one that is there from before (going back makes nothing), or a new one.

    It is called `<name>`, or `<name>+1` and so on beside a damaged one that somebody may be reading.

    Args:
        shelf: where it stands; the caller holds its lock.
        name: without `+`.
        is_whole: whether a folder that is there is complete and unharmed.
        fill: fills an empty folder, whose files are flushed afterwards.
    """
    for number in count():
        folder = shelf / (f"{name}+{number}" if number else name)
        if not folder.exists():
            with _unfinished(folder) as draft:
                fill(draft)
            return folder
        if is_whole(folder):
            return folder
    raise AssertionError("count() has no end")


def copy_package(request: DeployRequest, folder: Path) -> None:
    """All files of the package as files of their own, looked at before anybody else does.

    The copy is compared, not the package: whatever happens to that one meanwhile, what is put up is what was judged.

    Args:
        request: has the package and its digest.
        folder: empty.

    Raises:
        SpecError: the graph is one that must not be loaded.
        EnvironmentFault: the package is not what its digest or manifest says.
    """
    for source in sorted(request.package.iterdir()):
        shutil.copyfile(source, folder / source.name)
    if wrong := damaged_files(folder):
        raise EnvironmentFault(f"the package is damaged: {', '.join(wrong)}", hint="run the spec again")
    if folder_md5(folder) != request.digest:
        raise EnvironmentFault("the package is not the one that was judged", hint="run the spec again")
    precheck_model(folder / GRAPH)


@contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    """An empty folder beside the one that it becomes; nobody else's, not even that of a process thought dead."""
    draft = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder.parent))
    try:
        draft.chmod(0o755)
        yield draft
        _flush_all(draft)
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    flush(folder.parent)


def _flush_all(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            _flush_all(path)
        else:
            flush(path)
    flush(folder)


def _refuse_stranger(place: Place) -> None:
    if place.link.is_symlink():
        leads = place.link.readlink()
        ours = not (leads.parent.name.startswith(".") and leads.parent != Path(place.shelf.name))
    else:
        ours = not place.link.exists()
    if not ours:
        raise SpecError(
            f"{place.link} is there and was not put there by a deploy of this target",
            hint="move it away, or choose another path for the target",
        )


def _swap(place: Place, folder: Path) -> None:
    following = place.shelf / f"{_UNFINISHED}link"
    with suppress(FileNotFoundError):
        following.unlink()
    following.symlink_to(Path(place.shelf.name) / folder.name)
    following.replace(place.link)
    flush(place.link.parent)


def _sweep(shelf: Path, kept: set[str]) -> None:
    for entry in shelf.iterdir():
        if entry.is_dir() and entry.name not in kept:
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name.endswith(BESIDE) and not entry.name.startswith(tuple(kept)):
            entry.unlink(missing_ok=True)
