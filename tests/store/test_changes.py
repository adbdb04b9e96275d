import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from queue_kit import MAIN, Words, change, check, commit_of, put, queued, texts, umbrella

from fiat.run.model import Verdict
from fiat.run.queue import CLOSED, Change, QueuedRun
from fiat.run.report import Check
from fiat.store.changes import cursor_of_change
from fiat.store.settling import standing
from fiat.store.store import Store

PULL = {"purpose": "pull_request", "pull": 5}


def states(store: Store) -> dict[int, str]:
    """The state of each run by the number of its change, with what it is asked to end for."""
    return {int(run.change[-6:]): run.state + (run.cancel and "!") for run in store.queue.newest(limit=1000)}


def test_a_change_is_added_once_for_all_that_makes_it_unique(store: Store) -> None:
    assert store.changes.add(change(1), [umbrella(1)])
    assert not store.changes.add(change(1, id="later", cause="another hook"), [umbrella(1, text="again")])
    assert texts(store) == [("pending", "queued")]
    for number, other in enumerate(
        (
            {"repo": "acme/other"},
            {"commit": commit_of(2)},
            {"purpose": "schedule"},
            {"ref": "refs/heads/dev"},
            {"pull": 3},
            {"serial": 1},
        )
    ):
        assert store.changes.add(change(1, id=f"other-{number}", **other), [])
    assert len(store.changes.open()) == 7


def test_a_change_comes_back_whole(reopen: Callable[[], Store]) -> None:
    whole = change(
        1,
        purpose="manual",
        pull=4,
        fork=True,
        head_repo_id="99",
        serial=2,
        specs=("digits", "specs/wine"),
        overrides=("params.lr=0.1",),
        cause="ann <b>pressed</b>",
    )
    reopen().changes.add(whole)
    found = reopen().changes.find(whole.id)
    assert found is not None
    assert found.made_at is not None
    assert replace(found, made_at=None) == whole
    assert reopen().changes.find("nothing") is None


def test_open_changes_come_the_oldest_first(store: Store) -> None:
    for number in (2, 1, 3):
        store.changes.add(change(number))
    put(store, 4)
    assert [one.id for one in store.changes.open()] == [change(number).id for number in (2, 1, 3)]
    assert len(store.changes.open(limit=2)) == 2


def test_a_change_is_split_once(store: Store) -> None:
    store.changes.add(change(1))
    first = [queued(1, "digits"), queued(1, "wine")]
    reports = [check(run, "pending", "queued") for run in first]
    assert store.changes.split(change(1).id, first, reports, Words()) == []
    assert store.changes.split(change(1).id, [queued(7, of=change(1))], reports, Words()) == []
    assert store.changes.split("nothing", [queued(7)], reports, Words()) == []
    assert [run.spec for run in store.queue.of_change(change(1).id)] == ["digits", "wine"]
    assert texts(store) == [("pending", "queued")] * 2
    found = store.changes.find(change(1).id)
    assert found is not None
    assert found.state == "split"


def test_a_change_that_touches_nothing_is_done_with_its_report(store: Store) -> None:
    store.changes.add(change(1), [umbrella(1)])
    store.changes.split(change(1).id, [], [umbrella(1, "success", "no change")], Words(), reason="no change")
    found = store.changes.find(change(1).id)
    assert found is not None
    assert (found.state, found.verdict, found.reason) == ("done", "pass", "no change")
    assert texts(store) == [("success", "no change")]
    assert store.changes.open() == []


def test_a_change_is_done_with_the_worst_verdict_when_its_last_run_is(store: Store) -> None:
    runs = put(store, 1, runs=[queued(1, spec) for spec in ("a", "b", "c", "d")])
    words = Words()
    for verdict in ("pass", "warn", "fail", "pass"):
        claimed = store.queue.claim("w")
        assert claimed is not None
        ended = store.queue.finish(claimed.id, claimed.fence, verdict, f"it was {verdict}", [], words)
    assert ended is not None
    assert (ended.state, ended.verdict, ended.reason) == ("done", "fail", "c: it was fail")
    assert store.changes.find(ended.id) == ended
    assert words.changes == [ended.id]
    assert len(runs) == 4


