"""The outbox is delivered in order, at the pace that forges bear, and nothing is lost when they refuse."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fiat.engine.sender import BURST, Sender
from fiat.errors import FiatError, Stalled, Waiting
from fiat.run.report import Addressed, Check, Report, addressed
from fiat.store.store import Store
from fiat.testing.fake_forge import FakeForge
from tests.engine.queue_stage import COMMIT, Clock, open_queue

REPO = "acme/models"


class CountedForge(FakeForge):
    """The shipped fake, which also counts calls and may be down for long."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[str] = []
        self.kept: list[str] = []
        self.asked = 0
        self.outage: FiatError | None = None

    def send(self, report: Report, memory: str) -> str:
        self.asked += 1
        if self.outage is not None:
            raise self.outage
        kept = super().send(report, memory)
        self.given.append(memory)
        self.kept.append(kept)
        return kept


class Stage:
    def __init__(self, store: Store) -> None:
        self.store, self.clock, self.forge = store, Clock(), CountedForge()
        self.sender = Sender(
            store, {REPO: self.forge}, lambda text: text.replace("hush-hush", "***"), self.clock, lambda: 0.5
        )

    def write(self, *reports: Check) -> None:
        self.store.outbox.add([addressed(REPO, report) for report in reports])

    def run(self, seconds: float) -> None:
        """Let time pass in the sender's own steps; the store's waits are cut short, they are tested there."""
        give_up_s = self.clock.now_s + seconds
        while self.clock.now_s < give_up_s:
            self.clock.now_s += max(self.sender.tick(), 0.25)


def check(state: str, context: str = "fiat/push", description: str = "") -> Check:
    return Check(COMMIT, context, state, description)  # type: ignore[arg-type]


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Stage]:
    with open_queue(tmp_path) as store:
        yield Stage(store)


def test_the_newest_of_a_channel_goes_out_with_the_memory_of_the_one_before(on: Stage) -> None:
    on.write(check("pending"))
    on.run(1)
    on.write(check("pending", description="more"), check("success"))
    on.run(1)
    assert on.forge.sent == [check("pending"), check("success")]
    assert on.forge.given == ["", on.forge.kept[0]]


def test_a_burst_goes_out_at_once_and_then_one_a_second(on: Stage) -> None:
    on.write(*(check("pending", f"fiat/push/{number}") for number in range(BURST + 10)))
    on.sender.tick()
    assert len(on.forge.sent) == BURST
    on.run(5)
    assert BURST + 3 <= len(on.forge.sent) <= BURST + 6
    on.run(10)
    assert len(on.forge.sent) == BURST + 10


def test_retry_after_is_obeyed_by_the_whole_forge(on: Stage) -> None:
    on.forge.fail(Waiting("slow down", retry_after_s=60))
    on.write(check("pending", "fiat/a"), check("pending", "fiat/b"))
    on.run(58)
    assert on.forge.asked == 1
    on.run(10)
    assert [report.context for report in on.forge.sent if isinstance(report, Check)] == ["fiat/b"]


def test_a_forge_that_is_down_for_an_hour_is_asked_seldom_and_gets_everything_afterwards(on: Stage) -> None:
    on.forge.outage = Waiting("HTTP 502")
    on.write(*(check("success", f"fiat/push/{number}") for number in range(50)))
    on.run(3600)
    assert on.forge.asked < 3600 / 10
    on.forge.outage = None
    on.clock.now_s += 200
    for item in on.store.outbox.letters("waiting", 100):
        on.store.outbox.later(item.id, 0, "time has passed")
    on.run(200)
    delivered = {report.context for report in on.forge.sent if isinstance(report, Check)}
    assert delivered == {f"fiat/push/{number}" for number in range(50)}


def test_a_refusal_is_tried_a_few_times_and_then_listed_as_dead_with_its_reason(on: Stage) -> None:
    on.forge.outage = Stalled("no permission for hush-hush")
    on.write(check("success"))
    for _ in range(8):
        on.run(61)
        for item in on.store.outbox.letters("waiting", 10):
            on.store.outbox.later(item.id, 0, item.reason)
            on.clock.now_s += 1
    (letter,) = on.store.outbox.letters("dead", 10)
    assert letter.reason == "no permission for ***"
    on.forge.outage = None
    on.write(check("error"))
    on.run(62)
    assert on.forge.sent == [check("error")]


def test_a_repository_without_a_credential_keeps_nothing_waiting(on: Stage) -> None:
    report = check("success")
    on.store.outbox.add([Addressed("acme/other", "c", report)])
    on.run(1)
    assert [letter.repo for letter in on.store.outbox.letters("dead", 5)] == ["acme/other"]


def test_a_sender_that_lost_its_seat_stops_in_the_middle(on: Stage) -> None:
    on.write(check("pending", "fiat/a"), check("pending", "fiat/b"))
    answers = iter([True, False])
    on.sender.tick(lambda: next(answers))
    assert len(on.forge.sent) == 1


