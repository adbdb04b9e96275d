"""Target `image`: the packaged model as an OCI image, made without a daemon, as a layout and in a registry.

`<path>/<model>` is a layout (`skopeo inspect oci:images/digits:1.2`), with a Containerfile beside its blobs when the spec
asks for one. A push comes before the link moves: who reads the folder finds an image that the registry has.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version as release_of
from pathlib import Path

from fiat.builtin.deploy_versions import (
    LOCK_WAIT_S,
    Place,
    bring_version,
    copy_package,
    current_version,
    folder_of,
    place_of,
    plain_name,
    ready_version,
)
from fiat.builtin.http_client import HttpClient, HttpPolicy
from fiat.builtin.job_death import size_text
from fiat.builtin.oci_base import base_mark
from fiat.builtin.oci_containerfile import CONTAINERFILE, CONTEXT, containerfile, ignored
from fiat.builtin.oci_image import DIGEST_LABEL, ImageName, write_image
from fiat.builtin.oci_layout import canonical, damaged_blobs, read_image
from fiat.builtin.oci_reference import PushPlace, push_place, split_tag
from fiat.builtin.oci_registry import Registry
from fiat.errors import FiatError, SpecError
from fiat.model.package import damaged_files
from fiat.ports.deploy import DeployRequest, TargetState

KIND = "image"
DEFAULT_PATH = "images"
_SHORT = 12


@dataclass(frozen=True)
class _Wanted:
    """What the settings ask for.

    Attributes:
        place: where the layout goes.
        called: names of the image.
        base: folder or tar of the image below, and which image of it.
        push: where it is pushed to.
        recipe: whether a Containerfile goes beside it.
        version: name of the version folder: the package, and a digest of all else that makes a difference to it.
    """

    place: Place
    called: ImageName
    base: tuple[Path, str] | None
    push: PushPlace | None
    recipe: bool
    version: str


class ImageTarget:
    """Makes an image and pushes it.

    Args:
        lock_wait_s: how long another deploy of the same model is waited for.
        make_client: gives the HTTP client for a policy.
    """

    name = "image"
    version = "1"

    def __init__(
        self, lock_wait_s: float = LOCK_WAIT_S, make_client: Callable[[HttpPolicy], HttpClient] = HttpClient
    ) -> None:
        self._lock_wait_s, self._make_client = lock_wait_s, make_client

    def observe(self, request: DeployRequest) -> str | None:
        """Digest of the package in the image that the link leads to; None for none, a cut one, or one made otherwise."""
        wanted = _read_settings(request)
        current = current_version(wanted.place)
        if current is None or plain_name(current) != _same_but_digest(wanted, current):
            return None
        return _packed(current)

    def state(self, request: DeployRequest) -> TargetState:
        """The image in the folder, every blob looked at; and whether the registry has it under its tag."""
        wanted = _read_settings(request)
        current = current_version(wanted.place)
        if current is None:
            return TargetState("absent", sentence="no image is here")
        faults = damaged_blobs(current)
        if wanted.recipe and not faults:
            faults = [f"{CONTEXT}/{name} is gone or was changed" for name in damaged_files(current / CONTEXT)]
        digest, sentence = _packed(current), f"an image stands at {wanted.place.link}"
        if not faults:
            image = read_image(current)
            size = size_text(sum(blob.size_bytes for blob in image.blobs()))
            sentence = (
                f"image {image.manifest.digest[:19]} ({size}) stands at {wanted.place.link}:{image.ref}"
            )
            if wanted.push:
                faults = self._faults_there(wanted.push, request, image.manifest.digest)
                sentence += f", pushed to {wanted.push}"
        return TargetState("broken" if faults else "serving", digest, sentence, faults=tuple(faults))

    def apply(self, request: DeployRequest) -> None:
        """Write the layout beside the others, push it, then let the link lead to it.

        Raises:
            SpecError: a path or name is not allowed, the base is no image, or a host is not granted.
            Stalled: a newer deploy went ahead.
            Waiting: another deploy holds the place all the time, or the registry says "later".
            EnvironmentFault: the folder can't be written, the registry refuses, or the package is not what its digest
                says.
        """
        wanted = _read_settings(request)
        registry = Registry(wanted.push, request, self._make_client) if wanted.push else None

        def publish(folder: Path) -> None:
            if registry is not None:
                registry.push(folder, read_image(folder))

        bring_version(
            request,
            wanted.place,
            lock_wait_s=self._lock_wait_s,
            is_there=lambda: self.observe(request) == request.digest,
            make=lambda shelf: ready_version(
                shelf,
                wanted.version,
                lambda folder: not damaged_blobs(folder) and _packed(folder) == request.digest,
                lambda folder: _fill(folder, request, wanted),
            ),
            publish=publish,
        )

    def _faults_there(self, push: PushPlace, request: DeployRequest, digest: str) -> list[str]:
        try:
            found = Registry(push, request, self._make_client).digest()
        except FiatError as error:
            return [f"it is not known what {push} has: {error.message}"]
        return [] if found == digest else [f"{push} has {found or 'no image'}, not {digest}"]


def _read_settings(request: DeployRequest) -> _Wanted:
    said, key = request.settings, f"deploy.{request.target}"
    commit = request.commit or request.digest[:_SHORT]
    text = str(said["tag"]).replace("${commit}", commit).replace("{commit}", commit)
    name, tag = split_tag(text, f"{key}.tag")
    push = push_place(str(said["push"]), tag, f"{key}.push") if said.get("push") else None
    base = _base(request, str(said["base"])) if said.get("base") else None
    recipe = bool(said.get("containerfile"))
    called = ImageName(name, tag, str(said["model"]), request.digest)
    marks = [text, str(push), base_mark(*base) if base else None, recipe]
    suffix = hashlib.sha256(canonical(marks)).hexdigest()[:_SHORT]
    place = place_of(request, KIND, DEFAULT_PATH)
    return _Wanted(place, called, base, push, recipe, f"{request.digest}-{suffix}")


def _base(request: DeployRequest, said: str) -> tuple[Path, str]:
    """The path of a base and the name of the image in it: `FOLDER`, `FOLDER:TAG`, with `oci:` before it or not."""
    said = said.removeprefix("oci:").removeprefix("oci-archive:")
    path = folder_of(request, said, "base")
    if path.exists() or ":" not in said:
        return path, ""
    before, _, ref = said.rpartition(":")
    return folder_of(request, before, "base"), ref


def _same_but_digest(wanted: _Wanted, current: Path) -> str:
    """What the current version would be called if it were made as wanted."""
    return f"{plain_name(current).rpartition('-')[0]}-{wanted.version.rpartition('-')[2]}"


def _packed(folder: Path) -> str | None:
    """Digest of the package in an image; None when it is cut."""
    try:
        found = read_image(folder).labels.get(DIGEST_LABEL)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return found if found == folder.name.rpartition("-")[0] else None


def _fill(folder: Path, request: DeployRequest, wanted: _Wanted) -> None:
    package = Path(tempfile.mkdtemp(prefix="package.", dir=folder))
    copy_package(request, package)
    if wanted.base and not wanted.base[0].exists():
        raise SpecError(
            f"deploy.{request.target}.base: {request.settings['base']} is not there",
            hint="`skopeo copy SOURCE oci:FOLDER:TAG` makes a layout of any image",
        )
    write_image(folder, package, wanted.called, wanted.base)
    if wanted.recipe:
        package.chmod(0o755)
        package.rename(folder / CONTEXT)
        (folder / CONTAINERFILE).write_text(
            containerfile(wanted.called.model, release_of("fiat-ml")), "utf-8"
        )
        (folder / ".containerignore").write_text(ignored(), "utf-8")
    else:
        shutil.rmtree(package)
