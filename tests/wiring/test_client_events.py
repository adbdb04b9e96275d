"""Events of a runner, however the network cuts them up."""

import pytest

from fiat.builtin.http_client import BrokenTransfer
from fiat.wiring.client_events import MOST_EVENT_BYTES, Event, EventReader

STREAM = (
    "retry: 1000\n\n"
    ": beat\n\n"
    'event: log\nid: train=12\ndata: {"step": "train", "text": "ünï\\n"}\n\n'
    'event: end\r\ndata: {"verdict": "pass"}\r\n\r\n'
).encode()
EVENTS = [
    Event("message", {}, ""),
    Event("log", {"step": "train", "text": "ünï\n"}, "train=12"),
    Event("end", {"verdict": "pass"}, ""),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_the_same_in_pieces_of_any_size(size: int) -> None:
    reader = EventReader()
    pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    assert [event for piece in pieces for event in reader.feed(piece)] == EVENTS


def test_an_event_that_is_cut_off_is_not_told() -> None:
    assert [event.name for event in EventReader().feed(STREAM[:-2])] == ["message", "log"]


@pytest.mark.parametrize("data", ["", "{", "[1]", "7", "[" * 50_000])
def test_what_is_no_object_has_no_data(data: str) -> None:
    assert EventReader().feed(f"event: log\ndata: {data}\n\n".encode()) == [Event("log", {}, "")]


def test_an_event_without_end_is_refused() -> None:
    reader, piece = EventReader(), b"data: " + b"x" * (MOST_EVENT_BYTES // 4)
    assert [event for _ in range(3) for event in reader.feed(piece)] == []
    with pytest.raises(BrokenTransfer):
        reader.feed(piece)
