"""Where a repository is fetched from, and what we show there."""

import base64
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from fiat.errors import SpecError

SAFE_PROTOCOLS = frozenset({"https", "ssh"})
MAX_URL_CHARS = 2000
_PROTOCOLS = frozenset({"https", "ssh", "http", "file"})
_PLAIN = re.compile(r"[!-\[\]-~]+")  # printable ASCII without space and backslash
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\]")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_SCP = re.compile(r"(?:(?P<user>[^@/:]+)@)?(?P<host>[^@/:\[\]]+|\[[^\]]+\]):(?P<path>[^:].*)")


@dataclass(frozen=True)
class Address:
    """A URL taken apart.

    Attributes:
        protocol: `https`, `ssh`, `http` or `file`.
        host: without user and port, lower case; empty for `file`.
        port: None for the protocol's own.
    """

    protocol: str
    host: str
    port: int | None = None


@dataclass(frozen=True)
class Remote:
    """A repository on another machine.

    Attributes:
        url: `https://...`, `ssh://...` or `user@host:path`, without a password.
        user: name beside the token, for HTTP basic authentication.
        token: empty when the repository is public, or ssh is used.
        protocols: what may be spoken; `http` and `file` only where the operator says so.
        ca_file: PEM file of an own certificate authority; empty for the system's.
        proxy: HTTP proxy, empty for none; ours is not inherited.
        ssh_key: file of the private key; empty for those of the account.
        known_hosts: file of host keys; empty for the account's and the machine's.
    """

    url: str
    user: str = "x-access-token"
    token: str = field(default="", repr=False)
    protocols: frozenset[str] = SAFE_PROTOCOLS
    ca_file: str = ""
    proxy: str = ""
    ssh_key: str = ""
    known_hosts: str = ""

    @property
    def address(self) -> Address:
        """Its parts.

        Raises:
            SpecError: see `read_url`.
        """
        return read_url(self.url, self.protocols)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown, in no form."""
        proxy = urlsplit(self.proxy).password if self.proxy else ""
        return tuple(secret for secret in (self.token, proxy) if secret)

    def config(self) -> Mapping[str, str]:
        """Settings of git to reach it; the token goes to this host alone."""
        address = self.address
        settings = {"http.proxy": self.proxy}
        if self.ca_file:
            settings["http.sslCAInfo"] = self.ca_file
        if self.token and address.protocol in ("https", "http"):
            basic = base64.b64encode(f"{self.user}:{self.token}".encode()).decode()
            port = f":{address.port}" if address.port else ""
            place = f"{address.protocol}://{address.host}{port}/"
            settings[f"http.{place}.extraHeader"] = f"Authorization: Basic {basic}"
        return settings

    def variables(self) -> Mapping[str, str]:
        """Environment variables of git to reach it.

        Source: ssh_config(5); the account's configuration, where a ProxyCommand may stand, is not read.
        """
        words = ["ssh", "-F", "none", "-T"]
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "ProxyCommand": "none",
            "PermitLocalCommand": "no",
            "ForwardAgent": "no",
            "ForwardX11": "no",
            "ClearAllForwardings": "yes",
            "ControlMaster": "no",
            "ControlPath": "none",
            "ConnectTimeout": "20",
            "ServerAliveInterval": "15",
            "ServerAliveCountMax": "4",
        }
        if self.known_hosts:
            options |= {"UserKnownHostsFile": self.known_hosts, "GlobalKnownHostsFile": "/dev/null"}
        if self.ssh_key:
            words += ["-i", self.ssh_key]
            options |= {"IdentitiesOnly": "yes", "IdentityAgent": "none"}
        for name, value in options.items():
            words += ["-o", f"{name}={value}"]
        return {"GIT_SSH_COMMAND": shlex.join(words), "GIT_SSH_VARIANT": "ssh"}


def read_url(url: str, protocols: frozenset[str] = SAFE_PROTOCOLS) -> Address:
    """Take a repository's URL apart.

    Args:
        url: as written by a person, or by a repository about its submodules.
        protocols: what may be spoken.

    Raises:
        SpecError: another protocol (such as `file` or `ext::`), a password in it, a host or user that a program could
            take for an option, or characters that no URL has.
    """
    if not url or len(url) > MAX_URL_CHARS or not _PLAIN.fullmatch(url) or url.startswith("-"):
        raise _refused(url, "it is empty, too long, or has characters that no URL has")
    if "::" in url.partition("/")[0]:
        raise _refused(url, "it names a helper program")
    scp = None if "://" in url else _SCP.fullmatch(url)
    if scp:
        return _checked(url, "ssh", scp["user"], None, scp["host"], None, protocols)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused(url, "its host or port is none") from None
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/") or "file" not in protocols:
            raise _refused(url, "file is not spoken")
        return Address("file", "")
    if parts.query or parts.fragment:
        raise _refused(url, "it has a ? or #")
    host = parts.netloc.rpartition("@")[2]
    host = host[: host.index("]") + 1] if host.startswith("[") else host.partition(":")[0]
    return _checked(url, parts.scheme, parts.username, parts.password, host, port, protocols)


def _checked(
    url: str,
    protocol: str,
    user: str | None,
    password: str | None,
    host: str,
    port: int | None,
    protocols: frozenset[str],
) -> Address:
    if protocol not in protocols or protocol not in _PROTOCOLS:
        raise _refused(url, f"{protocol or 'it'} is not spoken", f"use {' or '.join(sorted(protocols))}")
    if password is not None or (user is not None and protocol != "ssh"):
        raise _refused(url, "it holds a user or password", "give the token as a credential instead")
    if user is not None and not _USER.fullmatch(user):
        raise _refused(url, "its user is none")
    if not _HOST.fullmatch(host):
        raise _refused(url, "its host is none")
    return Address(protocol, host.lower(), port)


def _refused(url: str, reason: str, hint: str = "") -> SpecError:
    """An error that shows of the URL only what can't be a password."""
    place = url.rpartition("@")[2] if "@" in url else url
    return SpecError(f"git does not fetch from {place[:100]!a}: {reason}", hint=hint)
