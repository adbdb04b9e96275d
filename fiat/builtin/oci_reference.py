"""Names of images: `digits:1.2`, and `registry.example.org/team/digits` to push to.

Source: OCI distribution specification 1.1, "Pulling manifests" (grammar of names and tags).
"""

import ipaddress
import re
from dataclasses import dataclass

from fiat.errors import SpecError

_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_HOST = re.compile(r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?")
_LATEST = "latest"
_HUB, _HUB_API = "docker.io", "registry-1.docker.io"


@dataclass(frozen=True)
class PushPlace:
    """Where an image is pushed to.

    Attributes:
        scheme: `https`, or `http`.
        registry: host, with its port if any, as people say it.
        repository: such as `team/digits`.
        tag: such as `1.2`.
    """

    scheme: str
    registry: str
    repository: str
    tag: str

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}:{self.tag}"

    @property
    def root(self) -> str:
        """Address of the repository's part of the API."""
        host = _HUB_API if self.registry == _HUB else self.registry
        return f"{self.scheme}://{host}/v2/{self.repository}"


def split_tag(text: str, key: str) -> tuple[str, str]:
    """Name and tag of an image; `latest` when it says none.

    Args:
        text: such as `digits:1.2`.
        key: of the spec, for messages.

    Raises:
        SpecError: it is no name of an image.
    """
    name, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        name, tag = text, _LATEST
    host, slash, rest = name.partition("/")
    is_host = bool(slash) and ("." in host or ":" in host or host == "localhost")
    path = rest if is_host else name
    if not _NAME.fullmatch(path) or (is_host and not _HOST.fullmatch(host)) or len(path) > 255:
        raise SpecError(
            f"{key}: {text!r} is no name of an image",
            hint="lower case letters, digits and `/`, then `:` and a tag, such as digits:1.2",
        )
    if not _TAG.fullmatch(tag):
        raise SpecError(
            f"{key}: {tag!r} is no tag of an image",
            hint="letters, digits, `.`, `_` and `-`; outside git ${commit} is empty",
        )
    return name, tag


def push_place(text: str, tag: str, key: str) -> PushPlace:
    """Where `push:` leads.

    Args:
        text: registry and repository; `http://` before it for a registry without TLS, which those of this machine are
            taken for anyway.
        tag: that the image has, used when the text names none.
        key: of the spec, for messages.

    Raises:
        SpecError: it names no registry and repository.
    """
    scheme, _, rest = text.rpartition("://")
    name, said = split_tag(rest, key)
    registry, _, repository = name.partition("/")
    if (
        scheme not in ("", "http", "https")
        or not repository
        or not ("." in registry or ":" in registry or registry == "localhost")
    ):
        raise SpecError(
            f"{key}: {text!r} names no registry and repository",
            hint="such as registry.example.org/team/digits",
        )
    scheme = scheme or ("http" if _is_here(registry) else "https")
    return PushPlace(scheme, registry, repository, said if rest != name else tag)


def _is_here(registry: str) -> bool:
    host = re.sub(r":[0-9]+$", "", registry).strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
