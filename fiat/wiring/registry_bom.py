"""Gather what a model's bill of materials says."""

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fiat.engine.package_folder import package_folder
from fiat.errors import EnvironmentFault
from fiat.model.bom import BomSource, Dataset, make_bom
from fiat.model.package_files import MANIFEST, METRICS, REQUIREMENTS, SIGNATURE, package_files
from fiat.store.faults import disk_faults
from fiat.store.store import Store
from fiat.wiring.lineage import Ancestry, trace
from fiat.wiring.registry_names import Named


def bom_text(store: Store, named: Named) -> str:
    """The bill of materials of a package: CycloneDX in JSON, with a line feed at its end.

    Raises:
        EnvironmentFault: the package is gone or damaged.
    """
    if not store.artifacts.check(named.digest):
        raise EnvironmentFault(
            f"the package {named.digest} is gone from the store", hint="run the spec again: it is made anew"
        )
    folder = package_folder(store, named.digest)
    document = make_bom(_gather(named, folder, trace(store, named)))
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_bom(path: Path, text: str) -> None:
    """Write it in one step.

    Raises:
        EnvironmentFault: the disk refused.
    """
    draft = path.with_name(f"unfinished.{os.getpid()}.{path.name}")
    try:
        draft.write_text(text, "utf-8")
        draft.replace(path)
    except OSError as error:
        raise EnvironmentFault(f"can't write {path}: {error.strerror}", hint="check its folder") from error
    finally:
        draft.unlink(missing_ok=True)


def _gather(named: Named, folder: Path, ancestry: Ancestry | None) -> BomSource:
    with disk_faults(folder):
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        signature: dict[str, Any] = json.loads((folder / SIGNATURE).read_bytes())
        metrics: list[dict[str, Any]] = json.loads((folder / METRICS).read_bytes())
        requirements = (folder / REQUIREMENTS).read_text("utf-8").split()
    data = tuple(Dataset(name, str(digest)) for name, digest in (manifest.get("data") or {}).items())
    code: dict[str, str] = {}
    if ancestry is not None and ancestry.steps:
        reads = [step for step in ancestry.steps if step.kind == "data"]
        data = tuple(
            Dataset(step.name, digest, step.sources) for step in reads for digest in step.outputs.values()
        )
        code = {path: digest for step in ancestry.steps for path, digest in step.code.items()}
    first = named.version.first if named.version else None
    return BomSource(
        name=named.model or str(manifest.get("name") or "model"),
        version=str(named.version.number) if named.version else named.digest[:12],
        digest=named.digest,
        released_at=first.released_at.isoformat() if first else "",
        files=package_files(folder),
        manifest=manifest,
        signature=signature,
        metrics=metrics,
        requirements=requirements,
        data=data,
        code=code,
        tool_version=version("fiat-ml"),
        commit=str(manifest.get("commit") or ""),
        run=first.run if first else "",
    )
