"""Signatures over the raw body of a webhook: HMAC-SHA256, compared in constant time, by any of several secrets."""

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence

_HEX = re.compile(r"[0-9a-f]{64}")
_NOBODYS_KEY = b"there is no secret"


def signed_hex(body: bytes, signature: str, secrets: Sequence[str]) -> bool:
    """Whether `signature` is the HMAC-SHA256 of the body, as 64 lower-case hex digits, by one of the secrets.

    Every secret is tried whatever the others gave, and without secrets the same work is done for nothing, so that the
    time tells neither which secret fitted nor whether there are any. Empty secrets never count.
    """
    keys = as_keys(secrets)
    found = [hmac.new(key, body, hashlib.sha256).hexdigest() for key in keys or [_NOBODYS_KEY]]
    shaped = signature if _HEX.fullmatch(signature) else "-" * 64
    return any_equal(shaped, found) and bool(keys)


def signed_hub(body: bytes, header: str, secrets: Sequence[str]) -> bool:
    """Like `signed_hex`, for GitHub's `X-Hub-Signature-256: sha256=<hex>`.

    Source: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    """
    prefix, _, digest = header.partition("=")
    return signed_hex(body, digest if prefix == "sha256" else "", secrets)


def any_equal(given: str, candidates: Iterable[str]) -> bool:
    """Whether one of the candidates is the given text; all are compared, in a time that not even tells lengths."""
    shown = _digest(given)
    matches = [hmac.compare_digest(shown, _digest(text)) for text in candidates]
    return any(matches)


def as_keys(secrets: Sequence[str]) -> list[bytes]:
    """The bytes of each secret that is not empty."""
    return [secret.encode("utf-8", "surrogateescape") for secret in secrets if secret]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
