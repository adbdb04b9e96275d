"""Newer commits and older ones, webhooks in any order, branches that move back or vanish: every commit ends in one way."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.repo_stage import MONA
from tests.faults.runner_tiny import UMBRELLA, Pushed, TinyRunner, tiny_runner

pytestmark = pytest.mark.slow
SPEC = "specs/chain/spec.yaml"


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[TinyRunner]:
    """One worker, so that a second run of the repository waits for the first."""
    with tiny_runner(tmp_path, workers=1, reconcile_every="1s") as tiny:
        tiny.watch_results()
        yield tiny


def long_chain(tiny: TinyRunner, salt: str, sleep_s: float = 30.0) -> dict[str, str]:
    """A spec whose first step takes long."""
    return {SPEC: tiny.chain(salt, sleep_s=sleep_s)}


def quick_chain(tiny: TinyRunner, salt: str) -> dict[str, str]:
    return {SPEC: tiny.chain(salt)}


def test_of_three_quick_pushes_the_training_of_the_first_is_cancelled_and_the_newest_wins(
    tiny: TinyRunner,
) -> None:
    tiny.stage.start()
    first = tiny.push(long_chain(tiny, "first"))
    tiny.wait_executed("one", "first")
    second = tiny.push(long_chain(tiny, "second"))
    third = tiny.push(quick_chain(tiny, "third"))
    began = time.monotonic()
    tiny.wait_final(first.commit, second.commit, third.commit)
    assert time.monotonic() - began < 25, "the first one's training went on"
    assert tiny.state_of(third.commit) == "success"
    for older in (first, second):
        assert tiny.state_of(older.commit) == "error"
        assert "superseded by" in tiny.stage.description(older.commit, UMBRELLA)
    assert ("two", "second") not in tiny.executions()
    assert ("two", "first") not in tiny.executions()
    assert tiny.stage.runs_of(first.commit)[0]["reason"].startswith(f"superseded by {second.commit[:10]}")
    tiny.check_world()
    tiny.check_database()
    tiny.check_ledger(0)


def test_webhooks_that_arrive_in_the_wrong_order_make_one_run_of_the_head_and_it_wins(tmp_path: Path) -> None:
    # Nothing but webhooks lets this runner look at git.
    with tiny_runner(tmp_path, workers=1, reconcile_every="1h") as tiny:
        tiny.watch_results()
        tiny.stage.start()
        start = tiny.push(quick_chain(tiny, "start"))
        tiny.wait_final(start.commit)
        older = tiny.push(quick_chain(tiny, "older"), tell=False)
        newer = tiny.push(quick_chain(tiny, "newer"), tell=False)
        assert tiny.tell(newer)
        assert tiny.tell(older)
        tiny.wait_final(older.commit, newer.commit)
        assert tiny.state_of(newer.commit) == "success"
        assert tiny.state_of(older.commit) == "error"
        assert f"superseded by {newer.commit[:10]}" in tiny.stage.description(older.commit, UMBRELLA)
        # Neither does an old webhook that somebody sends again, nor another look at git.
        assert tiny.tell(Pushed(older.commit, older.branch, older.before))
        looks = tiny.looks()
        tiny.stage.stop()
        tiny.stage.start()
        tiny.look(since=looks - 1)
        tiny.check_world()
        tiny.check_database()
        assert len(tiny.stage.runs_of(newer.commit)) == 1
        assert ("one", "older") not in tiny.executions()


def test_runs_of_a_branch_that_is_deleted_end_and_deploy_nothing(tiny: TinyRunner) -> None:
    tiny.stage.start()
    busy = tiny.push({SPEC: tiny.chain("busy", first_s=3)})
    tiny.wait_executed("one", "busy")
    tiny.stage.run_git("checkout", "-q", "-b", "gone")
    queued = tiny.push(quick_chain(tiny, "gone"), "gone")
    tiny.stage.run_git("push", "-q", tiny.stage.address, ":refs/heads/gone")
    assert tiny.tell(Pushed("0" * 40, "gone", queued.commit))
    tiny.wait_final(busy.commit, queued.commit)
    assert tiny.state_of(busy.commit) == "success"
    # Queued before the branch was seen to be gone, it may have run; that it never looks deployed is all that matters.
    assert tiny.state_of(queued.commit) in ("success", "error")
    tiny.told = [pushed for pushed in tiny.told if pushed.commit != "0" * 40]
    tiny.check_world()
    tiny.check_database()


def test_what_is_held_for_approval_ends_when_its_pull_request_is_closed(tiny: TinyRunner) -> None:
    stage = tiny.stage
    stage.start()
    reads_a_file = tiny.chain("start", code="specs/chain/*.txt")
    start = tiny.push({SPEC: reads_a_file, "specs/chain/rows.txt": "rows"})
    tiny.wait_final(start.commit)
    commit = stage.propose(7, {"specs/chain/rows.txt": "more"}, fork=True)
    stage.wait(lambda: "approve" in stage.description(commit, "fiat/pr/chain"), "the word that it waits")
    stage.tell_pull(7, commit, action="closed", fork=True)
    tiny.wait_final()
    stage.wait(lambda: tiny.is_final(commit, "fiat/pr"), "the end of the held run")
    assert tiny.state_of(commit, "fiat/pr") == "error"
    assert "closed" in stage.description(commit, "fiat/pr")
    assert tiny.executions()["one", "start"] == 1
    tiny.check_world()


def test_fifty_times_the_same_delivery_at_once_is_one_run(tiny: TinyRunner) -> None:
    tiny.stage.start()
    pushed = tiny.push(quick_chain(tiny, "once"), tell=False)
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(tiny.answer_to, [pushed] * 50))
    assert {answer.status for answer in answers} == {202}
    tiny.told.append(pushed)
    tiny.wait_final(pushed.commit)
    other_id = Pushed(pushed.commit, pushed.branch, pushed.before)
    assert tiny.answer_to(other_id).status in (200, 202)
    tiny.look()
    assert tiny.executions() == {(step, "once"): 1 for step in ("one", "two", "three")}
    tiny.check_world()
    tiny.check_database()
    taken = tiny.stage.get("/metrics").body
    assert 'outcome="replay"' in taken or "replay" in taken


def test_pushes_while_the_runner_was_down_are_caught_up_once_and_a_delivery_that_failed_is_taken(
    tiny: TinyRunner,
) -> None:
    tiny.stage.start()
    start = tiny.push(quick_chain(tiny, "start"))
    tiny.wait_final(start.commit)
    tiny.stage.stop()
    tiny.told.clear()
    missed = [tiny.push(quick_chain(tiny, f"missed{n}"), tell=False) for n in range(3)]
    assert not tiny.tell(missed[2])
    tiny.stage.start()
    tiny.wait_final(missed[2].commit)
    assert tiny.tell(missed[2])
    tiny.look()
    assert tiny.state_of(missed[2].commit) == "success"
    assert tiny.executions()["one", "missed2"] == 1
    assert not tiny.state_of(missed[0].commit)
    tiny.check_world()
    tiny.check_database()


def test_a_push_and_a_pull_request_of_one_commit_are_a_run_each_and_no_result_comes_twice(
    tmp_path: Path,
) -> None:
    with tiny_runner(tmp_path, workers=2) as tiny:
        tiny.watch_results()
        tiny.stage.start()
        start = tiny.push(quick_chain(tiny, "start"))
        tiny.wait_final(start.commit)
        both = tiny.push({SPEC: tiny.chain("both", sleep_s=0.5)}, "topic", tell=False)
        tiny.stage.tell_pull(3, both.commit)
        assert tiny.tell(both)
        tag = tiny.stage.place.push("refs/tags/v1", both.commit, "0" * 40, MONA)
        assert tiny.stage.tell(*tag).status == 202
        tiny.wait_final(both.commit)
        tiny.stage.wait(lambda: tiny.is_final(both.commit, "fiat/pr"), "the pull request's check")
        assert [run["purpose"] for run in tiny.stage.runs_of(both.commit, "push")] == ["push"]
        assert [run["purpose"] for run in tiny.stage.runs_of(both.commit, "pull_request")] == ["pull_request"]
        assert len(tiny.stage.runs_of(both.commit)) == 2
        tiny.wait_final(both.commit)
        tiny.check_world()
        tiny.check_ends()
