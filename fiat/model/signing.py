"""Signatures of packages: OpenSSF Model Signing with a key, beside the package, so that its digest stays.

`<folder>.sig` is a Sigstore bundle that `model_signing verify` reads too; `<folder>.provenance.json` says how the package
was made (`provenance.py`), signed with the same key. Also a program, because the library is heavy:

    python -m fiat.model.signing verify FOLDER SIGNATURE KEY [DIGEST]
"""

import importlib
import json
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiat.errors import EnvironmentFault, FiatError, SignatureFault
from fiat.model.package_files import damaged_files, package_files
from fiat.model.provenance import statement_of
from fiat.model.signing_keys import key_id, read_private_key, read_public_key

SIGNATURE_SUFFIX, PROVENANCE_SUFFIX = ".sig", ".provenance.json"
BESIDE = (SIGNATURE_SUFFIX, PROVENANCE_SUFFIX)
"""Ends of the names of what lies beside a signed package."""


@dataclass(frozen=True)
class Verified:
    """What a signature that holds says.

    Attributes:
        key: id of the key that signed, 64 hex digits.
        files: names of the signed files, sorted.
        digest: of the package that the provenance statement is about.
    """

    key: str
    files: tuple[str, ...]
    digest: str = ""


def signature_beside(folder: Path) -> Path:
    """Where the signature of a package folder lies."""
    return folder.with_name(folder.name + SIGNATURE_SUFFIX)


def provenance_beside(signature: Path) -> Path:
    """Where the provenance statement of a signature lies."""
    return signature.with_name(signature.name.removesuffix(SIGNATURE_SUFFIX) + PROVENANCE_SUFFIX)


def kept_signature(root: Path, digest: str) -> Path:
    """Where a store keeps the signature of a package; the statement lies beside it.

    Args:
        root: folder of the store.
        digest: of the package.
    """
    return root / "signatures" / f"{digest.removesuffix('.dir')}{SIGNATURE_SUFFIX}"


def carry_signature(signature: Path, folder: Path) -> Path | None:
    """Copy a signature and its statement beside a package folder, for those who take the folder elsewhere.

    Returns:
        Where the signature lies now; None when there is none.

    Raises:
        EnvironmentFault: the disk refused.
    """
    beside = signature_beside(folder)
    if not signature.is_file():
        return None
    try:
        for source, target in (
            (provenance_beside(signature), provenance_beside(beside)),
            (signature, beside),
        ):
            if source.is_file():
                draft = target.with_name(f"unfinished.{os.getpid()}.{target.name}")
                shutil.copyfile(source, draft)
                draft.replace(target)
    except OSError as error:
        raise EnvironmentFault(
            f"the signature can't be put beside {folder}: {error.strerror}", hint="free some space"
        ) from error
    return beside


