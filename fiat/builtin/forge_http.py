"""One forge's API over the one HTTP client: requests, pages, and what goes wrong in words of the loop."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from fiat.builtin.forge_refusal import Refused, said_in
from fiat.builtin.forge_text import one_line, url_path
from fiat.builtin.forge_wait import SECONDARY_WAIT_S, asked_wait_s, number
from fiat.builtin.http_client import BrokenTransfer, HttpAnswer, HttpClient, HttpPolicy
from fiat.builtin.http_url import same_origin
from fiat.errors import EnvironmentFault, SpecError, Stalled, Waiting
from fiat.ports.forge import ForgeRepo

MakeClient = Callable[[HttpPolicy], HttpClient]
MOST_PAGES = 100
_MOST_BYTES = 32 * 1024 * 1024
_TIMEOUT_S = 60.0
_IDLE_S = 20.0
_NEXT = re.compile(r'<([^<>]+)>\s*;[^,]*\brel="?next"?')


@dataclass(frozen=True)
class Reply:
    """An answer that is no refusal.

    Attributes:
        status: HTTP status.
        headers: by lower-case name.
        data: parsed JSON, None when there is no body.
        following: address of the next page, empty when this is the last.
    """

    status: int
    headers: Mapping[str, str]
    data: Any
    following: str = ""


class ForgeHttp:
    """Requests to one forge's API.

    Args:
        repo: which forge, and how.
        title: the forge's name for people.
        make_client: gives the HTTP client for a policy.
        clock: seconds since 1970.
        authorize: headers that show the credential; asked before each request.

    Attributes:
        remaining: as in the port.
        limit: as in the port.
    """

    def __init__(
        self,
        repo: ForgeRepo,
        title: str,
        make_client: MakeClient,
        clock: Callable[[], float],
        authorize: Callable[[], Mapping[str, str]],
    ) -> None:
        self.title = title
        self.remaining: int | None = None
        self.limit: int | None = None
        self.headers: Mapping[str, str] = {}
        self._base = repo.api.rstrip("/")
        self._clock, self._authorize = clock, authorize
        self._known: dict[str, Reply] = {}
        host = urlsplit(self._base).hostname
        policy = HttpPolicy(
            repo.allow_private_hosts,
            max_bytes=_MOST_BYTES,
            timeout_s=_TIMEOUT_S,
            idle_timeout_s=_IDLE_S,
            proxies=repo.proxies,
            hosts=(host,) if host else (),
            ca_file=repo.ca_file,
        )
        self._client = make_client(policy)

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        show: Mapping[str, str] | None = None,
    ) -> Reply:
        """Make a request.

        Args:
            method: HTTP method.
            path: below the API's base, with its query; or a whole address that a page led to.
            body: sent as JSON.
            show: headers that show another credential than the usual one.

        Raises:
            Waiting: limits, 5xx, timeouts, half or unreadable answers.
            Stalled: the address is not allowed, or leads elsewhere.
            Refused: any other status from 400 to 499.
        """
        url = path if path.startswith(("http://", "https://")) else self._base + path
        asked = f"{method} {urlsplit(url).path}"
        headers = {"Accept": "application/json", **(self._authorize() if show is None else show)}
        known = self._known.get(url) if method == "GET" else None
        if known is not None:
            headers["If-None-Match"] = known.headers["etag"]
        status, found, content = self._exchange(method, url, headers, body, asked)
        self.headers = found
        self._count(found)
        if status == 304 and known is not None:
            return known
        self._hold_back(status, found, content, asked)
        try:
            reply = self._read(status, found, content, asked)
            # What was written is shown; a page of some proxy with status 200 is no proof that anything was.
            if method != "GET" and not isinstance(reply.data, Mapping):
                raise TypeError("no object")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise Waiting(f"{self.title}'s answer to {asked} can't be read") from error
        return reply

    def pages(self, path: str, *, remember: bool = False) -> Iterator[list[Any]]:
        """The items of each page of a list.

        Args:
            path: of the first page.
            remember: keep the pages, so that asking again costs nothing while they don't change.

        Raises:
            Stalled: a page leads to another host; and as `call`.
        """
        for _ in range(MOST_PAGES):
            reply = self.call("GET", path)
            url = path if path.startswith("http") else self._base + path
            if remember and "etag" in reply.headers:
                self._known[url] = reply
            yield items_of(reply.data)
            if not reply.following:
                return
            path = self._inside(urljoin(url, reply.following))

    def _inside(self, url: str) -> str:
        try:
            inside = same_origin(urlsplit(url), urlsplit(self._base))
        except ValueError:
            inside = False
        if not inside:
            raise Stalled(
                f"{self.title} leads from one page to the next at another address, {one_line(url, 100)}",
                hint="set `api` to the address that the forge knows as its own",
            )
        return url

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: Mapping[str, Any] | None, asked: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        try:
            if method == "GET":
                answer = self._client.get(url, headers)
            else:
                typed = {**headers, "Content-Type": "application/json"}
                answer = self._client.send(method, url, typed, json.dumps(body or {}).encode("ascii"))
            with answer:
                return answer.status, answer.headers, _whole(answer)
        except BrokenTransfer as error:
            raise Waiting(f"{self.title} did not answer {asked}: {error}") from error
        except EnvironmentFault as error:
            raise Waiting(f"{self.title} is not reached: {error.message}", hint=error.hint) from error
        except SpecError as error:
            raise Stalled(f"{self.title} is not asked: {error.message}", hint=error.hint) from error

    def _count(self, headers: Mapping[str, str]) -> None:
        remaining = number(headers, "x-ratelimit-remaining", "ratelimit-remaining")
        self.remaining = self.remaining if remaining is None else remaining
        limit = number(headers, "x-ratelimit-limit", "ratelimit-limit")
        self.limit = self.limit if limit is None else limit

    def _hold_back(self, status: int, headers: Mapping[str, str], content: bytes, asked: str) -> None:
        """Raise Waiting for what every forge means by "later"."""
        wait_s = asked_wait_s(headers, self._clock())
        secondary = status == 403 and re.search(
            rb"secondary rate limit|abuse detection", content, re.IGNORECASE
        )
        if status == 429 or secondary or (status == 403 and wait_s is not None):
            wait_s = SECONDARY_WAIT_S if wait_s is None else wait_s
            raise Waiting(f"{self.title} lets us send more in {wait_s:.0f} s", retry_after_s=wait_s)
        if status >= 500:
            raise Waiting(f"{self.title} answers {status} to {asked}", retry_after_s=wait_s)

    def _read(self, status: int, headers: Mapping[str, str], content: bytes, asked: str) -> Reply:
        if status >= 400:
            raise Refused(status, said_in(content) or f"status {status}", asked)
        if not 200 <= status < 300:
            raise Waiting(f"{self.title} answers {status} to {asked}")
        found = _NEXT.search(headers.get("link", ""))
        return Reply(status, headers, json.loads(content) if content else None, found[1] if found else "")


def repo_root(name: str) -> str:
    """The path of a repository's part of the API.

    Raises:
        SpecError: the name is not `owner/name`.
    """
    owner, _, rest = name.partition("/")
    try:
        return url_path("/repos/{owner}/{name}", {"owner": owner, "name": rest})
    except ValueError:
        raise SpecError(f"{name!r} is no name of a repository", hint="write owner/name") from None


def items_of(data: Any) -> list[Any]:
    """A list of objects as the forge sent it, or the one list inside an object."""
    if isinstance(data, Mapping):
        data = next((value for value in data.values() if isinstance(value, list)), None)
    if not isinstance(data, list):
        raise Waiting("a list that the forge sent can't be read")
    return [item for item in data if isinstance(item, Mapping)]


def _whole(answer: HttpAnswer) -> bytes:
    content = bytearray()
    while piece := answer.read(64 * 1024):
        content += piece
        if len(content) > _MOST_BYTES:
            raise BrokenTransfer("the answer is too long")
    return bytes(content)
