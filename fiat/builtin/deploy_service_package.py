"""Packages of a service: copied in whole, every byte looked at, each a folder that never changes."""

import shutil
from itertools import count
from pathlib import Path

from fiat.builtin.deploy_shelf import flush
from fiat.builtin.source_dvc_file import folder_md5
from fiat.errors import EnvironmentFault
from fiat.model.package import GRAPH, MANIFEST, damaged_files
from fiat.model.precheck import precheck_model
from fiat.model.probe import probe_model
from fiat.ports.deploy import DeployRequest
from fiat.serving.place import Place

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
