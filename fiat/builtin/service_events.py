"""What happened at a service: numbered lines of JSON in `events.jsonl`, for reports and for people."""

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from fiat.serving.place import Place

EventKind = Literal[
    "asked", "loading", "stage", "paused", "promoted", "refused", "superseded", "kept", "server", "stopped"
]
MOST_BYTES = 1 << 20
_KEPT_RATIO = 0.5


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        n: number, 1 and up, without gaps: who has told event n has told all before it.
        at_s: seconds since 1970.
        kind: what it was.
        sentence: for people.
        digest: of the package that it concerns; empty for none.
        generation: of that package's deploy.
        commit: that it was deployed for; may be empty.
    """

    n: int
    at_s: float
    kind: EventKind
    sentence: str
    digest: str = ""
    generation: int = 0
    commit: str = ""


def events_path(folder: Path) -> Path:
    """Where a service's events are."""
    return Place(folder).folder / "events.jsonl"


def read_events(folder: Path, after: int = 0) -> tuple[Event, ...]:
    """Events of a service in their order.

    Args:
        folder: of the service.
        after: only those with a higher number.
    """
    found = []
    with contextlib.suppress(FileNotFoundError):
        for line in events_path(folder).read_text("utf-8", "replace").splitlines():
            with contextlib.suppress(ValueError, TypeError):
                event = Event(**json.loads(line))
                if event.n > after:
                    found.append(event)
    return tuple(found)


def append_events(folder: Path, events: Iterable[Event]) -> None:
    """Write down those that are not there yet; the oldest go when the file is large.

    Raises:
        OSError: the disk refused.
    """
    path = events_path(folder)
    there = read_events(folder)
    last = there[-1].n if there else 0
    fresh = [event for event in events if event.n > last]
    if not fresh:
        return
    # A line that a kill cut off must not swallow the next one.
    torn = path.exists() and path.stat().st_size > 0 and path.read_bytes()[-1:] != b"\n"
    lines = "".join(_line(event) for event in fresh)
    if path.exists() and path.stat().st_size + len(lines) > MOST_BYTES:
        kept = there[-int(len(there) * _KEPT_RATIO) :]
        draft = path.with_name(f"unfinished.{path.name}")
        draft.write_text("".join(_line(event) for event in (*kept, *fresh)), "utf-8")
        draft.replace(path)
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, (("\n" if torn else "") + lines).encode())
    finally:
        os.close(descriptor)


def _line(event: Event) -> str:
    return json.dumps(asdict(event)) + "\n"
