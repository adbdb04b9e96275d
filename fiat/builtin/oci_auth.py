"""Credentials for registries, from the files that `podman login` and `docker login` write, and the tokens they buy.

A credential in such a file belongs to one registry, so no spec can have it sent elsewhere.

Source: containers-auth.json(5); Docker "config.json properties"; distribution documentation, "Token Authentication
Specification".
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiat.errors import EnvironmentFault

_HUB_KEYS = ("docker.io", "https://index.docker.io/v1/", "index.docker.io")
_PARAMETER = re.compile(r'([a-zA-Z]+)="([^"]*)"')


@dataclass(frozen=True)
class Challenge:
    """What a registry asks for.

    Attributes:
        scheme: `basic` or `bearer`, lower case.
        realm: address that gives tokens.
        service: name of the registry there.
        scope: what the token must allow, empty when the registry does not say.
    """

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def read_challenge(header: str) -> Challenge:
    """The challenge in a `WWW-Authenticate` header."""
    scheme, _, rest = header.strip().partition(" ")
    said = dict(_PARAMETER.findall(rest))
    return Challenge(scheme.lower(), said.get("realm", ""), said.get("service", ""), said.get("scope", ""))


def basic_credential(env: Mapping[str, str], registry: str, repository: str, *, confined: bool) -> str:
    """The value of `Authorization: Basic` for a repository; empty when no file has a credential for it.

    Args:
        env: names the files: `REGISTRY_AUTH_FILE`; at a desk also the usual places of `XDG_RUNTIME_DIR`, `HOME` and
            `DOCKER_CONFIG`.
        registry: as people say it.
        repository: in it.
        confined: only the file that the operator names is looked at.

    Raises:
        EnvironmentFault: a file is there and can't be read.
    """
    for path in _files(env, confined=confined):
        try:
            known = json.loads(path.read_bytes())
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise EnvironmentFault(
                f"the credentials in {path} can't be read: {type(error).__name__}",
                hint="`podman login` or `docker login` writes it",
            ) from None
        if found := _found(known, registry, repository):
            return found
    return ""


def _files(env: Mapping[str, str], *, confined: bool) -> list[Path]:
    """In the order in which podman and skopeo look."""
    if named := env.get("REGISTRY_AUTH_FILE"):
        return [Path(named)]
    if confined:
        return []
    home = Path(env["HOME"]) if env.get("HOME") else None
    places = [
        Path(env["XDG_RUNTIME_DIR"]) / "containers" / "auth.json" if env.get("XDG_RUNTIME_DIR") else None,
        home / ".config" / "containers" / "auth.json" if home else None,
        Path(env["DOCKER_CONFIG"]) / "config.json" if env.get("DOCKER_CONFIG") else None,
        home / ".docker" / "config.json" if home else None,
    ]
    return [place for place in places if place is not None]


def _found(known: Any, registry: str, repository: str) -> str:
    """The longest key that the repository lies below."""
    entries = known.get("auths") if isinstance(known, Mapping) else None
    if not isinstance(entries, Mapping):
        return ""
    parts = repository.split("/")
    keys = ["/".join((registry, *parts[:depth])) for depth in range(len(parts), -1, -1)]
    keys += [
        f"{scheme}://{registry}{tail}" for scheme in ("https", "http") for tail in ("", "/", "/v1/", "/v2/")
    ]
    keys += _HUB_KEYS if registry == "docker.io" else ()
    for key in keys:
        entry = entries.get(key)
        if isinstance(entry, Mapping) and (said := str(entry.get("auth") or "")):
            return said
        if isinstance(entry, Mapping) and entry.get("username"):
            pair = f"{entry['username']}:{entry.get('password', '')}"
            return base64.b64encode(pair.encode()).decode("ascii")
    return ""