class TouchyForge(CountedForge):
    """Fails on some contexts."""

    def __init__(self, **errors: Exception) -> None:
        super().__init__()
        self.errors = errors

    def send(self, report: Report, memory: str) -> str:
        assert isinstance(report, Check)
        if report.context in self.errors:
            self.asked += 1
            raise self.errors[report.context]
        return super().send(report, memory)


def over(on: Stage, forges: dict[str, CountedForge], lines: dict[str, str]) -> Sender:
    on.sender = Sender(on.store, forges, str, on.clock, lambda: 0.5, lines)
    return on.sender


def hurry(on: Stage) -> None:
    """Cut the store's waits short."""
    for item in on.store.outbox.letters("waiting", 100):
        on.store.outbox.later(item.id, 0, item.reason)


def test_a_report_that_brings_out_a_bug_is_put_aside_in_time_and_holds_up_nobody(on: Stage) -> None:
    forges = {REPO: TouchyForge(bad=ValueError("bug")), "acme/other": CountedForge()}
    over(on, dict(forges), {})
    on.write(check("pending", "bad"))
    on.store.outbox.add([addressed("acme/other", check("success", "good"))])
    on.run(2)
    assert forges["acme/other"].sent == [check("success", "good")]
    for _ in range(8):
        hurry(on)
        on.run(61)
    (letter,) = on.store.outbox.letters("dead", 10)
    assert "a bug of Fiat: ValueError: bug" in letter.reason


def test_a_row_that_can_not_be_read_is_put_aside(on: Stage) -> None:
    on.write(check("pending", "fiat/a"), check("pending", "fiat/b"))
    with on.store.database.write() as transaction:
        transaction.execute('UPDATE outbox SET report = \'{"kind": "hologram"}\' WHERE id = 1')
    on.run(1)
    assert on.forge.sent == [check("pending", "fiat/b")]
    assert on.store.outbox.due() == []
    assert on.store.outbox.revive() == 1


def test_repositories_of_one_credential_rest_together_and_are_paced_together(on: Stage) -> None:
    names = [f"acme/r{number}" for number in range(40)]
    forges = {name: CountedForge() for name in names}
    over(on, dict(forges), dict.fromkeys(names, "one"))
    for name in names:
        on.store.outbox.add([addressed(name, check("pending"))])
    on.sender.tick()
    assert sum(forge.asked for forge in forges.values()) == BURST
    for forge in forges.values():
        forge.outage = Waiting("secondary rate limit", retry_after_s=3600)
    on.run(600)
    assert sum(forge.asked for forge in forges.values()) == BURST + 1


def test_a_refused_repository_rests_longer_each_time_and_others_of_its_credential_go_on(on: Stage) -> None:
    forges = {REPO: CountedForge(), "acme/other": CountedForge()}
    forges[REPO].outage = Stalled("not found")
    over(on, dict(forges), dict.fromkeys(forges, "one"))
    on.write(*(check("pending", f"fiat/{number}") for number in range(40)))
    on.store.outbox.add([addressed("acme/other", check("success"))])
    on.run(60)
    assert 4 <= forges[REPO].asked <= 7
    assert forges["acme/other"].sent == [check("success")]
    on.run(300)
    assert forges[REPO].asked <= 12


def test_a_commit_that_the_forge_does_not_want_holds_up_the_others_for_seconds(on: Stage) -> None:
    bad = {f"bad/{number}": Stalled("422") for number in range(3)}
    forge = TouchyForge(**bad)
    over(on, {REPO: forge}, {})
    on.write(*(check("pending", context) for context in bad), check("success", "good"))
    on.run(12)
    assert forge.sent == [check("success", "good")]


def test_a_credential_that_is_refused_everywhere_rests_as_a_whole(on: Stage) -> None:
    names = [f"acme/r{number}" for number in range(10)]
    forges = {name: CountedForge() for name in names}
    over(on, dict(forges), dict.fromkeys(names, "one"))
    for name, forge in forges.items():
        forge.outage = Stalled("bad credentials")
        on.store.outbox.add([addressed(name, check("pending"))])
    on.run(50)
    assert sum(forge.asked for forge in forges.values()) <= 6


def test_a_report_whose_commit_never_comes_is_put_aside_while_others_go_out(on: Stage) -> None:
    forge = TouchyForge(lost=Waiting("no such commit"))
    over(on, {REPO: forge}, {})
    on.write(check("pending", "lost"))
    for number in range(110):
        on.write(check("pending", f"fiat/{number}"))
        hurry(on)
        on.run(3)
    (letter,) = on.store.outbox.letters("dead", 10)
    assert letter.reason == "no such commit"
    assert len(forge.sent) > 100


def test_a_forge_that_is_down_for_days_loses_no_report(on: Stage) -> None:
    on.forge.outage = Waiting("HTTP 502")
    on.write(check("success"))
    for _ in range(200):
        hurry(on)
        on.run(200)
    assert on.store.outbox.letters("dead", 10) == []
