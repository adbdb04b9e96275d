"""Check a package: its files, its digest, its signature, and the statement that says how it was made."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fiat.engine.package_folder import package_folder
from fiat.errors import SignatureFault
from fiat.model.package_files import MANIFEST, damaged_files
from fiat.model.provenance import statement_of
from fiat.model.signing import kept_signature, provenance_beside, signature_beside, verify_package
from fiat.model.signing_keys import key_id, read_public_key
from fiat.store.store import Store
from fiat.wiring.registry_names import Named, folder_digest

State = Literal["pass", "fail", "skipped"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: `files`, `digest`, `signature` or `provenance`.
        state: whether it holds; `skipped` without a key.
        reason: one sentence.
    """

    name: str
    state: State
    reason: str


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        model: its name; empty for a package that this store never released.
        digest: of the package.
        folder: that was looked at.
        key: id of the key; empty without one.
        checks: in order.
    """

    model: str
    digest: str
    folder: Path
    key: str
    checks: tuple[Check, ...]

    @property
    def good(self) -> bool:
        """Whether nothing failed."""
        return all(check.state != "fail" for check in self.checks)


def verify_model(store: Store, named: Named, name: str, key: Path | None) -> Verification:
    """Check a package as it lies in its folder.

    Args:
        store: with releases and signatures.
        named: the package.
        name: as it was asked for: a folder is looked at where it is.
        key: PEM file of the public key; None looks at files and digest alone.

    Raises:
        EnvironmentFault: the package is gone, the key can't be used, or the library is not installed.
    """
    own = (Path(name) / MANIFEST).is_file()
    folder = Path(name).resolve() if own else package_folder(store, named.digest)
    signature = signature_beside(folder) if own else kept_signature(store.root, named.digest)
    if not signature.is_file():
        signature = kept_signature(store.root, named.digest)
    public_key = read_public_key(key) if key else None
    checks = [_check_files(folder), _check_digest(folder, named)]
    if key is None or public_key is None:
        said = "no key was given to check it with" if signature.is_file() else "there is none"
        checks.append(Check("signature", "skipped", said))
        return Verification(named.model, named.digest, folder, "", tuple(checks))
    who = key_id(public_key)
    checks.append(
        _try(
            "signature",
            f"every file is signed by the key {who[:12]}",
            lambda: verify_package(folder, signature, key),
        )
    )
    statement = provenance_beside(signature)
    checks.append(
        _try(
            "provenance",
            "the statement is about this package and signed by the same key",
            lambda: statement_of(statement, folder, public_key, named.digest),
        )
    )
    return Verification(named.model, named.digest, folder, who, tuple(checks))


def _check_files(folder: Path) -> Check:
    broken = damaged_files(folder)
    if broken:
        return Check("files", "fail", f"{', '.join(broken[:3])} missing or not what the manifest says")
    return Check("files", "pass", "every file is what the manifest says")


def _check_digest(folder: Path, named: Named) -> Check:
    found = folder_digest(folder)
    if found != named.digest:
        return Check("digest", "fail", f"the folder has {found}, the release has {named.digest}")
    if not named.model:
        return Check("digest", "pass", f"{found}; no release of this store has it")
    number = named.version.number if named.version else 0
    return Check("digest", "pass", f"{found} is version {number} of {named.model}")


def _try(name: str, good: str, look: Callable[[], object]) -> Check:
    try:
        look()
    except SignatureFault as fault:
        return Check(name, "fail", fault.message)
    return Check(name, "pass", good)
