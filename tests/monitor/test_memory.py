"""What is remembered outlives whoever is killed while writing it."""

from dataclasses import replace
from pathlib import Path

from fiat.monitor.alarms import Action
from fiat.monitor.memory import FIRST_PAUSE_S, MOST_TRIES, MOST_WINDOWS, Memory, Seen
from fiat.monitor.model import ColumnDrift, Episode, Moved, Quality, Window

WINDOW = Window(
    1,
    "drift",
    "aaaaaaaa",
    "1",
    "c0ffee",
    10.0,
    20.5,
    1000,
    1200,
    (ColumnDrift("ä", 0.25, 0.01, 0.02, 1e-12, 0.1, alarms=True, moved=(Moved("x", 0.1, 0.9),)),),
    ("a note",),
    Quality("accuracy", 0.5, 0.4, 0.6, 100, alarms=True),
    (1.0, 2.0, 3.0),
    episode=Episode(1, 1),
    position={"a.parquet": 7},
)
ACTION = Action("webhook-drift-aaaaaaaa-1", "webhook", "alarm", "drift", "aaaaaaaa", "c0ffee", "moved", 1)


def test_windows_come_back_as_they_were(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "watch")
    assert memory.windows() == []
    memory.add_window(WINDOW)
    memory.add_window(replace(WINDOW, serial=2, quality=None, episode=None))
    assert memory.windows() == [WINDOW, replace(WINDOW, serial=2, quality=None, episode=None)]


def test_half_a_line_counts_for_nothing_and_harms_no_other(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    memory.add_window(WINDOW)
    whole = (tmp_path / "windows.jsonl").read_bytes()
    for cut in range(0, len(whole), 37):
        (tmp_path / "windows.jsonl").write_bytes(whole + whole[:cut])
        assert memory.windows() == [WINDOW]
        memory.add_window(replace(WINDOW, serial=2))
        assert [window.serial for window in memory.windows()] == [1, 2]


def test_an_action_that_was_begun_is_done_whatever_became_of_it(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    memory.begin(ACTION, 5.0)
    assert [item.key for item in memory.done(1e9)] == [ACTION.key]
    assert not memory.waits()


def test_an_action_that_failed_is_tried_again_after_longer_and_longer_pauses(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    now_s, tries = 0.0, []
    while now_s < 100 * FIRST_PAUSE_S:
        if not memory.done(now_s):
            memory.begin(ACTION, now_s)
            memory.end(ACTION.key, now_s, "refused")
            tries.append(now_s / FIRST_PAUSE_S)
        now_s += FIRST_PAUSE_S / 2
    assert tries == [0, 1, 3, 7, 15]
    assert len(tries) == MOST_TRIES
    assert not memory.waits()


def test_what_went_well_in_the_end_is_not_tried_again(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    memory.begin(ACTION, 0.0)
    memory.end(ACTION.key, 0.0, "refused")
    assert memory.waits()
    memory.begin(ACTION, 100.0)
    memory.end(ACTION.key, 100.0)
    assert not memory.waits()
    assert len(memory.done(1e9)) == 1


def test_one_watcher_keeps_the_others_away(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    with memory.held("acting") as first, Memory(tmp_path).held("acting") as second:
        assert (first, second) == (True, False)
        with memory.held("judging") as other:
            assert other
    with memory.held("acting") as again:
        assert again


def test_old_windows_are_forgotten_but_not_where_versions_stand_and_what_alarms(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    lines = [replace(WINDOW, digest="bbbbbbbb", episode=None, position={"old.parquet": 9})]
    lines += [
        replace(WINDOW, serial=serial, episode=Episode(5)) for serial in range(2, 2 * MOST_WINDOWS + 10)
    ]
    for window in lines[:3]:
        memory.add_window(window)
    text = (tmp_path / "windows.jsonl").read_text().splitlines()
    many = [text[1].replace('"serial": 2', f'"serial": {window.serial}') for window in lines[1:]]
    (tmp_path / "windows.jsonl").write_text("\n".join([text[0], *many]) + "\n")
    memory.shorten()
    kept = memory.windows()
    assert MOST_WINDOWS <= len(kept) <= MOST_WINDOWS + 3
    assert kept[0].position == {"old.parquet": 9}
    assert kept[1].serial == 5
    assert kept[-1].serial == lines[-1].serial


def test_a_damaged_note_of_what_was_seen_only_costs_work(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    assert memory.seen() == Seen()
    memory.see(Seen("abc", quiet=True))
    assert memory.seen() == Seen("abc", quiet=True)
    (tmp_path / "seen.json").write_text("{")
    assert memory.seen() == Seen()
