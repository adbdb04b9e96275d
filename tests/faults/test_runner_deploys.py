"""Deploys that are overtaken, frozen, killed or cut off from git: the target ends with the model of the head."""

import signal
from collections.abc import Iterator

import psutil
import pytest

from tests.faults.runner_tiny import UMBRELLA, Pushed, TinyRunner, tiny_runner

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyRunner]:
    """A runner that has trained two models already, so that a push is little more than a deploy."""
    with tiny_runner(tmp_path_factory.mktemp("deploys"), lease="3s", reconcile_every="1s") as tiny:
        tiny.watch_results()
        tiny.add_models(1, 2)
        tiny.stage.start()
        for factor in (1, 2):
            pushed = tiny.push(tiny.scale(factor))
            tiny.wait_final(pushed.commit)
            assert tiny.deployed_factor() == factor
        yield tiny
        tiny.stage.stop()
        tiny.check_no_orphans()


@pytest.fixture(autouse=True)
def sound(tiny: TinyRunner) -> Iterator[None]:
    """After each test all that was pushed is over, and nothing was taken back or committed twice."""
    yield
    tiny.check_world()
    tiny.check_ends()


def other(tiny: TinyRunner) -> int:
    """The factor that is not deployed."""
    return 1 if tiny.deployed_factor() == 2 else 2


def check_deployed(tiny: TinyRunner, pushed: Pushed, factor: int) -> None:
    tiny.wait_final(pushed.commit)
    assert tiny.state_of(pushed.commit) == "success", tiny.said(pushed.commit, UMBRELLA)
    assert tiny.deployed_factor() == factor


def test_a_deploy_half_done_is_not_superseded_and_a_push_back_to_the_model_before_it_is_deployed_after_it(
    tiny: TinyRunner,
) -> None:
    before, factor = tiny.deployed_factor(), other(tiny)
    assert before is not None
    with tiny.target_held():
        second = tiny.push(tiny.scale(factor))
        tiny.deploying()
        third = tiny.push(tiny.scale(int(before)))
        queued = f"SELECT 1 FROM queue WHERE commit_id = '{third.commit}' AND state = 'waiting'"
        tiny.stage.wait(lambda: tiny.execute(queued), "the push back to be queued")
    check_deployed(tiny, third, int(before))
    assert tiny.state_of(second.commit) == "success", tiny.said(second.commit, UMBRELLA)


def test_a_worker_that_freezes_in_the_middle_of_a_deploy_does_not_deploy_when_it_wakes_up(
    tiny: TinyRunner,
) -> None:
    factor, generation = other(tiny), tiny.generation()
    with tiny.target_held():
        pushed = tiny.push(tiny.scale(factor))
        worker = tiny.deploying()
        worker.suspend()
        tiny.stage.wait(lambda: not worker.is_running(), "the frozen worker to be ended", 30)
    check_deployed(tiny, pushed, factor)
    assert tiny.generation() == generation + 1, "it was deployed under another number than its own"


def test_a_deploy_whose_worker_and_runner_are_killed_is_done_once_by_the_next(tiny: TinyRunner) -> None:
    factor, generation = other(tiny), tiny.generation()
    with tiny.target_held():
        pushed = tiny.push(tiny.scale(factor))
        worker = tiny.deploying()
        worker.send_signal(signal.SIGKILL)
        tiny.stage.kill()
        psutil.wait_procs([worker], timeout=10)
        tiny.stage.start()
    check_deployed(tiny, pushed, factor)
    assert tiny.generation() == generation + 1
    assert len(tiny.stage.runs_of(pushed.commit)) == 1


def test_a_branch_that_is_set_back_is_run_again_and_deploys_the_older_model(tiny: TinyRunner) -> None:
    factor = other(tiny)
    old = tiny.push(tiny.scale(factor))
    check_deployed(tiny, old, factor)
    new = tiny.push(tiny.scale(other(tiny)))
    tiny.wait_final(new.commit)
    n_seen = len(tiny.stage.forge.world.seen)
    tiny.stage.run_git("reset", "-q", "--hard", old.commit)
    tiny.stage.push("main")
    tiny.stage.wait(lambda: tiny.deployed_factor() == factor, "the older model to be back", 60)
    tiny.wait_final(old.commit, new.commit)
    assert [run["verdict"] for run in tiny.stage.runs_of(old.commit)] == ["pass", "pass"]
    assert len(tiny.stage.runs_of(new.commit)) == 1
    tiny.look()
    assert len(tiny.stage.runs_of(old.commit)) == 2, "it is run again and again"
    # That this commit was pending once more is no report out of order.
    del tiny.stage.forge.world.seen[n_seen:]


def test_a_git_server_that_is_down_when_a_deploy_begins_is_waited_for(tiny: TinyRunner) -> None:
    factor = other(tiny)
    pushed = tiny.push(tiny.scale(factor, sleep_s=4))
    running = f"SELECT 1 FROM queue WHERE commit_id = '{pushed.commit}' AND state = 'running'"
    tiny.stage.wait(lambda: tiny.execute(running), "the training to begin")
    tiny.stage.git.fail = 503
    waits = f"SELECT reason FROM queue WHERE commit_id = '{pushed.commit}' AND reason LIKE '%git%'"
    try:
        tiny.stage.wait(lambda: tiny.execute(waits), "the run to be given back", 60)
        assert tiny.deployed_factor() != factor
        assert not tiny.is_final(pushed.commit)
    finally:
        tiny.stage.git.fail = 0
    check_deployed(tiny, pushed, factor)


def test_a_commit_that_is_no_longer_the_head_when_its_model_is_ready_deploys_nothing(
    tiny: TinyRunner,
) -> None:
    factor, generation = other(tiny), tiny.generation()
    tiny.stage.stop()
    tiny.stage.settings["reconcile_every"] = "1h"
    tiny.stage.start()
    stale = tiny.push(tiny.scale(factor, sleep_s=5))
    running = f"SELECT 1 FROM queue WHERE commit_id = '{stale.commit}' AND state = 'running'"
    tiny.stage.wait(lambda: tiny.execute(running), "the training to begin")
    # Set back behind the runner's back: no webhook, and it won't look for long.
    tiny.stage.run_git("reset", "-q", "--hard", stale.before)
    head = tiny.push({"README.md": "words"}, tell=False)
    tiny.wait_final(stale.commit)
    assert tiny.state_of(stale.commit) == "error"
    assert "moved on" in tiny.stage.description(stale.commit, UMBRELLA)
    assert tiny.deployed_factor() != factor
    assert tiny.generation() == generation
    tiny.stage.stop()
    tiny.stage.settings["reconcile_every"] = "1s"
    tiny.stage.start()
    tiny.wait_final(head.commit)
    assert tiny.state_of(head.commit) == "success"
    assert tiny.deployed_factor() != factor
