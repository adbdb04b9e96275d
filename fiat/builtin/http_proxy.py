"""The operator's proxy: which requests go through it, and the tunnel for https."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from fiat.builtin.http_address import checked_addresses
from fiat.builtin.http_socket import TimedSocket
from fiat.errors import EnvironmentFault, SpecError

_LONGEST_ANSWER = 16 * 1024
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".localdomain", ".home.arpa")


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy.

    Attributes:
        host: name or address; the operator's, so it may be private.
        port: TCP port.
        authorization: value of `Proxy-Authorization`, empty for none.
    """

    host: str
    port: int
    authorization: str = ""

    def tunnel(self, timed: TimedSocket, host: str, port: int) -> None:
        """Ask the proxy for a connection to a host.

        Source: RFC 9110, section 9.3.6 (CONNECT).

        Raises:
            OSError: it refuses, or answers with something else.
        """
        name = f"[{host}]" if ":" in host else host
        lines = [f"CONNECT {name}:{port} HTTP/1.1", f"Host: {name}:{port}"]
        if self.authorization:
            lines.append(f"Proxy-Authorization: {self.authorization}")
        timed.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
        answer, byte = bytearray(), bytearray(1)
        # A byte at a time: what follows the answer belongs to TLS.
        while not answer.endswith(b"\r\n\r\n") and len(answer) < _LONGEST_ANSWER:
            if not timed.recv_into(byte):
                break
            answer += byte
        status = answer.split(b"\r\n", 1)[0].split()
        if len(status) < 2 or not status[0].startswith(b"HTTP/1.") or not status[1].startswith(b"2"):
            said = answer.split(b"\r\n", 1)[0][:80].decode("ascii", "replace")
            raise OSError(f"the proxy {self.host} refused: {said}")


def proxy_for(scheme: str, host: str, settings: Mapping[str, str]) -> Proxy | None:
    """The proxy for a request, or None.

    Args:
        scheme: `http` or `https`.
        host: lower case.
        settings: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` (hosts and domains, comma-separated), in either case.

    Raises:
        EnvironmentFault: the proxy's address can't be read.
    """
    values = {name.upper(): value for name, value in settings.items() if value}
    address = values.get(f"{scheme.upper()}_PROXY")
    if not address or _is_direct(host, values.get("NO_PROXY", "")):
        return None
    parts = urlsplit(address if "://" in address else f"http://{address}")
    try:
        port = parts.port or 80
    except ValueError:
        port = 0
    if parts.scheme != "http" or not parts.hostname or not port:
        raise EnvironmentFault(f"{scheme.upper()}_PROXY is no address such as http://proxy:3128")
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
    basic = f"Basic {base64.b64encode(login.encode()).decode()}" if login else ""
    return Proxy(parts.hostname, port, basic)


def check_proxied(host: str, port: int, *, allow_private: bool) -> None:
    """What can be told from a host itself before a proxy resolves it.

    Raises:
        SpecError: an address that is not public or in disguise, or a name of the local network.
    """
    local = "." not in host.rstrip(".") and ":" not in host
    if not allow_private and (local or host.rstrip(".").endswith(_LOCAL_NAMES)):
        raise SpecError(f"{host} is a name of the local network", hint="FIAT_ALLOW_PRIVATE_HOSTS=1 allows it")
    checked_addresses(host, port, lambda name, _: ["1.1.1.1"], allow_private=allow_private)


def _is_direct(host: str, no_proxy: str) -> bool:
    rules = [rule.strip().lower().lstrip("*").lstrip(".") for rule in no_proxy.split(",")]
    return no_proxy.strip() == "*" or any(
        rule and (host == rule or host.endswith(f".{rule}")) for rule in rules
    )
