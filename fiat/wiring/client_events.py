"""Server-sent events as they come over a connection, piece by piece.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from fiat.builtin.http_client import BrokenTransfer

MOST_EVENT_BYTES = 4 << 20


@dataclass(frozen=True)
class Event:
    """One event.

    Attributes:
        name: such as `log`.
        data: its JSON object; empty when it is none.
        id: where to go on after it; empty when it said nothing about that.
    """

    name: str
    data: Mapping[str, object]
    id: str


class EventReader:
    """Puts pieces of bytes together to events. Comments, which are heartbeats, give nothing."""

    def __init__(self) -> None:
        self._held = b""
        self._fields: dict[str, list[str]] = {}
        self._size_bytes = 0

    def feed(self, piece: bytes) -> list[Event]:
        """Take bytes and give what is complete by now.

        Raises:
            BrokenTransfer: an event is larger than any of a runner.
        """
        *lines, self._held = (self._held + piece).replace(b"\r\n", b"\n").split(b"\n")
        events = []
        for line in lines:
            self._size_bytes += len(line)
            if line:
                self._field(line.decode("utf-8", "replace"))
            elif self._fields:
                events.append(self._event())
        if self._size_bytes + len(self._held) > MOST_EVENT_BYTES:
            raise BrokenTransfer("an event of the runner has no end")
        return events

    @property
    def is_idle(self) -> bool:
        """Whether no event is begun."""
        return not self._held and not self._fields

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        if name:
            self._fields.setdefault(name, []).append(value.removeprefix(" "))

    def _event(self) -> Event:
        fields, self._fields, self._size_bytes = self._fields, {}, 0
        try:
            data = json.loads("\n".join(fields.get("data", ["null"])))
        except (ValueError, RecursionError):
            data = None
        name = fields.get("event", ["message"])[-1]
        return Event(name, data if isinstance(data, dict) else {}, fields.get("id", [""])[-1])
