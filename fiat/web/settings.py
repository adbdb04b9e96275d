"""What the web server is told: frozen values that the runner's settings are turned into."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

from fiat.errors import SpecError

SHORTEST_SECRET = 16
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class WebSettings:
    """Everything that `create_app` needs beside the door.

    Attributes:
        url: public address without a slash at its end, such as `https://fiat.example`; what links point to.
        key: 32 or more random bytes that sign sessions and forms. One of its own for each process is fine: people
            then log in again after a restart; several runners behind one address share one.
        host: address that the server listens on.
        allowed_hosts: names, beside that of `url`, `host` and loopback, by which pages and API may be reached.
        public_read: reading needs no token.
        public_metrics: `/metrics` needs no token; counts on loopback only.
        insecure: webhooks of a forge without any secret are taken unsigned; on loopback only.
        max_body_bytes: largest body of a webhook.
        max_request_bytes: largest body of any other request.
        read_timeout_s: longest time that a body may take to arrive.
        session: how long a browser stays logged in.
        streams: most event streams at a time, all together.
        streams_each: most event streams at a time of one token.
        stream_s: longest life of an event stream; clients then go on where they were.
        heartbeat_s: most silence on an event stream.
        poll_s: pause between two looks at a run that is followed.
        send_timeout_s: how long a follower may leave its piece unread before it is dropped.
    """

    url: str
    key: bytes = field(repr=False)
    host: str = "127.0.0.1"
    allowed_hosts: tuple[str, ...] = ()
    public_read: bool = False
    public_metrics: bool = False
    insecure: bool = False
    max_body_bytes: int = 25 << 20
    max_request_bytes: int = 64 << 10
    read_timeout_s: float = 8.0
    session: timedelta = timedelta(hours=12)
    streams: int = 64
    streams_each: int = 16
    stream_s: float = 1800.0
    heartbeat_s: float = 15.0
    poll_s: float = 0.5
    send_timeout_s: float = 20.0

    @property
    def hosts(self) -> frozenset[str]:
        """Names, lower case and without ports, by which the server may be reached."""
        own = (urlsplit(self.url).hostname or "", self.host, *self.allowed_hosts, *LOOPBACK_NAMES)
        return frozenset(name.lower() for name in own if name)

    @property
    def https(self) -> bool:
        """Whether people reach it by https."""
        return self.url.startswith("https://")

    @property
    def metrics_open(self) -> bool:
        """Whether `/metrics` answers without a token."""
        return self.public_metrics and is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine can reach an address to listen on."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_opening(settings: WebSettings, secrets: Iterable[str]) -> None:
    """Refuse to open doors that anybody could walk through.

    Args:
        settings: as given.
        secrets: all webhook secrets.

    Raises:
        SpecError: a webhook secret or the key is too short, or unsigned webhooks are asked for beyond loopback.
    """
    if settings.insecure and not is_loopback(settings.host):
        raise SpecError(
            f"unsigned webhooks can't be taken at {settings.host}",
            hint="--insecure-dev works on loopback only: set listen.host to 127.0.0.1",
        )
    if any(len(secret) < SHORTEST_SECRET for secret in secrets):
        raise SpecError(
            f"a webhook secret has fewer than {SHORTEST_SECRET} characters",
            hint="python3 -c 'import secrets; print(secrets.token_urlsafe(32))' makes one",
        )
    if len(settings.key) < 32:
        raise SpecError("the key of sessions has fewer than 32 bytes", hint="take secrets.token_bytes(32)")