def test_what_was_refused_stands_while_another_spec_of_its_commit_is_run_again(store: Store) -> None:
    put(store, 1, runs=[queued(1, "a"), queued(1, "b")])
    for verdict in ("fail", "pass"):
        claimed = store.queue.claim("w")
        assert claimed is not None
        store.queue.finish(claimed.id, claimed.fence, verdict, verdict, [], Words())
    partly = change(1, id="partly", serial=1, specs=("b",))
    tried = change(1, id="tried", serial=2, overrides=("lr=1",))
    for one, spec in ((partly, "b"), (tried, "a")):
        store.changes.add(one)
        run = queued(1, spec, of=one, id=f"{one.id}-{spec}", overrides=one.overrides)
        store.changes.split(one.id, [run], [], Words())
    assert [run.id for run in standing(store.database.read, partly)] == ["run-000001-a", "partly-b"]
    assert [run.id for run in standing(store.database.read, change(1))] == ["run-000001-a", "partly-b"]
    assert [run.id for run in standing(store.database.read, tried)] == ["tried-a"]
    elsewhere = change(1, id="elsewhere", purpose="pull_request", pull=3, specs=("a",))
    assert standing(store.database.read, elsewhere) == ()


def test_a_run_with_overrides_takes_no_place_of_one_without(store: Store) -> None:
    put(store, 1, runs=[queued(1, group="g")])
    tried = change(2, overrides=("lr=1",))
    store.changes.add(tried)
    run = queued(2, of=tried, group="g", overrides=tried.overrides)
    assert store.changes.split(tried.id, [run], [], Words()) == []
    assert states(store) == {1: "waiting", 2: "waiting"}


def test_a_newer_commit_supersedes_what_waits_and_stops_what_trains(store: Store) -> None:
    put(store, 1, runs=[queued(1, group="digits main")])
    running = store.queue.claim("w")
    assert running is not None
    put(store, 2, runs=[queued(2, group="digits main")])
    words = Words()
    store.changes.add(change(3))
    ended = store.changes.split(change(3).id, [queued(3, group="digits main")], [], words)
    assert [(run.change, run.state, run.verdict, run.reason) for run in ended] == [
        (change(2).id, "done", "error", f"superseded by {commit_of(3)[:10]}")
    ]
    assert (words.runs, words.changes) == ([queued(2).id], [change(2).id])
    assert states(store) == {1: "running!", 2: "done", 3: "waiting"}
    assert store.queue.beat(running.id, running.fence) == f"superseded by {commit_of(2)[:10]}"
    assert ("error", ended[0].reason) in texts(store)


def test_a_deploy_half_done_is_never_superseded_and_of_those_behind_it_the_newest_is_kept(
    store: Store,
) -> None:
    put(store, 1, runs=[queued(1, group="g")])
    running = store.queue.claim("w")
    assert running is not None
    store.queue.begin_deploy(running.id, running.fence)
    for number in (2, 3):
        put(store, number, runs=[queued(number, group="g")])
    assert states(store) == {1: "running", 2: "done", 3: "waiting"}
    assert store.queue.beat(running.id, running.fence) == ""
    store.queue.give_back(running.id, running.fence, "the worker ends")
    put(store, 4, runs=[queued(4, group="g")])
    assert states(store) == {1: "waiting", 2: "done", 3: "done", 4: "waiting"}


def test_without_supersede_what_trains_goes_on_and_the_newest_that_would_deploy_is_kept(store: Store) -> None:
    put(store, 1, runs=[queued(1, group="g", supersede=False)])
    store.queue.claim("w")
    for number in (2, 3):
        put(store, number, runs=[queued(number, group="g", supersede=False)])
    assert states(store) == {1: "running", 2: "done", 3: "waiting"}


