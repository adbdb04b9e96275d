"""Every file of a package folder with its digest, whatever its manifest says."""

import hashlib
import os
from pathlib import Path

from fiat.errors import EnvironmentFault

_CHUNK_BYTES = 1 << 20


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
            (Path(place, name).relative_to(folder).as_posix(), _sha256(Path(place, name))) for name in names
        ]
    return found


def _raise(error: OSError) -> None:
    raise error


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
