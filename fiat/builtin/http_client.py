"""The one HTTP client for everything that goes out: checked and pinned addresses, caps on everything.

Only `http` and `https`; no credentials in URLs; no proxy unless one is given; redirects are followed a few times, each
checked like the first address, never from https to http, and without the caller's own headers once the host changes.
What writes is never sent on to another host.
"""

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import SplitResult, urljoin

from fiat.builtin.http_address import (
    Connect,
    Resolve,
    checked_addresses,
    connect_address,
    resolve_name,
)
from fiat.builtin.http_proxy import Proxy, check_proxied, proxy_for
from fiat.builtin.http_socket import TimedSocket
from fiat.builtin.http_url import checked_url, same_origin, shown_url
from fiat.errors import EnvironmentFault, SpecError
from fiat.ports.confinement import host_granted

_REDIRECTS = (301, 302, 303, 307, 308)
_SAME_METHOD = (307, 308)
_HEADER_TIMEOUT_S = 60.0
_HEADERS = {"User-Agent": "fiat", "Accept-Encoding": "identity", "Connection": "close"}
_SAFE_ELSEWHERE = ("Range", "If-Range", "Accept")


@dataclass(frozen=True)
class HttpPolicy:
    """What the operator allows.

    Attributes:
        allow_private_hosts: private, loopback and link-local addresses may be reached.
        max_bytes: most bytes of a body.
        timeout_s: most seconds that one exchange may take, from connecting to the last byte.
        idle_timeout_s: most seconds without a byte.
        max_redirects: how many redirects are followed.
        proxies: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, in either case; nothing is read from the environment.
        hosts: the only hosts that may be reached, redirects included; `*.example.org` stands for every name below
            `example.org`; empty for any.
        ca_file: PEM file of the only certificate authorities to trust; empty for the system's.
    """

    allow_private_hosts: bool = False
    max_bytes: int = 10 * 1024**3
    timeout_s: float = 6 * 3600.0
    idle_timeout_s: float = 30.0
    max_redirects: int = 5
    proxies: Mapping[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    ca_file: str = ""


class BrokenTransfer(Exception):
    """The connection failed or stood still: another try may help."""


class HttpAnswer:
    """A response whose body is read piece by piece; use it in a `with`.

    Attributes:
        url: where it came from, after redirects.
        status: HTTP status, no redirect.
        headers: by lower-case name.
        length: bytes of the body as announced, None when it is not.
    """

    def __init__(self, url: str, response: http.client.HTTPResponse, timed: TimedSocket) -> None:
        self.url = url
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.length: int | None = response.length
        self._response = response
        self._timed = timed
        self._n_read = 0

    def __enter__(self) -> "HttpAnswer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._response.close()
        self._timed.end()

    def read(self, size_bytes: int) -> bytes:
        """The next bytes of the body, at most so many; empty at its end.

        Raises:
            BrokenTransfer: the connection broke, stood still, took too long, or ended before the announced length.
        """
        left = None if self.length is None else self.length - self._n_read
        if left == 0:
            return b""
        try:
            data = self._response.read1(size_bytes if left is None else min(size_bytes, left))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise BrokenTransfer(_words(error)) from error
        if not data and left:
            raise BrokenTransfer(f"it ended after {self._n_read:,} of {self.length:,} bytes")
        self._n_read += len(data)
        return data


class HttpClient:
    """Makes requests under a policy. Holds no connection between them.

    Args:
        policy: what is allowed.
        resolve: addresses of a name.
        connect: a TCP connection to an address.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        policy: HttpPolicy,
        *,
        resolve: Resolve = resolve_name,
        connect: Connect = connect_address,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.policy = policy
        self._resolve, self._connect, self._clock = resolve, connect, clock

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> HttpAnswer:
        """GET a URL, following redirects; the answer's body is not read yet.

        Raises:
            SpecError: the URL, or one that it redirects to, is not allowed, or a header is malformed.
            EnvironmentFault: the name can't be resolved, or the certificate is not to be trusted.
            BrokenTransfer: no connection, no answer in time, or no proper HTTP.
        """
        own_headers = dict(headers or {})
        current = url
        for _ in range(self.policy.max_redirects + 1):
            parts = checked_url(current)
            answer = self._exchange(parts, own_headers)
            if answer.status not in _REDIRECTS:
                return answer
            with answer:
                target = answer.headers.get("location", "")
            if not target:
                raise BrokenTransfer(f"{parts.hostname} redirects without saying where to")
            current = urljoin(current, target)
            following = checked_url(current)
            if parts.scheme == "https" and following.scheme == "http":
                raise SpecError(f"{parts.hostname} redirects from https to http: {shown_url(current)}")
            if not same_origin(following, parts):
                own_headers = {name: value for name, value in own_headers.items() if name in _SAFE_ELSEWHERE}
        raise SpecError(f"{shown_url(url)} redirects more than {self.policy.max_redirects} times")

    def send(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> HttpAnswer:
        """Make a request that writes; the answer's body is not read yet.

        A redirect is followed only when it keeps the method (307, 308) and stays with the same scheme, host and port.

        Args:
            method: `POST`, `PATCH`, `PUT` or `DELETE`.
            url: where to.
            headers: of the caller.
            body: what to send, None for none.

        Raises:
            SpecError: the URL is not allowed, or it redirects elsewhere.
            EnvironmentFault: as `get`.
            BrokenTransfer: as `get`; whether the request was done is not known then.
        """
        current = url
        for _ in range(self.policy.max_redirects + 1):
            parts = checked_url(current)
            answer = self._exchange(parts, headers or {}, method, body)
            if answer.status not in _REDIRECTS:
                return answer
            with answer:
                current = urljoin(current, answer.headers.get("location", ""))
            if answer.status not in _SAME_METHOD or not same_origin(checked_url(current), parts):
                raise SpecError(
                    f"{shown_url(url)} redirects what is written to {shown_url(current)}",
                    hint="set the new address",
                )
        raise SpecError(f"{shown_url(url)} redirects more than {self.policy.max_redirects} times")

    def _exchange(
        self, parts: SplitResult, headers: Mapping[str, str], method: str = "GET", body: bytes | None = None
    ) -> HttpAnswer:
        host = str(parts.hostname)
        length = {"Content-Length": str(len(body or b""))} if method != "GET" else {}
        sent = _checked_headers({"Host": parts.netloc, **_HEADERS, **length, **headers}, host)
        timed: TimedSocket | None = None
        try:
            proxy = proxy_for(parts.scheme, host, self.policy.proxies)
            timed = self._open(parts, host, proxy)
            connection = http.client.HTTPConnection(host)
            connection.sock = timed  # all of a socket that it uses
            target = _target(parts)
            absolute = proxy is not None and parts.scheme == "http"
            connection.putrequest(
                method,
                f"http://{parts.netloc}{target}" if absolute else target,
                skip_host=True,
                skip_accept_encoding=True,
            )
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            timed.limit(self.policy.timeout_s)
            return HttpAnswer(parts.geturl(), response, timed)
        except ssl.SSLCertVerificationError as error:
            message = f"the certificate of {host} is not to be trusted: {error.verify_message}"
            raise EnvironmentFault(message, hint="SSL_CERT_FILE names other authorities") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            if timed is not None:
                timed.end()
            raise BrokenTransfer(f"{host}: {_words(error)}") from error

    def _open(self, parts: SplitResult, host: str, proxy: Proxy | None) -> TimedSocket:
        """Connect to a checked address, or to the operator's proxy, with TLS where the URL says so."""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        allow_private = self.policy.allow_private_hosts
        if not host_granted(host, self.policy.hosts):
            raise SpecError(f"the operator does not grant the host {host}")
        if proxy is None:
            addresses = checked_addresses(host, port, self._resolve, allow_private=allow_private)
            raw = self._first(addresses, port)
        else:
            # The proxy resolves names; what can be told from the name itself is still checked.
            check_proxied(host, port, allow_private=allow_private)
            raw = self._first([proxy.host], proxy.port)
        timed = TimedSocket(raw, self.policy.idle_timeout_s, self._clock)
        timed.limit(min(_HEADER_TIMEOUT_S, self.policy.timeout_s))
        try:
            if parts.scheme == "https":
                if proxy is not None:
                    proxy.tunnel(timed, host, port)
                timed.secure(host, self.policy.ca_file)
        except (OSError, ValueError, EnvironmentFault):
            timed.end()
            raise
        return timed

    def _first(self, addresses: list[str], port: int) -> socket.socket:
        failure = OSError("no address")
        for address in addresses:
            try:
                return self._connect(address, port, self.policy.idle_timeout_s)
            except OSError as error:
                failure = error
        raise failure


def _checked_headers(headers: Mapping[str, str], host: str) -> Mapping[str, str]:
    """Headers as they are; http.client would refuse a malformed one too, and show its value, maybe a credential."""
    for name, value in headers.items():
        if not value.isascii() or not value.isprintable():
            raise SpecError(f"the header {name} for {host} holds characters that don't belong there")
    return headers


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return str(error) or "it stood still for too long"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