def test_pull_requests_without_supersede_all_wait(store: Store) -> None:
    for number in (1, 2):
        one = change(number, **PULL)
        put(store, number, runs=[queued(number, of=one, group="g", supersede=False)], **PULL)
    assert states(store) == {1: "waiting", 2: "waiting"}


@pytest.mark.parametrize(
    "other",
    [
        {"repo": "acme/other"},
        {"ref": "refs/heads/dev"},
        {"purpose": "schedule"},
        PULL,
    ],
    ids=["another repository", "another branch", "another purpose", "a pull request"],
)
def test_what_belongs_to_another_line_of_commits_is_left_alone(store: Store, other: dict[str, Any]) -> None:
    put(store, 1, runs=[queued(1, group="g")])
    put(store, 2, runs=[queued(2, of=change(2, **other), group="g")], **other)
    assert states(store) == {1: "waiting", 2: "waiting"}


def test_another_spec_of_the_group_is_left_alone_and_so_is_a_run_without_a_group(store: Store) -> None:
    put(store, 1, runs=[queued(1, group="g")])
    put(store, 2, runs=[queued(2, "wine", group="g")])
    put(store, 3, runs=[queued(3)])
    put(store, 4, runs=[queued(4)])
    assert set(states(store).values()) == {"waiting"}


def test_an_older_commit_that_is_split_late_is_superseded_at_once(store: Store) -> None:
    store.changes.add(change(1), [umbrella(1)])
    put(store, 2, runs=[queued(2, group="g")])
    words = Words()
    late = [queued(1, group="g"), queued(1, "wine")]
    ended = store.changes.split(change(1).id, late, [], words)
    assert [run.id for run in ended] == [late[0].id]
    assert ended[0].reason == f"superseded by {commit_of(2)[:10]}"
    assert store.queue.find(queued(1, "wine").id).state == "waiting"  # type: ignore[union-attr]
    assert words.changes == []
    assert store.queue.find(queued(2).id).cancel == ""  # type: ignore[union-attr]


def test_an_approval_that_came_first_lets_held_runs_wait(store: Store) -> None:
    stranger = {"fork": True, "head_repo_id": "9", **PULL}
    changes = [change(number, **stranger) for number in (1, 2)]
    for one in changes:
        assert store.changes.add(one)
    assert store.queue.approve("acme/models", 5, commit_of(1), "bob") == []
    for number, one in enumerate(changes, 1):
        run: QueuedRun = queued(number, of=one, state="held")
        store.changes.split(one.id, [run], [], Words())
    assert states(store) == {1: "waiting", 2: "held"}


def test_the_latest_change_of_a_branch_is_found(store: Store) -> None:
    for number in (3, 1):
        put(store, number)
    put(store, 4, **PULL)
    assert store.changes.latest("acme/models", "push", MAIN).id == change(1).id  # type: ignore[union-attr]
    assert store.changes.latest("acme/models", "pull_request", MAIN, 5).id == change(4).id  # type: ignore[union-attr]
    assert store.changes.latest("acme/models", "push", "refs/heads/dev") is None
    assert [one.id for one in store.changes.of_commit("acme/models", commit_of(3))] == [change(3).id]


def test_changes_are_paged_from_the_newest_on(store: Store) -> None:
    for number in range(7):
        store.changes.add(change(number, repo=f"acme/r{number % 2}"))
    seen: list[str] = []
    before = ""
    while page := store.changes.newest(before=before, limit=3):
        seen += [one.id for one in page]
        before = cursor_of_change(page[-1])
    assert seen == [change(number).id for number in reversed(range(7))]
    assert [one.id for one in store.changes.newest(repo="acme/r1", limit=2)] == [change(5).id, change(3).id]


def test_each_time_a_commit_is_run_again_it_gets_another_serial(store: Store) -> None:
    assert store.changes.next_serial(change(1)) == 0
    store.changes.add(change(1))
    store.changes.add(change(1, id="pull", **PULL))
    again = change(1, id="again", serial=store.changes.next_serial(change(1)))
    assert again.serial == 1
    assert store.changes.add(again)
    assert store.changes.next_serial(change(1)) == 2


