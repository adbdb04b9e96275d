"""Sign released packages: where signatures are kept, and what their statements say."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fiat.engine.package_folder import package_folder
from fiat.errors import EnvironmentFault, SignatureFault
from fiat.model.package_files import MANIFEST
from fiat.model.provenance import TREE, Build, Material, write_provenance
from fiat.model.signing import kept_signature, provenance_beside, sign_package, signer_of
from fiat.model.signing_keys import key_id, read_private_key
from fiat.run.model import Run
from fiat.store.faults import disk_faults
from fiat.store.store import Store
from fiat.wiring.lineage import Ancestry, StepOrigin, trace
from fiat.wiring.registry_names import Named, folder_digest

DESK = "urn:fiat-ml:desk"
RUNNER = "urn:fiat-ml:runner"
"""Who builds: a person's machine, or a runner that says no address."""


@dataclass(frozen=True)
class Signed:
    """A signed package.

    Attributes:
        model: the model's name.
        digest: of the package.
        key: id of the key, 64 hex digits.
        signature: file of the signature.
        provenance: file of the statement.
    """

    model: str
    digest: str
    key: str
    signature: Path
    provenance: Path


def sign_model(store: Store, named: Named, key: Path, *, builder: str = DESK) -> Signed:
    """Sign a released package and say how it was made; what was signed before is replaced.

    Args:
        store: with the package.
        named: the package.
        key: PEM file of the private key.
        builder: URI of who builds.

    Raises:
        EnvironmentFault: the package is damaged or gone, the key can't be used, or the disk refused.
    """
    private_key = read_private_key(key)
    if not store.artifacts.verify(named.digest):
        raise _changed(named.digest)
    folder = package_folder(store, named.digest)
    if folder_digest(folder) != named.digest:
        raise _changed(named.digest)
    signature = kept_signature(store.root, named.digest)
    provenance = provenance_beside(signature)
    with disk_faults(signature):
        signature.parent.mkdir(parents=True, exist_ok=True)
    write_provenance(folder, describe_build(store, named, folder, builder), key, provenance)
    sign_package(folder, key, signature)
    return Signed(named.model, named.digest, key_id(private_key.public_key()), signature, provenance)


def sign_release(
    store: Store, model: str, digest: str, key: Path | None, *, builder: str = DESK
) -> Signed | None:
    """Sign what was just released, unless this key signed it already; None without a key.

    Raises:
        EnvironmentFault: as `sign_model`.
    """
    if key is None:
        return None
    found = next((one for one in store.registry.versions(model) if one.digest == digest), None)
    signature = kept_signature(store.root, digest)
    if _is_by(signature, key) and provenance_beside(signature).is_file():
        return None
    return sign_model(store, Named(model, digest, found), key, builder=builder)


def describe_build(store: Store, named: Named, folder: Path, builder: str = DESK) -> Build:
    """How a package was made: from its run and results; from its manifest alone when it was never released."""
    with disk_faults(folder):
        manifest: Mapping[str, Any] = json.loads((folder / MANIFEST).read_bytes())
    ancestry = trace(store, named)
    run = ancestry.run if ancestry else None
    return Build(
        model=named.model or str(manifest.get("name", "")),
        digest=named.digest,
        spec_path=run.spec_path if run else "",
        spec_digest=str(manifest.get("spec_digest", "")),
        commit=str(manifest.get("commit", "")),
        dirty=bool(manifest.get("dirty")),
        params=dict(manifest.get("params") or {}),
        materials=_materials(ancestry, manifest),
        builder=builder,
        builder_versions={"fiat": version("fiat-ml")},
        run=run.id if run else "",
        started_at=run.started_at.isoformat() if run else "",
        ended_at=_ended(run, ancestry),
        sandbox=_sandbox(ancestry),
        gates=list(manifest.get("gates") or ()),
    )


def _is_by(signature: Path, key: Path) -> bool:
    if not signature.is_file():
        return False
    try:
        return signer_of(signature) == key_id(read_private_key(key).public_key())
    except SignatureFault:
        return False


def _materials(ancestry: Ancestry | None, manifest: Mapping[str, Any]) -> tuple[Material, ...]:
    commit = str(manifest.get("commit", ""))
    found = [Material("git", {"gitCommit": commit})] if commit else []
    if ancestry is None or not ancestry.steps:
        data = dict(manifest.get("data") or {})
        return (*found, *(Material(name, _digest(digest)) for name, digest in data.items()))
    for step in ancestry.steps:
        found += _used(step)
    return tuple({one.name: one for one in found}.values())


def _used(step: StepOrigin) -> list[Material]:
    used = [Material(f"code/{path}", _digest(digest)) for path, digest in step.code.items()]
    for source, digest in step.sources.items():
        uri = source if "://" in source else ""
        used.append(Material(f"{step.name}/{source.removeprefix('./')}", _digest(digest), uri))
    if step.kind == "data":
        used += [Material(step.name, _digest(digest)) for digest in step.outputs.values()]
    return used


def _digest(digest: str) -> dict[str, str]:
    if digest.endswith(".dir"):
        return {TREE: digest.removesuffix(".dir")}
    return {"md5" if len(digest) == 32 else "sha256" if len(digest) == 64 else "version": digest}


def _ended(run: Run | None, ancestry: Ancestry | None) -> str:
    made = [step.made_at for step in ancestry.steps if step.made_at] if ancestry else []
    ended_at = (run.ended_at if run else None) or max(made, default=None)
    return ended_at.isoformat() if ended_at else ""


def _sandbox(ancestry: Ancestry | None) -> str:
    """The weakest of the steps': one that ran with our own rights could have done anything."""
    kinds = {step.sandbox for step in ancestry.steps if step.sandbox} if ancestry else set()
    return "none" if "none" in kinds or not kinds else ", ".join(sorted(kinds))


def _changed(digest: str) -> EnvironmentFault:
    return EnvironmentFault(
        f"the package {digest} is not what it was when it was judged, so it is not signed",
        hint="run the spec again: it is made anew",
    )
