"""A folder of files as an image layer, the same bytes for the same files, on every machine.

Entries are sorted; times, owners and names of owners are nothing; modes are 644 and 755. The tar is not compressed: what
gzip makes of it depends on the zlib that Python was built with, and weights hardly get smaller.
"""

import hashlib
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from fiat.builtin.oci_layout import LAYER_TYPE, Descriptor, blob_path


@dataclass
class _Hashed:
    """Passes bytes on and takes their digest."""

    out: IO[bytes]
    digest: "hashlib._Hash"
    size_bytes: int = 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size_bytes += len(data)
        self.out.write(data)
        return len(data)


@dataclass(frozen=True)
class Layer:
    """A layer that was written.

    Attributes:
        blob: its descriptor.
        diff_id: digest of the tar, which is the blob's own.
    """

    blob: Descriptor
    diff_id: str


def add_layer(layout: Path, source: Path, inside: str) -> Layer:
    """Write the files of a flat folder as a layer of a layout.

    Args:
        layout: the layout's folder.
        source: holds the files.
        inside: folder in the image that they stand in, such as `models`.

    Raises:
        OSError: a file can't be read or written.
    """
    draft = layout / "blobs" / "layer"
    with draft.open("wb") as file:
        hashed = _Hashed(file, hashlib.sha256())
        with tarfile.open(fileobj=cast(IO[bytes], hashed), mode="w|", format=tarfile.PAX_FORMAT) as tar:
            _fill(tar, source, inside)
    digest = f"sha256:{hashed.digest.hexdigest()}"
    draft.rename(blob_path(layout, digest))
    return Layer(Descriptor(LAYER_TYPE, digest, hashed.size_bytes), digest)


def _fill(tar: tarfile.TarFile, source: Path, inside: str) -> None:
    parts = inside.split("/")
    for depth in range(1, len(parts) + 1):
        tar.addfile(_entry("/".join(parts[:depth]) + "/", tarfile.DIRTYPE, 0o755))
    for path in sorted(source.iterdir(), key=lambda item: item.name):
        with path.open("rb") as file:
            entry = _entry(f"{inside}/{path.name}", tarfile.REGTYPE, 0o644)
            entry.size = os.fstat(file.fileno()).st_size
            tar.addfile(entry, file)


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    entry.mtime = entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
