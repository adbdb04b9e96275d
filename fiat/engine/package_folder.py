"""A package of the store as a folder that stays."""

import os
import shutil
from pathlib import Path

from fiat.store.faults import disk_faults
from fiat.store.store import Store


def package_folder(store: Store, digest: str) -> Path:
    """The package as a folder that stays: `packages/<digest>` in the store, made at first use.

    Raises:
        EnvironmentFault: the package is gone, or the disk refused.
    """
    folder = store.root / "packages" / digest.removesuffix(".dir")
    if folder.is_dir():
        return folder
    temporary = folder.with_name(f"{folder.name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with disk_faults(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            store.artifacts.materialize(digest, temporary)
            for path in temporary.iterdir():
                if path.is_symlink():  # large files: a package must stand on its own
                    content = path.resolve()
                    path.unlink()
                    shutil.copyfile(content, path)
            try:
                temporary.rename(folder)
            except OSError:
                if not folder.is_dir():  # else somebody else was quicker
                    raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder
