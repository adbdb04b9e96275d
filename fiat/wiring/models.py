"""Find a released model by what people call it."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from fiat.engine.package_folder import package_folder
from fiat.errors import EnvironmentFault
from fiat.run.model import Release
from fiat.run.registry import ModelVersion
from fiat.wiring.registry_names import resolve_name
from fiat.wiring.shelf import Shelf


@dataclass(frozen=True)
class ShownModel:
    """A packaged model and where it was released.

    Attributes:
        digest: of its package; empty for a folder outside the store.
        path: folder of the package, or the store's object.
        manifest: where it comes from.
        signature: names, shapes and dtypes of inputs and outputs, labels.
        metrics: as the package has them.
        releases: newest first.
        name: that its releases go by; empty when it was never released.
        version: its number, aliases, tags, notes and where it is deployed; None when it was never released.
    """

    digest: str
    path: Path
    manifest: dict[str, object]
    signature: dict[str, object]
    metrics: list[dict[str, object]]
    releases: tuple[Release, ...]
    name: str = ""
    version: ModelVersion | None = None


def find_model(shelf: Shelf, name: str) -> ShownModel | None:
    """The model of a package folder or a name (see `registry_names.py`); None when nothing is called so.

    Raises:
        SpecError: several models are meant, or the model has no such version.
        EnvironmentFault: its package is gone.
    """
    if (Path(name) / "signature.json").is_file():
        return _read_folder(Path(name), "", ())
    found = resolve_name(shelf.store, name)
    if found is None:
        return None
    releases = tuple(shelf.store.releases.newest(found.model)) if found.model else ()
    return replace(_from_store(shelf, found.digest, releases), name=found.model, version=found.version)


def _from_store(shelf: Shelf, digest: str, releases: tuple[Release, ...]) -> ShownModel:
    if not shelf.store.artifacts.check(digest):
        raise EnvironmentFault(
            f"the package {digest} is gone from the store",
            hint="run the spec again: it is made from the same inputs",
        )
    return _read_folder(package_folder(shelf.store, digest), digest, releases)


def _read_folder(folder: Path, digest: str, releases: tuple[Release, ...]) -> ShownModel:
    def read(name: str) -> object:
        return json.loads((folder / name).read_text("utf-8"))

    manifest, signature, metrics = read("manifest.json"), read("signature.json"), read("metrics.json")
    return ShownModel(
        digest=digest,
        path=folder,
        manifest=manifest if isinstance(manifest, dict) else {},
        signature=signature if isinstance(signature, dict) else {},
        metrics=metrics if isinstance(metrics, list) else [],
        releases=releases,
    )
