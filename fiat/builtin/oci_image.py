"""An image of a packaged model: one layer with `/models/<file>`, alone or on a base; with what is known of it in labels.

The layout inside is KServe's "modelcar". All of it is a function of the package, the base and the names that the spec
gives, so the same package makes the same image.

Source: OCI image specification 1.1 (config.md, annotations.md); KServe documentation, "OCI image storage".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiat.builtin.oci_base import Base, copy_base
from fiat.builtin.oci_layer import add_layer
from fiat.builtin.oci_layout import (
    CONFIG_TYPE,
    MANIFEST_TYPE,
    REF_NAME,
    Descriptor,
    add_blob,
    begin_layout,
    canonical,
    name_image,
)
from fiat.model.package import MANIFEST

MODELS = "models"
DIGEST_LABEL, MODEL_LABEL = "fiat.package.digest", "fiat.model"
_LONG_AGO = "1970-01-01T00:00:00Z"
_ARCHITECTURE = "amd64"
"""A configuration must name one; files of a model run anywhere, and a fixed word keeps the digest the same anywhere."""
_IMAGE = "org.opencontainers.image."


@dataclass(frozen=True)
class ImageName:
    """How an image is called.

    Attributes:
        name: such as `digits`.
        tag: such as `1.2`.
        model: the model's name.
        digest: of the package.
    """

    name: str
    tag: str
    model: str
    digest: str


def write_image(layout: Path, package: Path, called: ImageName, base: tuple[Path, str] | None) -> Descriptor:
    """Write an image into an empty folder.

    Args:
        layout: the folder.
        package: a copy of the package that was looked at.
        called: names.
        base: folder or tar of the image below, and which image of it; None for none.

    Returns:
        Its manifest.

    Raises:
        SpecError: the base is no image that a layer can be put on.
        EnvironmentFault: a blob of the base is damaged.
        OSError: a file can't be read or written.
    """
    begin_layout(layout)
    below = copy_base(*base, layout) if base else None
    layer = add_layer(layout, package, MODELS)
    notes = _notes(package, called, below)
    config = add_blob(layout, CONFIG_TYPE, canonical(_config(below, layer.diff_id, notes)))
    layers = [*(below.layers if below else ()), layer.blob]
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": config.document(),
        "layers": [each.document() for each in layers],
        "annotations": notes,
    }
    manifest = add_blob(layout, MANIFEST_TYPE, canonical(document))
    name_image(
        layout, manifest, {REF_NAME: called.tag, "io.containerd.image.name": f"{called.name}:{called.tag}"}
    )
    return manifest


def _notes(package: Path, called: ImageName, below: Base | None) -> dict[str, str]:
    about: Mapping[str, Any] = json.loads((package / MANIFEST).read_bytes())
    notes = {
        f"{_IMAGE}title": called.model,
        f"{_IMAGE}created": _LONG_AGO,
        DIGEST_LABEL: called.digest,
        MODEL_LABEL: called.model,
    }
    if about.get("commit"):
        notes[f"{_IMAGE}revision"] = str(about["commit"])
    if below:
        notes[f"{_IMAGE}base.digest"] = below.manifest_digest
    return notes


def _config(below: Base | None, diff_id: str, notes: Mapping[str, str]) -> dict[str, Any]:
    step = {"created": _LONG_AGO, "created_by": f"fiat: the model in /{MODELS}"}
    given: dict[str, Any] = (
        dict(below.config) if below else {"architecture": _ARCHITECTURE, "os": "linux", "created": _LONG_AGO}
    )
    inner = dict(given.get("config") or {})
    inner["Labels"] = {**(inner.get("Labels") or {}), **notes}
    known = given.get("rootfs", {}).get("diff_ids", [])
    given["config"] = inner
    given["rootfs"] = {"type": "layers", "diff_ids": [*known, diff_id]}
    given["history"] = [*(given.get("history") or []), step]
    return given
