"""Target `directory`: the packaged model as a folder `<path>/<model>` that always is a whole old or a whole new one."""

from pathlib import Path

from fiat.builtin.deploy_versions import (
    LOCK_WAIT_S,
    bring_version,
    copy_package,
    current_version,
    place_of,
    plain_name,
    ready_version,
)
from fiat.builtin.source_dvc_file import folder_md5
from fiat.model.package import MANIFEST, damaged_files
from fiat.model.signing import carry_signature, signature_beside
from fiat.ports.deploy import DeployRequest, TargetState


class DirectoryTarget:
    """Puts a package into a folder below the root, or (not confined) into any folder when its path is absolute.

    Args:
        lock_wait_s: how long another deploy of the same model is waited for.
    """

    name = "directory"
    version = "1"

    def __init__(self, lock_wait_s: float = LOCK_WAIT_S) -> None:
        self._lock_wait_s = lock_wait_s

    def observe(self, request: DeployRequest) -> str | None:
        """Digest of the package that the link leads to; None when there is none, or when files of it are gone."""
        current = current_version(place_of(request))
        if current is None or damaged_files(current, deep=False):
            return None
        return plain_name(current)

    def state(self, request: DeployRequest) -> TargetState:
        """What stands in the folder, every file compared with the manifest of its package."""
        place = place_of(request)
        current = current_version(place)
        if current is None:
            if place.link.is_symlink() or place.link.exists():
                stranger = f"{place.link} is not what a deploy put there"
                return TargetState("broken", sentence=stranger, faults=(stranger,))
            return TargetState("absent", sentence="no model is here")
        digest = plain_name(current)
        wrong = damaged_files(current)
        if not wrong and folder_md5(current) != digest:
            wrong = [MANIFEST]
        faults = tuple(f"{name} is gone or was changed" for name in wrong)
        return TargetState("broken" if wrong else "serving", digest, f"stands at {place.link}", faults=faults)

    def apply(self, request: DeployRequest) -> None:
        """Copy the package, and its signature when it has one, beside the others; then let the link lead to it.

        Raises:
            SpecError: the path leaves the root, or is taken by something that no deploy made, or the graph is one that
                must not be loaded.
            Stalled: a newer deploy went ahead.
            Waiting: another deploy holds the place all the time.
            EnvironmentFault: the folder can't be written, or the package is not what its digest or manifest says.
        """
        place = place_of(request)

        def is_whole(folder: Path) -> bool:
            return not damaged_files(folder) and folder_md5(folder) == request.digest

        bring_version(
            request,
            place,
            lock_wait_s=self._lock_wait_s,
            # In earnest: what was changed is mended by bringing the same model again.
            is_there=lambda: (current := current_version(place)) is not None and is_whole(current),
            make=lambda shelf: ready_version(
                shelf, request.digest, is_whole, lambda folder: copy_package(request, folder)
            ),
            publish=lambda folder: carry_signature(signature_beside(request.package), folder),
        )
