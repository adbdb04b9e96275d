"""Target `directory`: the packaged model as a folder `<path>/<model>` that always is a whole old or a whole new one.

The folder is a link to a version folder in `<path>/.<model>/`, and links are swapped in one step. The version before the
current one stays, so that who reads while the link moves finds its files.
"""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath

from fiat.builtin.deploy_shelf import admit, flush, locked
from fiat.builtin.source_dvc_file import folder_md5
from fiat.errors import EnvironmentFault, SpecError
from fiat.model.package import GRAPH, MANIFEST, damaged_files
from fiat.model.precheck import precheck_model
from fiat.ports.deploy import DeployRequest, TargetState

_LOCK_WAIT_S = 60.0
_UNFINISHED = "unfinished."


@dataclass(frozen=True)
class _Place:
    """Where a model goes: `link` is what people read, `shelf` holds its versions."""

    link: Path
    shelf: Path


class DirectoryTarget:
    """Puts a package into a folder below the root, or (not confined) into any folder when its path is absolute.

    Args:
        lock_wait_s: how long another deploy of the same model is waited for.
    """

    name = "directory"
    version = "1"

    def __init__(self, lock_wait_s: float = _LOCK_WAIT_S) -> None:
        self._lock_wait_s = lock_wait_s

    def observe(self, request: DeployRequest) -> str | None:
        """Digest of the package that the link leads to; None when there is none, or when files of it are gone."""
        current = _current(_place(request))
        if current is None or damaged_files(current, deep=False):
            return None
        return current.name.partition("+")[0]

    def state(self, request: DeployRequest) -> TargetState:
        """What stands in the folder, every file compared with the manifest of its package."""
        place = _place(request)
        current = _current(place)
        if current is None:
            if place.link.is_symlink() or place.link.exists():
                stranger = f"{place.link} is not what a deploy put there"
                return TargetState("broken", sentence=stranger, faults=(stranger,))
            return TargetState("absent", sentence="no model is here")
        digest = current.name.partition("+")[0]
        wrong = damaged_files(current)
        if not wrong and folder_md5(current) != digest:
            wrong = [MANIFEST]
        faults = tuple(f"{name} is gone or was changed" for name in wrong)
        return TargetState("broken" if wrong else "serving", digest, f"stands at {place.link}", faults=faults)

    def apply(self, request: DeployRequest) -> None:
        """Copy the package beside the others, then let the link lead to it.

        Raises:
            SpecError: the path leaves the root, or is taken by something that no deploy made, or the graph is one that
                must not be loaded.
            Stalled: a newer deploy went ahead.
            Waiting: another deploy holds the place all the time.
            EnvironmentFault: the folder can't be written, or the package is not what its digest or manifest says.
        """
        place = _place(request)
        try:
            place.shelf.mkdir(parents=True, exist_ok=True)
            with locked(place.shelf, self._lock_wait_s):
                admit(place.shelf, request)
                if self.observe(request) == request.digest:
                    return
                if not place.link.is_symlink() and place.link.exists():
                    raise SpecError(
                        f"{place.link} is there and was not put there by a deploy",
                        hint="move it away, or choose another path for the target",
                    )
                before = _current(place)
                folder = _ready(place.shelf, request)
                _swap(place, folder)
                _sweep(place.shelf, {folder.name, before.name if before else folder.name})
        except OSError as error:
            raise EnvironmentFault(
                f"the model can't be put at {place.link}: {error.strerror or error}",
                hint="the model that was there before is untouched",
            ) from error


def _place(request: DeployRequest) -> _Place:
    model, path = str(request.settings["model"]), str(request.settings["path"])
    root = request.root.resolve()
    folder = (root / path).resolve()
    absolute = Path(path).is_absolute()
    if request.confined and (absolute or any(part.startswith(".") for part in PurePosixPath(path).parts)):
        raise SpecError(
            f"deploy.{request.target}.path is {path}: the operator grants folders below the target's own only",
            hint="say a relative path without `..` and hidden folders, such as models",
        )
    if (request.confined or not absolute) and not folder.is_relative_to(root):
        where = "the target's folder" if request.confined else f"the checkout: it leads to {folder}"
        raise SpecError(
            f"deploy.{request.target}.path leaves {where}",
            hint="" if request.confined else "say an absolute path when the model shall go there",
        )
    if model in ("", ".", "..") or "/" in model or "\0" in model or (request.confined and model[0] == "."):
        raise SpecError(f"{model!r} can't be the name of a folder", hint="choose another model.name")
    return _Place(folder / model, folder / f".{model}")


def _current(place: _Place) -> Path | None:
    """The version folder that the link leads to; None when it leads elsewhere or nowhere."""
    try:
        target = place.link.parent / place.link.readlink()
    except OSError:
        return None
    return target if target.parent == place.shelf and target.is_dir() else None


def _ready(shelf: Path, request: DeployRequest) -> Path:
    """The version folder of the package: the one that is there from before (going back copies nothing), or a new one.

    It is called `<digest>`, or `<digest>+1` and so on beside a damaged one that somebody may be reading.
    """
    for number in count():
        folder = shelf / (f"{request.digest}+{number}" if number else request.digest)
        if not folder.exists():
            _copy(request, folder)
            return folder
        if not damaged_files(folder) and folder_md5(folder) == request.digest:
            return folder
    raise AssertionError("count() has no end")


def _copy(request: DeployRequest, folder: Path) -> None:
    """All files as files of their own, looked at and on disk before the folder has its name.

    The copy is compared, not the package: whatever happens to that one meanwhile, what is put up is what was judged.
    """
    unfinished = folder.with_name(_UNFINISHED + folder.name)
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        for source in sorted(request.package.iterdir()):
            shutil.copyfile(source, unfinished / source.name)
            flush(unfinished / source.name)
        if wrong := damaged_files(unfinished):
            raise EnvironmentFault(f"the package is damaged: {', '.join(wrong)}", hint="run the spec again")
        if folder_md5(unfinished) != request.digest:
            raise EnvironmentFault("the package is not the one that was judged", hint="run the spec again")
        precheck_model(unfinished / GRAPH)
        flush(unfinished)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    flush(folder.parent)


def _swap(place: _Place, folder: Path) -> None:
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
