"""Which URLs may be asked for, and how they are shown."""

from urllib.parse import SplitResult, urlsplit

from fiat.errors import SpecError

_LONGEST_URL = 8192


def checked_url(url: str) -> SplitResult:
    """The parts of a URL that may be asked for.

    Raises:
        SpecError: not http or https, no host, credentials in it, or characters that don't belong there.
    """
    if (
        len(url) > _LONGEST_URL
        or not url.isascii()
        or any(letter <= " " or letter in "\\\x7f" for letter in url)
    ):
        raise SpecError(f"{url[:80]!r} is no URL", hint="percent-encode special characters")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise SpecError(f"{url[:80]!r} is no URL: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise SpecError(f"{shown_url(url)} is not an address that starts with https:// or http://")
    if "@" in parts.netloc:
        raise SpecError(
            f"the URL of {host} holds credentials", hint="URLs are shown in logs: use a public or signed URL"
        )
    return parts


def shown_url(url: str) -> str:
    """A URL without what may be secret: credentials, query, fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def same_origin(one: SplitResult, other: SplitResult) -> bool:
    """Whether two URLs lead to the same scheme, host and port."""
    return _origin(one) == _origin(other)


def _origin(parts: SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
