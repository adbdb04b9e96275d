"""The parser of httptools, for a server that upgrades to nothing.

It takes a request that offers an upgrade (Java's client offers HTTP/2 with each) for one without a body, and what follows
for the next request: a body would be lost, and whoever chose it could hide requests in it from a proxy in front. RFC 9110
says that a server may pass over such an offer, so the request is read again without it.

Source: RFC 9110, section 7.8.
"""

import contextlib
from typing import Protocol

import httptools

_LINE_ENDS = (b"\r", b"\n")


class Reader(Protocol):
    """Who is told of requests; httptools calls more of its methods by name."""

    url: bytes
    headers: list[tuple[bytes, bytes]]


class PlainParser:
    """Parses the requests of one connection.

    Args:
        reader: is told of them. It passes over those of which `should_upgrade` is true when their headers are complete:
            they come again.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._begin()

    def _begin(self) -> None:
        self._parser = parser = httptools.HttpRequestParser(self._reader)
        with contextlib.suppress(AttributeError):  # as uvicorn does: what comes behind `Connection: close`
            parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.get_method, self.get_http_version = parser.get_method, parser.get_http_version
        self.should_keep_alive, self.should_upgrade = parser.should_keep_alive, parser.should_upgrade

    def feed_data(self, data: bytes) -> None:
        """Take what came.

        Raises:
            HttpParserError: it is no HTTP.
        """
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._head() + data[upgrade.args[0] :]
                self._begin()
            else:
                return

    def _head(self) -> bytes:
        """The first lines of the request that was just read, without its offer."""
        method, version = self.get_method(), self.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (method, self._reader.url, version)]
        lines += [b"%s: %s" % header for header in self._reader.headers if header[0] != b"upgrade"]
        if method == b"CONNECT" or any(end in line for line in lines for end in _LINE_ENDS):
            raise httptools.HttpParserError("it can't be read without its offer")
        return b"\r\n".join(lines) + b"\r\n\r\n"
