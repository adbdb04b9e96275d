"""Bodies of requests and answers: read within limits, unpacked without being blown up, packed for who asks for it."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fiat.serving.limits import Refused

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
SMALLEST_PACKED_BYTES = 1024
_LEVEL = 1
_MOST_MEMBERS, _PIECE_BYTES = 1024, 1 << 16
_WINDOW = {b"gzip": 16 + zlib.MAX_WBITS, b"x-gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}


class Disconnected(Exception):
    """The client went away before its request was complete."""


async def read_body(
    receive: Receive, headers: Mapping[bytes, bytes], *, most_bytes: int, timeout_s: float
) -> bytes:
    """The body of a request, as it was sent.

    Args:
        receive: of ASGI.
        headers: lower-case names.
        most_bytes: longest body.
        timeout_s: longest time until the rest is there, when it comes in parts. For the first part the connection looks
            (`http_protocol.py`): a timer for each request would cost more than decoding it.

    Raises:
        Refused: 408 or 413.
        Disconnected: the client went away.
    """
    stated = headers.get(b"content-length")
    if stated is not None and stated.isdigit() and int(stated) > most_bytes:
        raise _too_long(most_bytes)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        body = await _rest(receive, body, most_bytes, timeout_s)
    return body


def unpacked(body: bytes, headers: Mapping[bytes, bytes], most_bytes: int) -> bytes:
    """A body without its content coding, if it has one.

    Args:
        body: as it was sent.
        headers: lower-case names.
        most_bytes: longest body, packed and unpacked.

    Raises:
        Refused: 413 or 415, or 400 for what can't be unpacked.
    """
    if len(body) > most_bytes:
        raise _too_long(most_bytes)
    coding = headers.get(b"content-encoding")
    return body if coding is None else unpack(body, coding, most_bytes)


async def _rest(receive: Receive, start: bytes, most_bytes: int, timeout_s: float) -> bytes:
    parts, size = [start], len(start)
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                part = message.get("body", b"")
                size += len(part)
                if size > most_bytes:
                    raise _too_long(most_bytes)
                parts.append(part)
                if not message.get("more_body"):
                    return b"".join(parts)
    except TimeoutError:
        raise _too_slow(timeout_s) from None


def unpack(body: bytes, coding: bytes, most_bytes: int) -> bytes:
    """A body without its content coding; never more than the limit is unpacked.

    Args:
        body: packed.
        coding: value of `Content-Encoding`: gzip, deflate (zlib's form, or the bare one) or identity.
        most_bytes: longest result.

    Raises:
        Refused: 413 when it would be longer, 415 for another coding, 400 when it is damaged.
    """
    name = coding.strip().lower()
    if name in (b"", b"identity"):
        return body
    if name not in _WINDOW:
        shown = coding.decode("latin-1")[:60]
        raise Refused(415, f"Content-Encoding {shown!r} is not known: gzip and deflate are")
    try:
        return _inflate(body, _WINDOW[name], most_bytes)
    except zlib.error:
        if name == b"deflate":
            # Some clients send deflate without zlib's frame.
            try:
                return _inflate(body, -zlib.MAX_WBITS, most_bytes)
            except zlib.error:
                pass
        raise Refused(400, f"the body is not {name.decode()}, as Content-Encoding says") from None


def _inflate(body: bytes, window: int, most_bytes: int) -> bytes:
    parts: list[bytes] = []
    left, place, members, view = most_bytes, 0, 0, memoryview(body)
    while place < len(view):
        members += 1
        if members > _MOST_MEMBERS:
            raise Refused(400, f"the body is packed in more than {_MOST_MEMBERS} pieces")
        stream = zlib.decompressobj(window)
        while not stream.eof:
            # Of a piece at a time: what a member leaves is copied, and there may be many members.
            piece = view[place : place + _PIECE_BYTES]
            if not piece:
                raise zlib.error("it ends too early")
            part = stream.decompress(piece, left + 1)
            left -= len(part)
            if left < 0:
                raise _too_long(most_bytes)
            parts.append(part)
            place += len(piece) - len(stream.unused_data)  # gzip may have several members
    return b"".join(parts)


def chosen_coding(accepted: bytes) -> str:
    """The coding that a client takes of an answer: `gzip`, `deflate`, or empty for none.

    Args:
        accepted: value of `Accept-Encoding`.

    Source: RFC 9110, section 12.5.3.
    """
    weights: dict[bytes, bool] = {}
    for item in accepted.lower().split(b","):
        name, _, parameter = item.strip().partition(b";")
        weights[name.strip()] = not parameter.replace(b" ", b"").startswith(b"q=0") or bool(
            parameter.replace(b" ", b"")[3:].strip(b".0")
        )
    for known in (b"gzip", b"deflate"):
        if weights.get(known):
            return known.decode()
    return "gzip" if weights.get(b"*") and b"gzip" not in weights else ""


def pack(body: bytes, coding: str) -> bytes:
    """A body with a content coding."""
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW[coding.encode()])
    return stream.compress(body) + stream.flush()


def _too_long(most_bytes: int) -> Refused:
    return Refused(413, f"the body is longer than {most_bytes} bytes", ((b"connection", b"close"),))


def _too_slow(timeout_s: float) -> Refused:
    return Refused(408, f"the body was not there after {timeout_s:g} s", ((b"connection", b"close"),))
