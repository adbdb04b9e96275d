"""The forge fails in every way: all final states arrive, in order, and a forge that is down is left in peace."""

import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.runner_tiny import CHAIN, UMBRELLA, TinyRunner, tiny_runner

sys.path.insert(0, str(Path(__file__).parents[1] / "builtin"))
from forge_stage import (
    BROKEN,
    HALF,
    INVALID,
    LOST,
    NOT_THERE,
    NOTHING,
    UNAVAILABLE,
    Asked,
    Fault,
    busy,
    exhausted,
    slow,
)

pytestmark = pytest.mark.slow
SEED = int(os.environ.get("FIAT_FORGE_SEED", "7"))
SPEC = "specs/chain/spec.yaml"


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[TinyRunner]:
    with tiny_runner(tmp_path) as tiny:
        tiny.watch_results()
        yield tiny


def check(tiny: TinyRunner, *commits: str) -> None:
    """Every one of these stands at success in both contexts, nothing was taken back, nothing waits."""
    for commit in commits:
        assert tiny.state_of(commit) == "success", tiny.said(commit, UMBRELLA)
        assert tiny.state_of(commit, CHAIN) == "success", tiny.said(commit, CHAIN)
    tiny.check_world()
    tiny.check_database()
    assert tiny.stage.get("/api/v1/letters").body["items"] == []


def test_requests_that_fail_at_random_in_every_way_lose_no_state_and_bring_none_out_of_order(
    tiny: TinyRunner,
) -> None:
    print(f"FIAT_FORGE_SEED={SEED} repeats this")
    draw = random.Random(SEED)
    faults = [BROKEN, UNAVAILABLE, busy(1), busy(1, 429), exhausted(1), NOT_THERE, HALF, LOST, NOTHING]

    def chance(asked: Asked) -> Fault | None:
        return draw.choice(faults) if asked.method == "POST" and draw.random() < 0.7 else None

    def n_failed() -> int:
        met = [status for asked, status in list(tiny.stage.forge.requests) if asked.method == "POST"]
        return sum(status not in (200, 201) for status in met)

    # The first one is done, but its answer takes longer than our patience.
    tiny.stage.forge.fail(slow(22), method="POST", path="/statuses/")
    tiny.stage.forge.chance = chance
    tiny.stage.start()
    commits = [tiny.push({SPEC: tiny.chain(number)}, f"branch-{number}").commit for number in range(5)]
    tiny.stage.wait(lambda: n_failed() >= 5, "requests to fail", 90)
    tiny.stage.forge.heal()
    tiny.wait_final(*commits)
    check(tiny, *commits)


def test_through_an_outage_and_a_restart_everything_waits_and_the_forge_is_asked_less_than_once_a_second(
    tiny: TinyRunner,
) -> None:
    stage = tiny.stage
    stage.start()
    first = tiny.push({SPEC: tiny.chain("first")})
    tiny.wait_final(first.commit)
    stage.forge.outage = UNAVAILABLE
    began, asked = time.monotonic(), len(stage.forge.requests)
    commits = [tiny.push({SPEC: tiny.chain(number)}, f"branch-{number}").commit for number in range(3)]
    stage.wait(lambda: all(over(tiny, commit) for commit in commits), "the runs to be over", 60)
    letters = stage.get("/api/v1/letters?state=waiting").body["items"]
    assert {letter["reason"] for letter in letters if letter["attempt"]} != set()
    assert all("503" in letter["reason"] for letter in letters if letter["attempt"])
    time.sleep(max(0.0, began + 9 - time.monotonic()))
    stage.stop()
    stage.start()
    time.sleep(5)
    down_s = time.monotonic() - began
    n_asked = len(stage.forge.requests) - asked
    assert n_asked < down_s, f"{n_asked} requests in {down_s:.0f} s"
    stage.forge.heal()
    tiny.wait_final(*commits, timeout_s=60)
    check(tiny, first.commit, *commits)


def over(tiny: TinyRunner, commit: str) -> bool:
    """Whether the runner is done with a commit, whatever the forge knows."""
    rows = tiny.execute(f"SELECT state FROM changes WHERE commit_id = '{commit}'")
    return [str(row[0]) for row in rows] == ["done"]


def test_a_fresh_commit_that_the_forge_does_not_know_yet_gets_its_states_later(tiny: TinyRunner) -> None:
    tiny.stage.start()
    tiny.stage.forge.fail(NOT_THERE, times=2, method="POST", path="/statuses/")
    pushed = tiny.push({SPEC: tiny.chain("fresh")})
    tiny.wait_final(pushed.commit, timeout_s=60)
    check(tiny, pushed.commit)


def test_what_the_forge_never_takes_becomes_a_dead_letter_that_the_api_lists_and_holds_up_nothing(
    tiny: TinyRunner,
) -> None:
    stage = tiny.stage
    stage.start()
    bad = tiny.push({SPEC: tiny.chain("bad")}, "bad", tell=False).commit
    stage.forge.fail(INVALID, times=1000, method="POST", path=f"/statuses/{bad}")
    assert tiny.tell(tiny.pushed[-1])
    good = tiny.push({SPEC: tiny.chain("good")}, "good")
    tiny.stage.wait(lambda: tiny.is_final(good.commit), "another commit to be over")
    stage.wait(lambda: over(tiny, bad), "the run to be over")
    assert tiny.state_of(bad) == ""

    def no_more_patience() -> bool:
        # As after four tries that are hours apart.
        tiny.execute("UPDATE outbox SET attempt = 4, not_before = set_at WHERE state = 'waiting'")
        return len(dead_letters(tiny)) == 2

    stage.wait(no_more_patience, "the letters to be dead", 30)
    for letter in dead_letters(tiny):
        assert letter["repo"] == "acme/models"
        assert "422" in letter["reason"]
    # Who mends it and starts the runner again gets what was kept.
    stage.forge.heal()
    stage.stop()
    stage.start()
    tiny.wait_final(bad, good.commit)
    check(tiny, bad, good.commit)


def dead_letters(tiny: TinyRunner) -> list[dict[str, str]]:
    found: list[dict[str, str]] = tiny.stage.get("/api/v1/letters?state=dead").body["items"]
    return found
