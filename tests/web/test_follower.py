"""What a follower of a run is told, and where it goes on after a break."""

import json
from dataclasses import replace
from typing import Any

import pytest
from web_stage import Stage, filled

from fiat.run.model import StepResult
from fiat.run.view import LogChunk
from fiat.web.follower import PIECE_BYTES, PIECES_A_LOOK, Follower, read_cursor, whole_characters
from fiat.web.glances import MOST_RUNS, Glances


def told(events: tuple[bytes, ...]) -> list[tuple[str, dict[str, Any], str]]:
    """Each event's name, data and id."""
    found = []
    for event in events:
        fields = dict(line.split(": ", 1) for line in event.decode().strip().splitlines())
        found.append((fields["event"], json.loads(fields["data"]), fields.get("id", "")))
    return found


def names(events: tuple[bytes, ...]) -> list[str]:
    return [name for name, _, _ in told(events)]


def end(stage: Stage) -> None:
    """The running run is over."""
    record = stage.records["r2"]
    steps = tuple(replace(step, state="ran") if step.name == "train" else step for step in record.steps)
    stage.records["r2"] = replace(record, steps=steps, state="done")
    stage.queue["r2"] = replace(stage.queue["r2"], state="done", verdict="pass")


def test_a_run_is_told_from_its_state_over_its_lines_to_its_end() -> None:
    stage = filled()
    follower = Follower(stage, "r2", {})
    first = told(follower.look().events)
    assert [name for name, _, _ in first] == ["state", "log"]
    assert first[0][1]["steps"]["train"] == "running"
    assert first[1][1:] == ({"step": "train", "offset": 0, "text": "epoch 1  loss 0.52\n"}, "train=19")
    assert follower.look().events == ()
    stage.logs["r2", "train"] += b"epoch 2\n"
    end(stage)
    # The last words of a step come before the news that it has ended.
    assert names(follower.look().events) == ["log", "state"]
    last = follower.look()
    assert (names(last.events), last.over) == (["end"], True)
    assert told(last.events)[0][1] == {"verdict": "pass", "reason": ""}


def test_after_a_break_the_id_of_the_last_event_leads_on() -> None:
    stage = filled()
    _, (_, _, place) = told(Follower(stage, "r2", {}).look().events)
    stage.logs["r2", "train"] += b"epoch 2\n"
    places = read_cursor(place)
    assert places is not None
    _, (name, said, _) = told(Follower(stage, "r2", places).look().events)
    assert (name, said["text"], said["offset"]) == ("log", "epoch 2\n", 19)


def test_one_step_alone_or_only_the_end_of_what_was_printed() -> None:
    stage = filled()
    only = told(Follower(stage, "r1", {}, only="evaluate").look().events)
    assert [name for name, _, _ in only] == ["state", "end"]
    _, (_, said, _) = told(Follower(stage, "r1", {}, tail_bytes=8).look().events)
    assert (said["offset"], said["text"]) == (16, "epoch 3\n")


def test_a_long_log_is_told_in_bounded_pieces() -> None:
    stage = filled()
    stage.logs["r1", "train"] = bytes(range(32, 127)) * 40_000
    follower = Follower(stage, "r1", {})
    text, looks = "", 0
    while looks < 100:
        looks += 1
        looked = follower.look()
        assert len(looked.events) <= PIECES_A_LOOK + 2
        assert all(len(event) < 4 * PIECE_BYTES for event in looked.events)
        text += "".join(said["text"] for name, said, _ in told(looked.events) if name == "log")
        if looked.over:
            break
    assert looks > 5
    assert text.encode() == stage.logs["r1", "train"]


def test_hostile_lines_stay_inside_of_their_event() -> None:
    stage = filled()
    stage.logs["r1", "train"] = b"\n\nevent: end\ndata: {}\n\r\n\x00\x1b]0;x\x07\xe2\x80\xa8</script>\n"
    events = told(Follower(stage, "r1", {}).look().events)
    assert [name for name, _, _ in events] == ["state", "log"]
    assert events[1][1]["text"].encode() == stage.logs["r1", "train"]


def test_a_character_is_not_torn() -> None:
    stage = filled()
    stage.logs["r2", "train"] = "naïve café €".encode()[:-1]
    follower = Follower(stage, "r2", {})
    _, (_, said, place) = told(follower.look().events)
    assert (said["text"], place) == ("naïve café ", "train=13")
    stage.logs["r2", "train"] = "naïve café €uro".encode()
    assert told(follower.look().events)[0][1]["text"] == "€uro"


@pytest.mark.parametrize(
    ("data", "ended", "kept"),
    [
        (b"abc", False, b"abc"),
        ("é".encode()[:1], False, b""),
        ("é".encode()[:1], True, "é".encode()[:1]),
        ("a😀".encode()[:4], False, b"a"),
        ("a😀".encode(), False, "a😀".encode()),
        (b"\xff\xff", False, b"\xff"),
        (b"\x80\x80\x80\x80", False, b"\x80\x80\x80\x80"),
        (b"", False, b""),
    ],
)
def test_whole_characters(data: bytes, ended: bool, kept: bytes) -> None:
    assert whole_characters(LogChunk(data, 0, ended)) == kept


def test_a_run_that_is_gone_ends_the_story() -> None:
    looked = Follower(filled(), "none", {}).look()
    assert (names(looked.events), looked.over) == (["end"], True)


def test_steps_that_appear_later_are_told_too() -> None:
    stage = filled()
    follower = Follower(stage, "r3", {})
    follower.look()
    stage.add("r3", steps=(StepResult("train", "train", "running"),), state="running")
    stage.logs["r3", "train"] = b"now\n"
    assert names(follower.look().events) == ["log", "state"]


def test_followers_of_one_run_share_a_look_that_is_fresh_enough() -> None:
    stage = filled()
    looks: list[str] = []
    run = stage.run
    stage.run = lambda run_id: (looks.append(run_id), run(run_id))[1]  # type: ignore[method-assign, func-returns-value]
    times = [0.0]
    glances = Glances(stage, 0.5, lambda: times[0])
    followers = [Follower(glances, "r2", {}) for _ in range(10)]
    for follower in followers:
        assert names(follower.look().events) == ["state", "log"]
    assert looks == ["r2"]
    stage.queue["r2"] = replace(stage.queue["r2"], cancel="cancelled by boss")
    times[0] = 0.6
    assert [names(follower.look().events) for follower in followers] == [["state"]] * 10
    assert looks == ["r2", "r2"]
    for index in range(200):
        glances.run(f"none{index}")
    assert len(glances._seen) == MOST_RUNS


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("", {}),
        ("train=12", {"train": 12}),
        ("data.images=1,train=2", {"data.images": 1, "train": 2}),
        ("train", None),
        ("train=-1", None),
        ("train=1e3", None),
        ("../x=1", None),
        ("train=1;DROP", None),
        ("a" * 20_000, None),
    ],
)
def test_cursors(text: str, places: dict[str, int] | None) -> None:
    assert read_cursor(text) == places