def test_a_change_whose_end_was_missed_is_settled(store: Store) -> None:
    put(store, 1)
    assert store.changes.settle(change(1).id, Words()) is None
    with store.database.write() as transaction:
        transaction.execute("UPDATE queue SET state = 'done', verdict = 'pass'")
    ended = store.changes.settle(change(1).id, Words())
    assert ended is not None
    assert (ended.state, ended.verdict) == ("done", "pass")
    assert store.changes.settle(change(1).id, Words()) is None


def pull(number: int, at: int = 9, base: str = MAIN, **changes: Any) -> Change:
    """A change of a pull request of this number, whose head is commit 9."""
    fields: dict[str, Any] = {"id": f"pull-{at}-{number}", "purpose": "pull_request", "pull": number}
    return change(9, **{**fields, "ref": base, **changes})


def judged(store: Store, of: Change, verdict: Verdict) -> None:
    """Its one run ends."""
    claimed = store.queue.claim("w")
    assert claimed is not None
    assert claimed.change == of.id
    store.queue.finish(claimed.id, claimed.fence, verdict, f"{of.pull} is {verdict}", [], Words())


def add(store: Store, of: Change) -> None:
    assert store.changes.add(of, [umbrella(9)])
    store.changes.split(of.id, [queued(9, of=of, id=f"run-{of.id}")], [], Words())


def stands(store: Store) -> list[tuple[str, str]]:
    """What is due of the commit's own check."""
    items = [item.report for item in store.outbox.due(1000)]
    found = [one for one in items if isinstance(one, Check) and one.context == "fiat/push"]
    return [(one.state, one.description) for one in found]


@pytest.mark.parametrize(("first", "second"), [("fail", "pass"), ("pass", "fail")])
def test_a_commit_of_two_pull_requests_is_pending_until_both_are_over_and_stands_as_the_worse_one(
    store: Store, first: Verdict, second: Verdict
) -> None:
    one, two = pull(1), pull(2, base="refs/heads/lax")
    add(store, one)
    add(store, two)
    judged(store, one, first)
    assert stands(store) == [("pending", "queued")]
    judged(store, two, second)
    assert stands(store) == [("error", f"digits: {1 if first == 'fail' else 2} is fail")]


def test_a_pull_request_that_concerns_nothing_takes_no_refusal_of_another_one_back(store: Store) -> None:
    one, two = pull(1), pull(2, base="refs/heads/lax")
    add(store, one)
    judged(store, one, "fail")
    assert store.changes.add(two, [umbrella(9)])
    assert stands(store) == [("pending", "queued")]
    store.changes.split(two.id, [], [], Words(), reason="no change")
    assert stands(store) == [("error", "digits: 1 is fail")]


def test_a_pull_request_that_was_closed_leaves_the_commit_to_the_others(store: Store) -> None:
    one, two = pull(1), pull(2)
    add(store, one)
    judged(store, one, "pass")
    add(store, two)
    assert store.queue.cancel(f"run-{two.id}", CLOSED, Words())
    assert stands(store) == [("success", "digits: 1 is pass")]


@pytest.mark.parametrize("supersede", [True, False])
def test_a_pull_request_that_goes_to_another_branch_ends_what_ran_for_the_one_before(
    store: Store, supersede: bool
) -> None:
    before, after = pull(1), pull(1, base="refs/heads/dev", id="pull-9-1-dev")
    for one in (before, after):
        assert store.changes.add(one, [umbrella(9)])
        run = queued(9, of=one, id=f"run-{one.id}", group=f"to {one.ref}", supersede=supersede)
        store.changes.split(one.id, [run], [], Words())
    found = store.queue.find(f"run-{before.id}")
    assert found is not None
    assert (found.state, found.reason) == ("done", f"superseded by {commit_of(9)[:10]}")
    assert stands(store) == [("pending", "queued")], "the newer one is not over"
    judged(store, after, "pass")
    assert stands(store) == [("success", "digits: 1 is pass")]
