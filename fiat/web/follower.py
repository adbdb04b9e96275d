"""Follows one run for one client: what it has not been told yet, as server-sent events.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from fiat.run.model import StepResult
from fiat.run.view import LogChunk, RunView
from fiat.web.glances import Followed

PIECE_BYTES = 32 << 10
PIECES_A_LOOK = 8
QUIET_STATES = ("waiting", "skipped", "reused")
CURSOR_LIMIT = 16 << 10
_ENTRY = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,127})=(0|[1-9][0-9]{0,17})")


@dataclass(frozen=True)
class Looked:
    """What one look found.

    Attributes:
        events: as they go over the wire.
        over: nothing will follow.
    """

    events: tuple[bytes, ...]
    over: bool


def read_cursor(text: str) -> dict[str, int] | None:
    """The places in `id:` of an event, step to offset in bytes; None when the text is none of ours."""
    if len(text) > CURSOR_LIMIT:
        return None
    places: dict[str, int] = {}
    for part in text.split(",") if text else ():
        match = _ENTRY.fullmatch(part)
        if match is None:
            return None
        places[match[1]] = int(match[2])
    return places


class Follower:
    """Looks at a run again and again; each look gives what is new.

    Args:
        door: where runs and logs are read.
        run_id: the run.
        places: where to begin in the logs of steps, in bytes; negative: that many before the end.
        only: the one step whose log is wanted; empty for those of all.
        tail_bytes: how much of the log of a step without a place is told at first, 1 or more; None for all.
    """

    def __init__(
        self,
        door: Followed,
        run_id: str,
        places: Mapping[str, int],
        only: str = "",
        tail_bytes: int | None = None,
    ) -> None:
        self._door = door
        self._run_id = run_id
        self._places = dict(places)
        self._only = only
        self._start = 0 if tail_bytes is None else -tail_bytes
        self._told = ""
        self._drained: set[str] = set()

    def look(self) -> Looked:
        """What is new; blocks for a short read of the store and of logs."""
        view = self._door.run(self._run_id)
        if view is None:
            return Looked((_event("end", {"reason": "the run is gone"}),), over=True)
        lines = self._logs(view.run.steps if view.run else ())
        state = self._state(view)
        # At first people see where the run stands; later a step's last words come before the news that it has ended.
        events = [*state, *lines] if not self._told else [*lines, *state]
        if state:
            self._told = state[0].decode()
        over = view.queued.state == "done" and not lines
        if over:
            events.append(_event("end", {"verdict": view.queued.verdict, "reason": view.queued.reason}))
        return Looked(tuple(events), over)

    def _state(self, view: RunView) -> list[bytes]:
        queued = view.queued
        event = _event(
            "state",
            {
                "state": queued.state,
                "phase": queued.phase,
                "verdict": queued.verdict,
                "reason": queued.reason,
                "cancel": queued.cancel,
                "steps": {step.name: step.state for step in (view.run.steps if view.run else ())},
            },
        )
        return [] if event.decode() == self._told else [event]

    def _logs(self, steps: tuple[StepResult, ...]) -> list[bytes]:
        events: list[bytes] = []
        for step in steps:
            wanted = step.name == self._only if self._only else step.state not in QUIET_STATES
            while wanted and step.name not in self._drained and len(events) < PIECES_A_LOOK:
                place = self._places.get(step.name, self._start)
                chunk = self._door.log(self._run_id, step.name, place, PIECE_BYTES)
                data = b"" if chunk is None else whole_characters(chunk)
                if chunk is None or not data:
                    break
                self._places[step.name] = chunk.offset + len(data)
                if chunk.ended and len(data) == len(chunk.data):
                    self._drained.add(step.name)
                text = data.decode("utf-8", "replace")
                told = {"step": step.name, "offset": chunk.offset, "text": text}
                events.append(_event("log", told, self._cursor()))
        return events

    def _cursor(self) -> str:
        return ",".join(f"{name}={place}" for name, place in self._places.items() if place > 0)


def whole_characters(chunk: LogChunk) -> bytes:
    """The bytes without the beginning of a UTF-8 character whose rest is still to come."""
    data = chunk.data
    if chunk.ended:
        return data
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[:-back] if length > back else data
        if byte < 0x80:
            break
    return data


def _event(name: str, data: Mapping[str, object], cursor: str = "") -> bytes:
    """One event; JSON keeps its text on one line."""
    place = f"id: {cursor}\n" if cursor else ""
    return f"event: {name}\n{place}data: {json.dumps(data)}\n\n".encode()
