import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from queue_kit import commit_of, texts, umbrella

from fiat.run.report import Deployed, PullComment
from fiat.store.outbox import Addressed, Outbox
from fiat.store.store import Store

COMMENT = "acme/models", "comment 5 digits", PullComment(5, "<!-- fiat digits -->", "| accuracy |\n")


def say(store: Store, *items: Addressed) -> None:
    store.outbox.add(items)


class Hand:
    """A clock that stands where it was put."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 3, 29, 0, 59, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def move(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def test_reports_come_whole_in_the_order_of_writing(reopen: Callable[[], Store]) -> None:
    deployed = Deployed(commit_of(1), "digits/shelf", "in_progress", "", "https://x", "run/shelf")
    say(reopen(), umbrella(1), COMMENT, ("acme/other", "deploy", deployed))
    items = reopen().outbox.due()
    assert [(item.repo, item.channel, item.report, item.attempt, item.memory) for item in items] == [
        (*umbrella(1), 0, ""),
        (*COMMENT, 0, ""),
        ("acme/other", "deploy", deployed, 0, ""),
    ]
    assert [item.id for item in items] == sorted(item.id for item in items)
    assert reopen().outbox.due(limit=1) == items[:1]


def test_what_is_sent_is_remembered_with_what_the_forge_wants_remembered(store: Store) -> None:
    say(store, COMMENT)
    first = store.outbox.due()[0]
    store.outbox.sent(first.id, "comment 4711")
    store.outbox.sent(first.id, "said twice")
    assert store.outbox.due() == []
    say(store, (*COMMENT[:2], PullComment(5, "<!-- fiat digits -->", "new")))
    assert store.outbox.due()[0].memory == "comment 4711"


def test_of_a_channel_only_the_newest_unsent_is_kept(store: Store) -> None:
    say(store, umbrella(1, text="queued"))
    say(store, umbrella(2))
    say(store, umbrella(1, text="running"))
    say(store, umbrella(1, "success", "done"))
    assert texts(store) == [("pending", "queued"), ("success", "done")]
    assert store.outbox.counts() == {("acme/models", "waiting"): 2}


def test_of_a_channel_in_one_breath_only_the_last_is_kept(store: Store) -> None:
    say(store, umbrella(1, text="queued"), umbrella(1, text="running"), umbrella(1, "success", "done"))
    assert texts(store) == [("success", "done")]


def test_a_report_that_the_forge_shows_already_is_skipped(store: Store) -> None:
    say(store, umbrella(1))
    store.outbox.sent(store.outbox.due()[0].id)
    say(store, umbrella(1))
    assert store.outbox.due() == []
    say(store, umbrella(1, "success", "done"))
    say(store, umbrella(1))
    assert texts(store) == [("pending", "queued")], "the success may have been on the wire"


def test_a_report_that_waits_already_is_not_written_again(store: Store) -> None:
    say(store, umbrella(1))
    before = store.outbox.due()
    say(store, umbrella(1))
    assert store.outbox.due() == before


def test_a_newer_report_that_comes_while_one_is_on_the_wire_is_sent_after_it(store: Store) -> None:
    say(store, umbrella(1))
    on_the_wire = store.outbox.due()[0]
    say(store, umbrella(1, "success", "done"))
    store.outbox.later(on_the_wire.id, 60.0, "502")
    assert texts(store) == [("success", "done")], "the newer one has its own time"
    store.outbox.sent(on_the_wire.id, "m")
    newer = store.outbox.due()[0]
    assert (newer.memory, newer.attempt) == ("m", 0)
    store.outbox.sent(newer.id, "m")
    assert store.outbox.due() == []
    store.outbox.sent(on_the_wire.id, "late")
    assert store.outbox.due() == []


def test_an_old_report_that_a_frozen_sender_put_over_a_newer_one_is_mended(store: Store) -> None:
    say(store, umbrella(1))
    frozen = store.outbox.due()[0]
    say(store, umbrella(1, "success", "done"))
    newer = store.outbox.due()[0]
    store.outbox.sent(newer.id, "m")
    store.outbox.sent(frozen.id, "m")
    again = store.outbox.due()
    assert [item.id for item in again] == [newer.id]
    store.outbox.sent(newer.id, "m")
    assert store.outbox.due() == []
    say(store, umbrella(1, "success", "done"))
    assert store.outbox.due() == [], "and now it is what the forge shows"


def test_what_did_not_go_out_waits_as_long_as_it_was_told_to(store: Store) -> None:
    clock = Hand()
    outbox = Outbox(store.database, clock)
    outbox.add([umbrella(1), umbrella(2)])
    item = outbox.due()[0]
    outbox.later(item.id, 90.0, "the forge asks for a pause")
    assert [one.id for one in outbox.due()] == [item.id + 1]
    clock.move(89)
    assert len(outbox.due()) == 1
    clock.move(1)
    assert [(one.id, one.attempt) for one in outbox.due()] == [(item.id, 1), (item.id + 1, 0)]
    assert outbox.letters("waiting")[-1].reason == "the forge asks for a pause"


def test_a_pause_that_the_forge_asked_for_is_kept_by_a_newer_report(store: Store) -> None:
    clock = Hand()
    outbox = Outbox(store.database, clock)
    outbox.add([umbrella(1)])
    outbox.later(outbox.due()[0].id, 90.0, "403")
    outbox.add([umbrella(1, "success", "done")])
    assert outbox.due() == []
    clock.move(90)
    assert [(one.attempt, one.report) for one in outbox.due()] == [(1, umbrella(1, "success", "done")[2])]
    (letter,) = outbox.letters("waiting")
    assert letter.reason == "403", "people see why it waits"


def test_a_clock_that_is_put_back_blocks_nothing_and_no_wait_is_longer_than_six_hours(store: Store) -> None:
    clock = Hand()
    outbox = Outbox(store.database, clock)
    outbox.add([umbrella(1)])
    clock.move(-3600)
    assert len(outbox.due()) == 1
    item = outbox.due()[0]
    outbox.later(item.id, 1e9, "come back in thirty years")
    clock.move(-7200)
    assert len(outbox.due()) == 1
    clock.move(7200)
    assert outbox.due() == []
    clock.move(6 * 3600)
    assert len(outbox.due()) == 1


def test_repositories_that_rest_are_skipped(store: Store) -> None:
    say(store, umbrella(1), umbrella(2, repo="acme/other"))
    assert [item.repo for item in store.outbox.due(skip=["acme/models"])] == ["acme/other"]
    assert store.outbox.due(skip=("acme/models", "acme/other", "x' OR '1'='1")) == []


def test_a_dead_letter_is_listed_and_does_not_stop_its_channel(store: Store) -> None:
    say(store, umbrella(1))
    store.outbox.dead(store.outbox.due()[0].id, "404: the repository is gone")
    assert store.outbox.due() == []
    (letter,) = store.outbox.letters("dead")
    assert (letter.state, letter.attempt, letter.reason) == ("dead", 1, "404: the repository is gone")
    assert (letter.repo, letter.channel, letter.report) == umbrella(1)
    assert store.outbox.counts() == {("acme/models", "dead"): 1}
    say(store, umbrella(1, "success", "done"))
    store.outbox.sent(store.outbox.due()[0].id)
    assert store.outbox.letters("dead") == []


def test_what_was_sent_before_a_dead_letter_is_not_taken_for_what_the_forge_shows(store: Store) -> None:
    say(store, umbrella(1))
    store.outbox.sent(store.outbox.due()[0].id, "m")
    say(store, umbrella(1, "success", "done"))
    store.outbox.dead(store.outbox.due()[0].id, "timeout, and then 422")
    say(store, umbrella(1))
    assert texts(store) == [("pending", "queued")]
    assert store.outbox.due()[0].memory == "m"


def test_dead_letters_are_sent_after_all_when_what_was_wrong_is_mended(store: Store) -> None:
    for number, text in ((1, "old"), (1, "new"), (2, "overtaken"), (3, "elsewhere")):
        say(store, umbrella(number, text=text, repo="acme/other" if number == 3 else "acme/models"))
        store.outbox.dead(store.outbox.due()[0].id, "401")
    say(store, umbrella(2, "success", "done"))
    store.outbox.sent(store.outbox.due()[0].id)
    assert store.outbox.revive("acme/models") == 1
    assert [(item.attempt, item.report) for item in store.outbox.due()] == [(0, umbrella(1, text="new")[2])]
    assert [letter.repo for letter in store.outbox.letters("dead")] == ["acme/other"]
    assert store.outbox.revive() == 1
    assert store.outbox.revive() == 0
    assert len(store.outbox.due()) == 2


def test_a_dead_letter_with_a_newer_report_behind_it_stays_dead(store: Store) -> None:
    say(store, umbrella(1))
    store.outbox.dead(store.outbox.due()[0].id, "401")
    say(store, umbrella(1, "success", "done"))
    assert store.outbox.revive() == 0
    assert texts(store) == [("success", "done")]


@pytest.mark.parametrize("say_so", [Outbox.sent, Outbox.dead])
def test_an_item_that_is_gone_is_no_fault(store: Store, say_so: Callable[[Outbox, int, str], None]) -> None:
    say_so(store.outbox, 4711, "")
    store.outbox.later(4711, 1.0, "")
    assert store.outbox.letters("dead") == []
