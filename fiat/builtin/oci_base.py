"""The image that the user gives to put a model on: an OCI layout (a folder, or `oci-archive` tar), every blob checked.

Only what OCI and Docker call an image is taken; its configuration (environment, entrypoint, user, history) stays as it is.
"""

import hashlib
import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from fiat.builtin.oci_layout import (
    INDEX,
    INDEX_TYPE,
    MANIFEST_TYPE,
    MOST_DOCUMENT_BYTES,
    REF_NAME,
    Descriptor,
    blob_path,
    read_descriptor,
)
from fiat.errors import EnvironmentFault, SpecError

_DOCKER = "application/vnd.docker."
_MANIFESTS = (MANIFEST_TYPE, f"{_DOCKER}distribution.manifest.v2+json")
_INDEXES = (INDEX_TYPE, f"{_DOCKER}distribution.manifest.list.v2+json")
_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
_LAYERS = {
    _OCI_LAYER: _OCI_LAYER,
    f"{_OCI_LAYER}+gzip": f"{_OCI_LAYER}+gzip",
    f"{_OCI_LAYER}+zstd": f"{_OCI_LAYER}+zstd",
    f"{_DOCKER}image.rootfs.diff.tar": _OCI_LAYER,
    f"{_DOCKER}image.rootfs.diff.tar.gzip": f"{_OCI_LAYER}+gzip",
}
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Base:
    """An image that goes below.

    Attributes:
        manifest_digest: of its manifest.
        config: its configuration, JSON.
        layers: the lowest first, copied already.
    """

    manifest_digest: str
    config: Mapping[str, Any]
    layers: tuple[Descriptor, ...]


class _Store:
    """Blobs of a layout, wherever they lie."""

    def __init__(self, path: Path, tar: tarfile.TarFile | None) -> None:
        self._path, self._tar = path, tar
        members = tar.getmembers() if tar else ()
        self._members = {item.name.removeprefix("./"): item for item in members if item.isreg()}

    def open(self, name: str) -> IO[bytes]:
        """A file of the layout by its name.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it is no plain file of the layout: a link out of it, a pipe.
        """
        if self._tar is None:
            path = (self._path / name).resolve()
            if path.exists() and not (path.is_file() and path.is_relative_to(self._path.resolve())):
                raise ValueError(f"{name} is no plain file of it")
            if not path.exists():
                raise FileNotFoundError(2, "No such file in the layout", name)
            return path.open("rb")
        if (member := self._members.get(name)) is None or (file := self._tar.extractfile(member)) is None:
            raise FileNotFoundError(2, "No such file in the archive", name)
        return file

    def document(self, blob: Descriptor) -> Any:
        """A JSON blob, checked."""
        with self.open(_name(blob)) as file:
            content = file.read(MOST_DOCUMENT_BYTES + 1)
        if len(content) > MOST_DOCUMENT_BYTES:
            raise ValueError(f"{blob.digest} is too large for a document")
        _check(blob, hashlib.sha256(content).hexdigest(), len(content))
        return json.loads(content)

    def copy(self, blob: Descriptor, target: Path) -> None:
        """A blob, checked while it is copied."""
        digest, size_bytes = hashlib.sha256(), 0
        with self.open(_name(blob)) as file, target.open("wb") as out:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                size_bytes += len(chunk)
                out.write(chunk)
        _check(blob, digest.hexdigest(), size_bytes)


def base_mark(path: Path, ref: str) -> str:
    """A text that is another one when the base is another image; empty when it can't be read."""
    try:
        with _opened(path) as store:
            return _chosen(store, ref, path).digest
    except (OSError, ValueError, KeyError, TypeError, tarfile.TarError, SpecError):
        return ""


def copy_base(path: Path, ref: str, layout: Path) -> Base:
    """Copy the layers of a base into a layout.

    Args:
        path: folder or tar of the base.
        ref: which image of it; empty for its only one.
        layout: the layout's folder.

    Raises:
        SpecError: there is no such image, or none that a layer can be put on.
        EnvironmentFault: a blob is not what its digest says.
    """
    try:
        with _opened(path) as store:
            entry = _chosen(store, ref, path)
            manifest = store.document(entry)
            config = store.document(read_descriptor(manifest["config"]))
            layers = tuple(_layer(read_descriptor(item)) for item in manifest["layers"])
            if len(config["rootfs"]["diff_ids"]) != len(layers):
                raise ValueError("its configuration does not name as many layers as its manifest")
            for given, layer in zip(manifest["layers"], layers, strict=True):
                store.copy(read_descriptor(given), blob_path(layout, layer.digest))
            return Base(entry.digest, config, layers)
    except FileNotFoundError as error:
        raise SpecError(
            f"the base image {path.name} has no {error.filename}",
            hint="an OCI layout is wanted: `skopeo copy SOURCE oci:FOLDER:TAG` makes one of any image",
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, tarfile.TarError) as error:
        raise SpecError(
            f"the base image {path.name} can't be used: {error}",
            hint="`skopeo copy SOURCE oci:FOLDER:TAG` makes a layout of any image",
        ) from error


@contextmanager
def _opened(path: Path) -> Iterator[_Store]:
    if path.is_dir():
        yield _Store(path, None)
    else:
        with tarfile.open(path, "r:") as tar:
            yield _Store(path, tar)


def _chosen(store: _Store, ref: str, path: Path) -> Descriptor:
    with store.open(INDEX) as file:
        entries = json.loads(file.read(MOST_DOCUMENT_BYTES))["manifests"]
    entries = [each for each in entries if not ref or each.get("annotations", {}).get(REF_NAME) == ref]
    while len(entries) == 1 and entries[0]["mediaType"] in _INDEXES:
        entries = [
            each
            for each in store.document(read_descriptor(entries[0]))["manifests"]
            if each.get("platform", {}).get("os", "linux") == "linux"
        ]
    entries = [each for each in entries if each["mediaType"] in _MANIFESTS]
    if len(entries) != 1:
        raise SpecError(
            f"the base {path.name} has {len(entries)} images{f' called {ref}' if ref else ''}, expected one",
            hint="name one with `base: FOLDER:TAG`, and of several platforms keep one: `skopeo copy` does",
        )
    return read_descriptor(entries[0])


def _layer(blob: Descriptor) -> Descriptor:
    if blob.media_type not in _LAYERS:
        raise ValueError(f"a layer is {blob.media_type}, which is no image layer that can be passed on")
    return Descriptor(_LAYERS[blob.media_type], blob.digest, blob.size_bytes)


def _name(blob: Descriptor) -> str:
    return "blobs/" + blob.digest.replace(":", "/")


def _check(blob: Descriptor, digits: str, size_bytes: int) -> None:
    if f"sha256:{digits}" != blob.digest or size_bytes != blob.size_bytes:
        raise EnvironmentFault(
            f"blob {blob.digest} of the base image is not what its digest says",
            hint="copy the base image again",
        )
