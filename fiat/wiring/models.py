"""Find a released model by what people call it."""

import json
from dataclasses import dataclass
from pathlib import Path

from fiat.engine.release import package_folder
from fiat.errors import EnvironmentFault
from fiat.run.model import Release
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
    """

    digest: str
    path: Path
    manifest: dict[str, object]
    signature: dict[str, object]
    metrics: list[dict[str, object]]
    releases: tuple[Release, ...]


def find_model(shelf: Shelf, name: str) -> ShownModel | None:
    """The model of a name, `name@alias`, package digest or package folder; None when nothing is called so."""
    if (Path(name) / "signature.json").is_file():
        return _read_folder(Path(name), "", ())
    model, _, alias = name.partition("@")
    releases = tuple(shelf.store.releases.newest(model))
    if releases:
        chosen = next((item for item in releases if not alias or item.alias == alias), None)
        return _from_store(shelf, chosen.digest, releases) if chosen else None
    if name.endswith(".dir"):
        return _from_store(shelf, name, ())
    return None


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
