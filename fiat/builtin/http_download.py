"""Download a file: streamed to disk, resumed where it broke, checked against its SHA-256."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fiat.builtin.http_client import BrokenTransfer, HttpAnswer, HttpClient
from fiat.builtin.http_url import shown_url
from fiat.errors import EnvironmentFault, SpecError

_BLOCK_BYTES = 256 * 1024
_TRIES = 6
_WAITS_S = (0.2, 1.0, 3.0, 10.0, 30.0)
AGAIN = (408, 425, 429, 500, 502, 503, 504)
"""Statuses that say "later"."""
_FOREIGN_RANGE = 416


@dataclass(frozen=True)
class Downloaded:
    """What came.

    Attributes:
        size_bytes: of the file.
        sha256: of the file, 64 hex digits.
        n_requests: how many requests it took.
    """

    size_bytes: int
    sha256: str
    n_requests: int


@dataclass
class _Partial:
    """What is on disk so far."""

    out: IO[bytes]
    digest: "hashlib._Hash"
    size_bytes: int = 0
    validator: str = ""

    def restart(self) -> None:
        self.out.seek(0)
        self.out.truncate()
        self.digest, self.size_bytes, self.validator = hashlib.sha256(), 0, ""

    def add(self, data: bytes) -> None:
        self.out.write(data)
        self.digest.update(data)
        self.size_bytes += len(data)


def download(
    client: HttpClient,
    url: str,
    path: Path,
    sha256: str | None,
    *,
    sleep: Callable[[float], object] = time.sleep,
) -> Downloaded:
    """Download a URL to a new file.

    A transfer that breaks goes on where it broke when the server can, and when the file is surely still the same (it
    has a strong ETag, or its digest is known); else it starts again.

    Args:
        client: makes the requests.
        url: what to download.
        path: does not exist yet; is removed again when the download fails.
        sha256: what the file must have, 64 hex digits; None when it is not known.
        sleep: waits between tries.

    Raises:
        SpecError: the address is not allowed, the server has no such file, the file is larger than the policy allows,
            or its digest is another one.
        EnvironmentFault: the network or server fails again and again, or the disk is full.
    """
    try:
        with path.open("xb") as out:
            partial = _Partial(out, hashlib.sha256())
            n_requests = _try_until_done(client, url, partial, sha256, sleep)
        found = partial.digest.hexdigest()
        if sha256 is not None and found != sha256.lower():
            raise SpecError(
                f"{shown_url(url)} has SHA-256 {found}, expected {sha256.lower()}",
                hint="has the file changed, or was something else served? Check it before you change the digest",
            )
        return Downloaded(partial.size_bytes, found, n_requests)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise EnvironmentFault(
            f"{path.name} can't be written: {error.strerror or error}", hint="is the disk full?"
        ) from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _try_until_done(
    client: HttpClient, url: str, partial: _Partial, sha256: str | None, sleep: Callable[[float], object]
) -> int:
    problem = ""
    for attempt in range(1, _TRIES + 1):
        if attempt > 1:
            sleep(_WAITS_S[attempt - 2])
        try:
            if _transfer(client, url, partial, known=sha256 is not None):
                return attempt
            problem = "the server answered that it is busy or failed"
        except BrokenTransfer as error:
            problem = str(error)
    raise EnvironmentFault(
        f"{shown_url(url)} can't be downloaded, tried {_TRIES} times: {problem}", hint="try again later"
    )


def _transfer(client: HttpClient, url: str, partial: _Partial, *, known: bool) -> bool:
    """One request; False when the server asks for another try later."""
    headers = {}
    if partial.size_bytes and (known or partial.validator):
        headers["Range"] = f"bytes={partial.size_bytes}-"
        if partial.validator:
            headers["If-Range"] = partial.validator
    else:
        partial.restart()
    with client.get(url, headers) as answer:
        if answer.status in AGAIN:
            return False
        if headers and answer.status == _FOREIGN_RANGE:
            partial.restart()
            raise BrokenTransfer("the server does not have the rest of the file")
        if answer.status not in (200, 206):
            raise SpecError(
                f"{shown_url(url)} answers with status {answer.status}", hint="is the address right?"
            )
        if not (headers and answer.status == 206 and _goes_on(answer, partial)):
            if answer.status == 206:
                partial.restart()
                raise BrokenTransfer("the server sent another part than asked for")
            partial.restart()
        _receive(client, answer, partial)
    return True


def _goes_on(answer: HttpAnswer, partial: _Partial) -> bool:
    return answer.headers.get("content-range", "").startswith(f"bytes {partial.size_bytes}-")


def _receive(client: HttpClient, answer: HttpAnswer, partial: _Partial) -> None:
    most = client.policy.max_bytes
    if answer.length is not None and partial.size_bytes + answer.length > most:
        raise SpecError(f"{shown_url(answer.url)} has more than the {most:,} bytes allowed", hint=_CAP_HINT)
    etag = answer.headers.get("etag", "")
    partial.validator = etag if etag.startswith('"') else ""
    while data := answer.read(_BLOCK_BYTES):
        if partial.size_bytes + len(data) > most:
            raise SpecError(
                f"{shown_url(answer.url)} has more than the {most:,} bytes allowed", hint=_CAP_HINT
            )
        partial.add(data)


_CAP_HINT = "FIAT_MAX_DOWNLOAD_BYTES sets how many"
