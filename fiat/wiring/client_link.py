"""The API of a runner as its client asks it: again and again while the network or the runner is away."""

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import urlsplit

from fiat.builtin.http_client import BrokenTransfer, HttpAnswer, HttpClient, HttpPolicy
from fiat.errors import EnvironmentFault, FiatError, SpecError, Waiting

PATIENCE_S = 1800.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
MOST_ANSWER_BYTES = 64 << 20
PIECE_BYTES = 64 << 10
# A runner says something every 15 seconds, if only that it is there.
SILENCE_S = 60.0
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_UNPUSHED = "is on no watched branch"
Result = TypeVar("Result")


class Link:
    """Asks one runner.

    Args:
        url: its public address.
        token: bearer token.
        client: makes requests.
        say: hears that the runner is away, and that it is there again.
        sleep: waits so many seconds.
        clock: monotonic seconds.
        patience_s: how long the runner may be away, in seconds.
    """

    def __init__(
        self,
        url: str,
        token: str,
        client: HttpClient,
        *,
        say: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
        self._client = client
        self._say, self._sleep, self._clock = say, sleep, clock
        self._patience_s = patience_s
        self._heard_s = clock()
        self._pause_s = FIRST_PAUSE_S

    def get(self, path: str) -> Mapping[str, object]:
        """A document of the API, such as `/runs/X`.

        Raises:
            SpecError: there is no such thing, or it can't be asked for so.
            EnvironmentFault: the token is refused, or the runner was away for too long.
        """
        return self.patiently(lambda: self._read(self._client.get(self._address(path), self._headers)))

    def post(self, path: str, body: Mapping[str, object], *, key: str = "") -> Mapping[str, object]:
        """Ask for something to be done.

        Args:
            path: such as `/trigger`.
            body: what is asked for.
            key: the same for each try of one wish, so that the runner does it once.

        Raises:
            SpecError: the runner won't do that.
            EnvironmentFault: as `get`.
        """
        content = json.dumps(body).encode()
        headers = {
            **self._headers,
            "Content-Type": "application/json",
            **({"Idempotency-Key": key} if key else {}),
        }
        return self.patiently(
            lambda: self._read(self._client.send("POST", self._address(path), headers, content))
        )

    @contextmanager
    def stream(self, path: str, last_id: str) -> Iterator[Iterator[bytes]]:
        """Bytes of a stream of events, one connection; for use inside of `patiently`.

        Args:
            path: such as `/runs/X/events`.
            last_id: `id` of the last event that was seen; empty for all of them.

        Raises:
            BrokenTransfer: the connection broke.
            Waiting: the runner is busy.
        """
        headers = {**self._headers, **({"Last-Event-ID": last_id} if last_id else {})}
        with self._client.get(self._address(path), headers) as answer:
            _check(answer)
            yield self._pieces(answer)

    def patiently(self, call: Callable[[], Result]) -> Result:
        """Call until it works, with growing pauses.

        Raises:
            EnvironmentFault: the runner was away for longer than our patience, or refuses us.
            SpecError: what is asked for makes no sense there.
        """
        away = False
        while True:
            try:
                result = call()
            except (BrokenTransfer, Waiting) as error:
                asked_s = error.retry_after_s if isinstance(error, Waiting) else None
                self._wait(str(error), asked_s)
                away = True
                continue
            self.heard()
            if away:
                self._say("the runner answers again")
            return result

    def heard(self) -> None:
        """The runner said something: patience begins anew."""
        self._heard_s = self._clock()
        self._pause_s = FIRST_PAUSE_S

    def _wait(self, reason: str, asked_s: float | None) -> None:
        away_s = self._clock() - self._heard_s
        if away_s >= self._patience_s:
            raise EnvironmentFault(
                f"the runner at {self.url} did not answer for {away_s:.0f} s: {reason}",
                hint="is it up? GET /healthz there tells; what was submitted goes on without us",
            )
        pause_s = self._pause_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads clients, hides nothing
        pause_s = max(pause_s, min(asked_s or 0.0, LONGEST_PAUSE_S))
        self._say(f"the runner is away ({reason}); trying again in {pause_s:.0f} s")
        self._sleep(pause_s)
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    def _pieces(self, answer: HttpAnswer) -> Iterator[bytes]:
        while piece := answer.read(PIECE_BYTES):
            self.heard()
            yield piece

    def _read(self, answer: HttpAnswer) -> Mapping[str, object]:
        with answer:
            _check(answer)
            document = _document(answer)
        if document is None:
            raise EnvironmentFault(
                f"{self.url} answers, but not as a runner does", hint="check the address of the runner"
            )
        return document

    def _address(self, path: str) -> str:
        return f"{self.url}/api/v1{path}"


def open_link(
    url: str, token: str, environment: Mapping[str, str], say: Callable[[str], None], patience_s: float
) -> Link:
    """A link to the runner at a URL.

    Raises:
        SpecError: that is no URL of a web server.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise SpecError(f"{url[:200]!r} is no address of a runner", hint="such as https://fiat.example.org")
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        say("note: over http:// the token can be read on the way; use https://")
    proxies = {name: value for name, value in environment.items() if name.lower().endswith("_proxy")}
    # Who names the address is who runs the command: their own network is as good as any.
    policy = HttpPolicy(allow_private_hosts=True, idle_timeout_s=SILENCE_S, proxies=proxies)
    return Link(url, token, HttpClient(policy), say=say, patience_s=patience_s)


def new_key() -> str:
    """A word that no other wish has."""
    return os.urandom(16).hex()


def _check(answer: HttpAnswer) -> None:
    """Turn a refusal into the error that says what happens next."""
    status = answer.status
    if 200 <= status < 300:
        return
    problem = _document(answer) or {}
    detail = str(problem.get("detail") or f"HTTP status {status}")
    told = [str(item) for item in _list(problem.get("errors"))]
    message = "; ".join([detail, *told])
    hint = str(problem.get("hint") or "")
    raise _refusal(status, message, hint, answer)


def _refusal(status: int, message: str, hint: str, answer: HttpAnswer) -> FiatError:
    if status in _BUSY:
        asked = answer.headers.get("retry-after", "")
        return Waiting(message, retry_after_s=float(asked) if asked.isdigit() and len(asked) < 6 else None)
    if status in (401, 403):
        hint = hint or "tokens are in the runner's settings; this needs the scopes read and trigger"
        return EnvironmentFault(f"the runner refuses: {message}", hint=hint)
    if status in (404, 409, 422):
        if _UNPUSHED in message:
            hint = hint or "push it to a branch that the runner watches"
        return SpecError(f"the runner says: {message}", hint=hint)
    return EnvironmentFault(f"the runner answers: {message}", hint=hint or "check the address of the runner")


def _document(answer: HttpAnswer) -> Mapping[str, object] | None:
    content = b""
    while piece := answer.read(PIECE_BYTES):
        content += piece
        if len(content) > MOST_ANSWER_BYTES:
            return None
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
