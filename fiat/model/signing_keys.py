"""Keys that sign packages and statements: elliptic curves (P-256, P-384, P-521) in PEM, what OpenSSF Model Signing takes."""

import base64
import hashlib
import importlib
import os
from pathlib import Path
from typing import Any

from fiat.errors import EnvironmentFault

PUBLIC_SUFFIX = ".pub"
_HASHES = {"secp256r1": "SHA256", "secp384r1": "SHA384", "secp521r1": "SHA512"}


def new_key(path: Path) -> Path:
    """Make a key pair: the private key at `path`, for its owner only, and the public one at `path.pub`.

    Returns:
        Path of the public key.

    Raises:
        EnvironmentFault: one of the files is there already, the disk refused, or the library is not installed.
    """
    curves, codes = _library("primitives.asymmetric.ec"), _library("primitives.serialization")
    private_key = curves.generate_private_key(curves.SECP256R1())
    secret = private_key.private_bytes(codes.Encoding.PEM, codes.PrivateFormat.PKCS8, codes.NoEncryption())
    public = path.with_name(path.name + PUBLIC_SUFFIX)
    if public.exists():
        raise EnvironmentFault(f"there is a file {public} already", hint="choose another path")
    _write_new(path, secret, 0o600)
    _write_new(public, _pem(private_key.public_key()), 0o644)
    return public


def read_private_key(path: Path) -> Any:
    """The private key of a PEM file.

    Raises:
        EnvironmentFault: it can't be read, has a password, or is of a kind that signs no models.
    """
    codes = _library("primitives.serialization")
    try:
        key = codes.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise _bad_key(path, "private", _reason(error)) from None
    return _checked(key, path, "private")


def read_public_key(path: Path) -> Any:
    """The public key of a PEM file; a private key's file will not do.

    Raises:
        EnvironmentFault: it can't be read, or is of a kind that signs no models.
    """
    codes = _library("primitives.serialization")
    try:
        key = codes.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _bad_key(path, "public", _reason(error)) from None
    return _checked(key, path, "public")


def key_id(public_key: Any) -> str:
    """SHA-256 of the key's PEM, 64 hex digits: how signatures of OpenSSF Model Signing name it."""
    return hashlib.sha256(_pem(public_key)).hexdigest()


def sign_bytes(private_key: Any, content: bytes) -> bytes:
    """ECDSA over the hash that goes with the curve, in DER."""
    signature: bytes = private_key.sign(content, _algorithm(private_key))
    return signature


def holds(public_key: Any, signature: bytes, content: bytes) -> bool:
    """Whether the key's owner signed the content."""
    invalid = importlib.import_module("cryptography.exceptions").InvalidSignature
    try:
        public_key.verify(signature, content, _algorithm(public_key))
    except invalid:
        return False
    return True


def base64_text(content: bytes) -> str:
    """Standard base64, as JSON documents carry bytes."""
    return base64.b64encode(content).decode("ascii")


def _algorithm(key: Any) -> Any:
    hashes, curves = _library("primitives.hashes"), _library("primitives.asymmetric.ec")
    return curves.ECDSA(getattr(hashes, _HASHES[key.curve.name])())


def _checked(key: Any, path: Path, kind: str) -> Any:
    curve = getattr(getattr(key, "curve", None), "name", "")
    if curve not in _HASHES:
        raise _bad_key(path, kind, "it is on none of the curves P-256, P-384 and P-521")
    return key


def _bad_key(path: Path, kind: str, reason: str) -> EnvironmentFault:
    return EnvironmentFault(
        f"{path} is no {kind} key to sign models with: {reason}",
        hint="`fiat keys new PATH` makes PATH (private) and PATH.pub (public)",
    )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or "it can't be read"
    if isinstance(error, TypeError):
        return "it has a password"
    return "it is no such key in PEM"


def _pem(public_key: Any) -> bytes:
    codes = _library("primitives.serialization")
    pem: bytes = public_key.public_bytes(codes.Encoding.PEM, codes.PublicFormat.SubjectPublicKeyInfo)
    return pem


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
    except FileExistsError:
        raise EnvironmentFault(f"there is a file {path} already", hint="choose another path") from None
    except OSError as error:
        raise EnvironmentFault(f"can't write {path}: {error.strerror}", hint="check its folder") from error


def _library(name: str) -> Any:
    try:
        return importlib.import_module(f"cryptography.hazmat.{name}")
    except ImportError as error:
        raise EnvironmentFault(
            f"keys need the library cryptography, and it can't be loaded: {error}",
            hint="pip install 'fiat-ml[sign]'",
        ) from error
