"""A folder of files as an image layer, the same bytes for the same files.

Entries are sorted; times, owners and names of owners are nothing; modes are 644 and 755. What gzip makes of it depends on
the zlib that Python was built with, so the layer's digest is the same wherever that is the same; its diff id (of the tar
inside) is the same everywhere.
"""

import gzip
import hashlib
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, cast

from fiat.builtin.oci_layout import LAYER_TYPE, Descriptor, blob_path

_LEVEL = 6


class _Sink(Protocol):
    def write(self, data: bytes, /) -> int: ...


@dataclass
class _Hashed:
    """Passes bytes on and takes their digest."""

    out: _Sink
    digest: "hashlib._Hash"
    size_bytes: int = 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size_bytes += len(data)
        self.out.write(data)
        return len(data)

    def flush(self) -> None:
        """Gzip asks for it; the file is flushed when it is closed."""


@dataclass(frozen=True)
class Layer:
    """A layer that was written.

    Attributes:
        blob: its descriptor.
        diff_id: digest of the tar inside.
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
        packed = _Hashed(file, hashlib.sha256())
        with gzip.GzipFile(
            filename="", mode="wb", compresslevel=_LEVEL, fileobj=cast(IO[bytes], packed), mtime=0
        ) as pressed:
            plain = _Hashed(pressed, hashlib.sha256())
            with tarfile.open(fileobj=cast(IO[bytes], plain), mode="w|", format=tarfile.PAX_FORMAT) as tar:
                _fill(tar, source, inside)
    blob = Descriptor(LAYER_TYPE, f"sha256:{packed.digest.hexdigest()}", packed.size_bytes)
    draft.rename(blob_path(layout, blob.digest))
    return Layer(blob, f"sha256:{plain.digest.hexdigest()}")


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
