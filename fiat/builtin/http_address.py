"""Which addresses Fiat may talk to, and connections that go to a checked address and no other.

A name is resolved once; every address it has is checked; the connection goes to one of these addresses while TLS and
the `Host` header keep the name. A second answer of the name server is never asked for, so it can't matter.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence

from fiat.errors import EnvironmentFault, SpecError

Resolve = Callable[[str, int], Sequence[str]]
Connect = Callable[[str, int, float], socket.socket]
_NAME = re.compile(
    r"(?=.{1,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.?"
)
_MORE = tuple(
    ipaddress.ip_network(block)
    for block in ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "3fff::/20", "5f00::/16", "fec0::/10")
)
"""Blocks of the registries that `ipaddress` of older Python versions does not know."""
_NUMBER = re.compile(r"(0x[0-9a-f]*|\d+)(\.(0x[0-9a-f]*|\d+))*\.?")


def resolve_name(host: str, port: int) -> list[str]:
    """Addresses of a host name, as the system resolves it; the resolver that is used outside tests.

    Raises:
        EnvironmentFault: the name has no address, or the resolver does not answer.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise EnvironmentFault(
            f"{host} can't be resolved: {error}", hint="is the name right, is there a network?"
        ) from error
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def connect_address(address: str, port: int, timeout_s: float) -> socket.socket:
    """A TCP connection to an address; the connector that is used outside tests."""
    return socket.create_connection((address, port), timeout_s)


def checked_addresses(host: str, port: int, resolve: Resolve, *, allow_private: bool) -> list[str]:
    """Addresses of a host that may be connected to.

    Args:
        host: name or address from a URL, without brackets, lower case.
        port: TCP port.
        resolve: gives the addresses of a name; called at most once.
        allow_private: the operator lets private addresses be reached.

    Raises:
        SpecError: the host is an address in disguise (decimal, octal, hexadecimal, too short), no proper name, or one
            of its addresses is not public.
        EnvironmentFault: the name can't be resolved.
    """
    literal = _literal(host)
    if literal is None and _NUMBER.fullmatch(host):
        raise SpecError(
            f"{host} is an address written in an unusual way", hint="write it as four decimal numbers"
        )
    if literal is None and not _NAME.fullmatch(host):
        raise SpecError(f"{host!r} is no host name")
    addresses = [host] if literal is not None else list(resolve(host, port))
    if not addresses:
        raise EnvironmentFault(f"{host} has no address")
    for address in addresses:
        if not allow_private and not is_public(address):
            shown = host if address == host else f"{host} ({address})"
            raise SpecError(
                f"{shown} is not a public address",
                hint="if it is meant: FIAT_ALLOW_PRIVATE_HOSTS=1 at a desk; in a runner's settings "
                "`allow_private_hosts: true` for data, `private_api: true` for the forge",
            )
    return addresses


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet.

    IPv6 addresses that carry an IPv4 address inside (mapped, compatible, 6to4, Teredo, NAT64) are judged by both.

    Source: the IANA registries of special-purpose addresses (RFC 6890) as `ipaddress` has them; RFC 6052 for NAT64.
    """
    parsed = _literal(address.partition("%")[0])
    if parsed is None or "%" in address:
        return False
    if any(parsed in block for block in _MORE if block.version == parsed.version):
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved
    inner = [parsed.ipv4_mapped, parsed.sixtofour, *(parsed.teredo or ())]
    packed = parsed.packed
    if (
        packed[:12] in (bytes(12), b"\x00\x64\xff\x9b" + bytes(8))
        or packed[:6] == b"\x00\x64\xff\x9b\x00\x01"
    ):
        inner.append(ipaddress.IPv4Address(packed[12:]))
    if any(part is not None and not is_public(str(part)) for part in inner):
        return False
    if parsed.ipv4_mapped is not None:
        return True
    local = parsed.is_multicast or parsed.is_reserved or parsed.is_site_local
    nat64 = packed[:12] == b"\x00\x64\xff\x9b" + bytes(8)
    return (parsed.is_global and not local) or nat64


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