def sign_package(folder: Path, key: Path, out: Path) -> None:
    """Sign every file of a package.

    Args:
        folder: of the package.
        key: PEM file of an EC private key without a password, see `signing_keys.py`.
        out: file that the signature is written to; replaced in one step.

    Raises:
        EnvironmentFault: the library is not installed, the key can't be used, or the disk refused.
    """
    read_private_key(key)
    library = _library("signing")
    draft = out.with_name(f"unfinished.{os.getpid()}.{out.name}")
    try:
        signer = library.Config().use_elliptic_key_signer(private_key=key)
        signer.set_hashing_config(_hashing()).sign(folder, draft)
        draft.replace(out)
    except (OSError, ValueError, TypeError) as error:
        raise EnvironmentFault(
            f"{folder.name} can't be signed with {key}: {_sentence(error)}",
            hint="`fiat keys new PATH` makes a key that works",
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def verify_package(folder: Path, signature: Path, key: Path) -> Verified:
    """Check that a key signed exactly these files.

    Args:
        folder: of the package.
        signature: its signature.
        key: PEM file of the public key.

    Raises:
        SignatureFault: it did not: no signature, another key, a file that is missing, new or changed.
        EnvironmentFault: the key can't be used, or the library is not installed.
    """
    wanted = key_id(read_public_key(key))
    signer = signer_of(signature)
    if signer != wanted:
        raise _refusal(folder, f"it is signed by the key {signer[:12]}, not by {wanted[:12]}", _HINT)
    library = _library("verifying")
    try:
        verifier = library.Config().use_elliptic_key_verifier(public_key=key)
        verifier.set_hashing_config(_hashing()).set_ignore_unsigned_files(False).verify(folder, signature)
    except Exception as error:  # the library has no class of its own for what it refuses
        raise _refusal(folder, f"its signature does not hold: {_sentence(error)}", _HINT) from error
    return Verified(wanted, tuple(package_files(folder)))


def signer_of(signature: Path) -> str:
    """Id of the key that a signature says it is by; whether that is so is another question.

    Raises:
        SignatureFault: there is no signature, or it says nothing of the kind.
    """
    if not signature.is_file():
        package = signature.name.removesuffix(SIGNATURE_SUFFIX)
        raise SignatureFault(
            f"the package {package} is refused: it has no signature",
            hint="`fiat sign MODEL --key FILE` makes one",
        )
    try:
        said = json.loads(signature.read_bytes())["verificationMaterial"]["publicKey"]["hint"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise SignatureFault(f"{signature.name} is no signature by a key", hint=_HINT) from error
    return str(said)


def require_signature(
    folder: Path, signature: Path, key: Path, *, digest: str = "", provenance: Path | None = None
) -> Verified:
    """Check all that a target which asks for signed packages needs to know, before anything is changed there.

    Args:
        folder: of the package.
        signature: its signature.
        key: PEM file of the public key.
        digest: of the package; empty takes the one that the statement is about.
        provenance: the statement; left out: beside the signature.

    Raises:
        SignatureFault: a file is not as the manifest says, the key did not sign these files, or the statement is missing,
            not signed by it, or about another package.
        EnvironmentFault: the key can't be used, or the library is not installed.
    """
    broken = damaged_files(folder)
    if broken:
        raise _refusal(folder, f"{broken[0]} is not what its manifest says", "deploy it again")
    verified = verify_package(folder, signature, key)
    about = statement_of(provenance or provenance_beside(signature), folder, read_public_key(key), digest)
    return Verified(verified.key, verified.files, about)


# The library's words are a list's, whose quotes may be escaped.
_CHANGED = re.compile(r"Hash mismatch for \\*'([^'\\]*)\\*'")
_HINT = "let somebody look at who changed it; `fiat sign MODEL --key FILE` signs it anew"


def _hashing() -> Any:
    """Every file counts, git's too: what is not signed could be put in by anybody."""
    return _library("hashing").Config().set_ignored_paths(paths=(), ignore_git_paths=False)


def _library(name: str) -> Any:
    try:
        return importlib.import_module(f"model_signing.{name}")
    except ImportError as error:
        raise EnvironmentFault(
            f"signatures need the library model-signing, and it can't be loaded: {error}",
            hint="pip install 'fiat-ml[sign]'",
        ) from error


def _refusal(folder: Path, reason: str, hint: str) -> SignatureFault:
    return SignatureFault(f"the package {folder.name} is refused: {reason}", hint=hint)


def _sentence(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    changed = _CHANGED.findall(text)
    if changed:
        return f"{', '.join(sorted(changed)[:3])} changed since"
    return " ".join(text.split()).rstrip(".") or type(error).__name__


def main(words: Sequence[str]) -> int:
    """The program: 0 when the signature holds, else 1 with the reason on standard error."""
    if len(words) not in (4, 5) or words[0] != "verify":
        sys.stderr.write("usage: python -m fiat.model.signing verify FOLDER SIGNATURE KEY [DIGEST]\n")
        return 2
    folder, signature, key = map(Path, words[1:4])
    try:
        require_signature(folder, signature, key, digest=words[4] if len(words) == 5 else "")
    except FiatError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
