"""The folders of a service: packages that are copied in and swept out, and logs that don't grow for ever."""

import contextlib
import fcntl
import os
import shutil
from itertools import count
from pathlib import Path

from fiat.builtin.deploy_shelf import flush
from fiat.builtin.service_ledger import Ledger
from fiat.builtin.service_wanted import read_wanted
from fiat.builtin.source_dvc_file import folder_md5
from fiat.errors import EnvironmentFault
from fiat.model.package import GRAPH, MANIFEST, damaged_files
from fiat.model.precheck import precheck_model
from fiat.model.probe import probe_model
from fiat.ports.deploy import DeployRequest
from fiat.serving.place import Place

LOG_BYTES = 10 << 20
_UNFINISHED = "unfinished."


def ready_folder(place: Place, request: DeployRequest) -> str:
    """The folder of the package, relative to the service's: the one that is there and whole, or a new copy.

    It is called `<digest>`, or `<digest>+1` and so on beside a damaged one.

    Raises:
        SpecError: the graph is one that must not be loaded.
        EnvironmentFault: the package is not what its digest or manifest says.
        OSError: the disk refused.
    """
    place.releases.mkdir(parents=True, exist_ok=True)
    for number in count():
        folder = place.releases / (f"{request.digest}+{number}" if number else request.digest)
        if not folder.exists():
            _copy(request, folder)
        elif changed_files(folder, request.digest):
            continue
        return f"{place.releases.name}/{folder.name}"
    raise AssertionError("count() has no end")


def changed_files(folder: Path, digest: str) -> list[str]:
    """Files of a release that are gone or not what they were, every byte read."""
    wrong = damaged_files(folder)
    if not wrong and folder_md5(folder) != digest:
        wrong = [MANIFEST]
    return wrong


def sweep(place: Place, ledger: Ledger) -> None:
    """Remove releases that nobody needs, unless a deploy is at work; the one before the stable one stays."""
    if not place.releases.is_dir():
        return
    descriptor = os.open(place.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Read under the lock: a deploy that was killed may have asked for what it copied a moment ago.
        wanted = read_wanted(place.wanted)
        asked = wanted.version if wanted else None
        moving = ledger.moving.version if ledger.moving else None
        versions = (ledger.stable, moving, ledger.previous, asked)
        needed = {version.folder for version in versions if version}
        for entry in place.releases.iterdir():
            if f"{place.releases.name}/{entry.name}" not in needed:
                shutil.rmtree(entry, ignore_errors=True)
    except BlockingIOError:
        return
    finally:
        os.close(descriptor)


def rotate(logs: Path, most_bytes: int = LOG_BYTES) -> None:
    """Move what a log has to `<name>.1` when it is large; whoever writes it appends, and goes on at the new beginning."""
    for path in logs.glob("*.log"):
        with contextlib.suppress(OSError):
            if path.stat().st_size > most_bytes:
                shutil.copyfile(path, path.with_name(f"{path.name}.1"))
                os.truncate(path, 0)


def _copy(request: DeployRequest, folder: Path) -> None:
    """All files as files of their own, looked at and on disk before the folder has its name."""
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
        probe_model(unfinished / GRAPH)
        flush(unfinished)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    flush(folder.parent)
