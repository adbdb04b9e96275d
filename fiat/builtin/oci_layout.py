"""An OCI image layout as a folder: blobs under their digests, `oci-layout`, and `index.json` that names one image.

Source: OCI image specification 1.1 (image-layout.md, manifest.md, descriptor.md, annotations.md).
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INDEX, LAYOUT = "index.json", "oci-layout"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
REF_NAME = "org.opencontainers.image.ref.name"
MOST_DOCUMENT_BYTES = 4 * 1024 * 1024
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Descriptor:
    """What names a blob.

    Attributes:
        media_type: kind of content.
        digest: `sha256:` and 64 hex digits.
        size_bytes: of the blob.
    """

    media_type: str
    digest: str
    size_bytes: int

    def document(self) -> dict[str, object]:
        """As JSON documents have it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size_bytes}


@dataclass(frozen=True)
class Image:
    """An image in a layout.

    Attributes:
        manifest: its manifest.
        config: its configuration.
        layers: the lowest first.
        labels: of its configuration.
        ref: name of it in the index, such as `1.2`.
    """

    manifest: Descriptor
    config: Descriptor
    layers: tuple[Descriptor, ...]
    labels: Mapping[str, str]
    ref: str

    def blobs(self) -> Iterator[Descriptor]:
        """Layers, configuration, manifest: each after what it names."""
        yield from (*self.layers, self.config, self.manifest)


def canonical(value: object) -> bytes:
    """JSON, the same bytes for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def read_descriptor(document: Any) -> Descriptor:
    """A descriptor of a JSON document.

    Raises:
        ValueError: it is none, or its digest is no SHA-256.
    """
    try:
        found = Descriptor(str(document["mediaType"]), str(document["digest"]), int(document["size"]))
    except (KeyError, TypeError) as error:
        raise ValueError("a descriptor lacks mediaType, digest or size") from error
    if not _DIGEST.fullmatch(found.digest) or found.size_bytes < 0:
        raise ValueError(f"{found.digest[:80]!r} is no SHA-256 digest")
    return found


def blob_path(folder: Path, digest: str) -> Path:
    """Where the blob of a digest lies in a layout."""
    algorithm, _, digits = digest.partition(":")
    return folder / "blobs" / algorithm / digits


def begin_layout(folder: Path) -> None:
    """Make an empty folder a layout without images."""
    (folder / "blobs" / "sha256").mkdir(parents=True)
    (folder / LAYOUT).write_bytes(canonical({"imageLayoutVersion": "1.0.0"}))


def add_blob(folder: Path, media_type: str, content: bytes) -> Descriptor:
    """Write a small blob."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    blob_path(folder, digest).write_bytes(content)
    return Descriptor(media_type, digest, len(content))


def name_image(folder: Path, manifest: Descriptor, annotations: Mapping[str, str]) -> None:
    """Let the index name one image."""
    entry = {**manifest.document(), "annotations": dict(annotations)}
    document = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entry]}
    (folder / INDEX).write_bytes(canonical(document))


def read_image(folder: Path) -> Image:
    """The one image of a layout that we wrote; sizes of blobs are compared, their content is not.

    Raises:
        ValueError: it is none, or blobs of it are missing or too short.
        OSError: a file can't be read.
    """
    entries = json.loads((folder / INDEX).read_bytes())["manifests"]
    if len(entries) != 1:
        raise ValueError(f"the index names {len(entries)} images")
    manifest = read_descriptor(entries[0])
    document = _document(folder, manifest)
    config = read_descriptor(document["config"])
    layers = tuple(read_descriptor(item) for item in document["layers"])
    labels = _document(folder, config).get("config", {}).get("Labels") or {}
    for blob in layers:
        if blob_path(folder, blob.digest).stat().st_size != blob.size_bytes:
            raise ValueError(f"{blob.digest} is cut")
    return Image(manifest, config, layers, labels, entries[0].get("annotations", {}).get(REF_NAME, ""))


def damaged_blobs(folder: Path) -> list[str]:
    """What is wrong with the image of a layout, every byte looked at; empty when nothing is."""
    try:
        image = read_image(folder)
        return [
            f"{blob.digest[:19]} is not what its digest says"
            for blob in image.blobs()
            if file_digest(blob_path(folder, blob.digest)) != blob.digest
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return [f"the image can't be read: {error}"]


def file_digest(path: Path) -> str:
    """Digest of a file as descriptors have it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def _document(folder: Path, blob: Descriptor) -> Any:
    path = blob_path(folder, blob.digest)
    if blob.size_bytes > MOST_DOCUMENT_BYTES or path.stat().st_size != blob.size_bytes:
        raise ValueError(f"{blob.digest} is cut or too large")
    return json.loads(path.read_bytes())
