"""Packages of a service: copied in whole, every byte looked at, each a folder that never changes."""

from pathlib import Path

from fiat.builtin.deploy_versions import copy_package, ready_version
from fiat.builtin.source_dvc_file import folder_md5
from fiat.model.package import GRAPH, MANIFEST, damaged_files
from fiat.model.probe import probe_model
from fiat.model.signing import carry_signature, signature_beside
from fiat.ports.deploy import DeployRequest
from fiat.serving.place import Place
from fiat.serving.signature_check import check_signature


def ready_folder(place: Place, request: DeployRequest, key: str = "") -> str:
    """The folder of the package, relative to the service's: the one that is there and whole, or a new copy.

    It is called `<digest>`, or `<digest>+1` and so on beside a damaged one.

    Args:
        place: of the service; the caller holds its lock.
        request: has the package.
        key: PEM file of the public key that it must be signed with; empty asks for no signature.

    Raises:
        SpecError: the graph is one that must not be loaded.
        EnvironmentFault: the package is not what its digest, manifest or signature says.
        OSError: the disk refused.
    """
    place.releases.mkdir(parents=True, exist_ok=True)

    def fill(draft: Path) -> None:
        copy_package(request, draft)
        probe_model(draft / GRAPH)

    folder = ready_version(
        place.releases, request.digest, lambda found: not changed_files(found, request.digest), fill
    )
    if key:
        # It goes with the copy: servers prove it again with each load.
        carry_signature(signature_beside(request.package), folder)
        check_signature(key, folder, request.digest)
    return f"{place.releases.name}/{folder.name}"


def changed_files(folder: Path, digest: str) -> list[str]:
    """Files of a release that are gone or not what they were, every byte read."""
    wrong: list[str] = damaged_files(folder)
    if not wrong and folder_md5(folder) != digest:
        wrong = [MANIFEST]
    return wrong
