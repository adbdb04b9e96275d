"""The first thing that every request meets: names, paths, origins and sizes that can't be right are refused here.

Plain ASGI, since it stands before every webhook.
"""

import logging
import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fiat.web.problems import Problem
from fiat.web.settings import WebSettings

MOST_HEADERS = 100
MOST_HEADER_BYTES = 32 << 10
MOST_PATH_BYTES = 2 << 10
MOST_QUERY_BYTES = 64 << 10
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
API_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# Encoded slashes, backslashes, percent signs and NULs: nothing of ours has a name with those, so whoever sends one hopes
# that two programs read it differently.
_TRICKS = re.compile(rb"%(?:2f|5c|25|00)|\\|//", re.IGNORECASE)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_log = logging.getLogger("fiat.web")


class Gate:
    """Checks requests and puts the headers on responses.

    Args:
        app: what comes behind it.
        settings: names by which we may be reached.
    """

    def __init__(self, app: ASGIApp, settings: WebSettings) -> None:
        self._app = app
        self._hosts = settings.hosts
        self._origin = _origin(settings.url)
        self._headers = _safe_headers(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def send_safely(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                given = message.setdefault("headers", [])
                names = {name.lower() for name, _ in given}
                message["headers"] = [*given, *(pair for pair in self._headers if pair[0] not in names)]
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, receive, send_safely)
        except Problem as problem:
            await problem.response()(scope, receive, send_safely)
        except Exception:
            if begun:
                raise
            _log.exception("%s failed", scope["method"])
            mistake = Problem(500, "Fiat made a mistake", "its log tells more")
            await mistake.response()(scope, receive, send_safely)

    def _check(self, scope: Scope) -> None:
        headers = _headers(scope)
        _check_path(scope)
        path: str = scope["path"]
        # A signature or a token says more than a name does; probes and forges on the same network use addresses.
        if not _is_machine_path(path):
            self._check_host(headers)
        if scope["method"] not in SAFE_METHODS and not path.startswith("/webhook"):
            self._check_origin(headers)
        if headers.get("range", "").count(",") > 0:
            raise Problem(416, "ranges are served one at a time")

    def _check_host(self, headers: Mapping[str, str]) -> None:
        host = headers.get("host", "")
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            name = ""
        if name not in self._hosts:
            raise Problem(
                421, "this server has another name", "name it in listen.url or listen.allowed_hosts"
            )

    def _check_origin(self, headers: Mapping[str, str]) -> None:
        """A browser says where a request comes from; other programs say nothing, and bring a token."""
        site = headers.get("sec-fetch-site", "")
        origin = headers.get("origin")
        own = (self._origin, *(f"{scheme}://{headers.get('host', '')}" for scheme in ("http", "https")))
        if site not in ("", "same-origin", "none") or (origin is not None and origin.lower() not in own):
            raise Problem(403, "requests from other sites are refused")


def _headers(scope: Scope) -> Mapping[str, str]:
    raw = scope["headers"]
    if len(raw) > MOST_HEADERS or sum(len(name) + len(value) for name, value in raw) > MOST_HEADER_BYTES:
        raise Problem(431, "the request has too many or too large headers")
    headers: dict[str, str] = {}
    for name, value in raw:
        key = name.decode("latin-1").lower()
        if key in headers and key in ("host", "origin", "authorization", "content-length", "content-type"):
            raise Problem(400, f"the header {key} came twice")
        headers[key] = value.decode("latin-1")
    return headers


def _check_path(scope: Scope) -> None:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    if len(raw) > MOST_PATH_BYTES or len(scope["query_string"]) > MOST_QUERY_BYTES:
        raise Problem(400, "the address is too long")
    path = unquote(raw.split(b"?")[0].decode("latin-1"), errors="surrogateescape")
    segments = path.split("/")
    if _TRICKS.search(raw.split(b"?")[0]) or _CONTROLS.search(path) or "." in segments or ".." in segments:
        raise Problem(400, "the address has parts that no address of ours has")


def _is_machine_path(path: str) -> bool:
    return path in ("/healthz", "/readyz", "/metrics") or path == "/webhook" or path.startswith("/webhook/")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _safe_headers(settings: WebSettings) -> list[tuple[bytes, bytes]]:
    """What every response says unless its route said otherwise."""
    headers = {
        "content-security-policy": API_POLICY,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
        "cache-control": "no-store",
    }
    if settings.https:
        headers["strict-transport-security"] = "max-age=31536000"
    return [(name.encode(), value.encode()) for name, value in headers.items()]
