"""The files of a package folder: their names, whether they are as its manifest says, and what is there whatever it says.

Loads nothing heavy: whoever only looks at a package need not know what is in it.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from fiat.errors import EnvironmentFault

GRAPH, SIGNATURE, METRICS = "model.onnx", "signature.json", "metrics.json"
REQUIREMENTS, CARD, MANIFEST = "requirements.txt", "MODEL.md", "manifest.json"
_CHUNK_BYTES = 1 << 20


def damaged_files(folder: Path, *, deep: bool = True) -> list[str]:
    """Files of a package that are missing or not as its manifest says; all of it when there is no manifest.

    Args:
        folder: of the package.
        deep: compare digests, not only sizes.
    """
    try:
        files = json.loads((folder / MANIFEST).read_bytes())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return [MANIFEST]
    return [name for name, facts in files.items() if not _is_as(folder / name, facts, deep=deep)]


def package_files(folder: Path) -> dict[str, str]:
    """Path relative to the folder, with `/`, to the SHA-256 of the content (64 hex digits); sorted by path.

    Raises:
        EnvironmentFault: the folder can't be read, or has something that is neither file nor folder.
    """
    try:
        return dict(sorted(_files(folder)))
    except OSError as error:
        raise EnvironmentFault(
            f"the package {folder} can't be read: {error.strerror}", hint="deploy it again"
        ) from error


def _is_as(path: Path, facts: Mapping[str, object], *, deep: bool) -> bool:
    try:
        return path.stat().st_size == facts["size_bytes"] and (
            not deep or file_sha256(path) == facts["sha256"]
        )
    except OSError:
        return False


def _files(folder: Path) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for place, folders, names in os.walk(folder, onerror=_raise):
        for name in [*folders, *names]:
            path = Path(place, name)
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise EnvironmentFault(
                    f"the package {folder.name} has {name}, which is neither file nor folder",
                    hint="deploy it again",
                )
        found += [
            (Path(place, name).relative_to(folder).as_posix(), file_sha256(Path(place, name)))
            for name in names
        ]
    return found


def _raise(error: OSError) -> None:
    raise error


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, 64 hex digits.

    Raises:
        OSError: it can't be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
