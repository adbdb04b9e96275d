"""Bring one target to a package: looked at before, byte by byte, and at the target after."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fiat.errors import EnvironmentFault
from fiat.model.signing import carry_signature, kept_signature, require_signature, signature_beside
from fiat.ports.deploy import DeployRequest, DeployTarget
from fiat.store.store import Store


def bring(
    store: Store,
    target: DeployTarget,
    request: DeployRequest,
    run: str,
    inputs: Mapping[str, str] | None = None,
    *,
    mend: bool = False,
) -> bool:
    """Make a target have a package of the store.

    A numbered deploy is told to the target even when it has the package: else an older one that stood still could still
    go ahead.

    Args:
        store: has the package.
        target: the plugin.
        request: what is wanted; its `package` is filled in here.
        run: id of the run, for scratch folders.
        inputs: dataset name to digest: what the target reads, laid out for it.
        mend: tell the target even when it says that it has the package.

    Returns:
        Whether the target had it already.

    Raises:
        EnvironmentFault: the package is no longer what was judged, or not signed as the target asks for, or the target has
            something else afterwards.
        FiatError: whatever the target says.
    """
    was_there = target.observe(request) == request.digest
    if was_there and request.generation == 0 and not mend:
        return True
    step = f"deploy.{request.target}"
    try:
        folder = store.work.make(run, step, 1)
        package = _checked(store, request.digest, folder / "package")
        carry_signature(kept_signature(store.root, request.digest), package)
        if request.settings.get("signed"):
            _require(request, package)
        laid_out = {name: folder / f"data.{name}" for name in inputs or {}}
        for name, digest in (inputs or {}).items():
            store.artifacts.materialize(digest, laid_out[name])
        wanted = replace(request, package=package, inputs=laid_out or None)
        target.apply(wanted)
        found = target.observe(wanted)
    finally:
        store.work.remove(run, step, 1)
    if found != request.digest:
        raise EnvironmentFault(
            f"target {request.target} took the model and has {found or 'none'} now, not {request.digest}",
            hint="does somebody else put models there?",
        )
    return was_there


def _require(request: DeployRequest, package: Path) -> None:
    """What the operator's key did not sign goes nowhere that asks for signatures."""
    key = request.settings.get("key")
    if not key:
        raise EnvironmentFault(
            f"target {request.target} takes signed packages only, and there is no key to check them with",
            hint="set FIAT_VERIFY_KEY; on a runner verify_key in its settings",
        )
    require_signature(package, signature_beside(package), Path(str(key)), digest=request.digest)


def _checked(store: Store, digest: str, folder: Path) -> Path:
    """The package as a folder, every byte read again: what was judged, and nothing that came in its place since."""
    if not store.artifacts.verify(digest):
        raise EnvironmentFault(
            "the package is not what it was when it was judged, so nothing is deployed",
            hint="run again: it is made anew",
        )
    store.artifacts.materialize(digest, folder)
    return folder
