"""A runner whose clock jumps by an hour, forth and back: the order of commits stays, nothing is lost or done twice."""

import sys
import time
from pathlib import Path

import pytest

from tests.faults.runner_shim import HOUR_S, Shim
from tests.faults.runner_tiny import UMBRELLA, tiny_runner

sys.path.insert(0, str(Path(__file__).parents[1] / "builtin"))
from forge_stage import BROKEN

pytestmark = pytest.mark.slow
SPEC = "specs/chain/spec.yaml"


def test_pushes_before_and_after_jumps_of_the_clock_are_each_run_once_and_the_newest_wins(
    tmp_path: Path,
) -> None:
    shim = Shim(tmp_path)
    with tiny_runner(tmp_path, workers=1, reconcile_every="1s") as tiny:
        tiny.watch_results()
        tiny.stage.environment |= shim.environment("runner")
        tiny.stage.start()
        pushed = []
        for number, off_s in enumerate((0, HOUR_S, -HOUR_S, 0)):
            shim.set("runner", off_s)
            # The forge fails once: what is to be sent again must not wait for the clock to come back.
            tiny.stage.forge.fail(BROKEN, times=2, method="POST", path="/statuses/")
            pushed.append(tiny.push({SPEC: tiny.chain(f"at{number}")}))
            began = time.monotonic()
            tiny.wait_final(pushed[-1].commit)
            assert time.monotonic() - began < 60
            tiny.look()
        # While a run goes on the clock is set back; a push after it is newer all the same.
        slow = tiny.push({SPEC: tiny.chain("slow", sleep_s=20)})
        tiny.wait_executed("one", "slow")
        shim.set("runner", -HOUR_S)
        newest = tiny.push({SPEC: tiny.chain("newest")})
        tiny.wait_final(slow.commit, newest.commit)
        tiny.look()
        for one in (*pushed, newest):
            assert tiny.state_of(one.commit) == "success", tiny.said(one.commit, UMBRELLA)
        assert f"superseded by {newest.commit[:10]}" in tiny.stage.description(slow.commit, UMBRELLA)
        tiny.check_world()
        tiny.check_database()
        tiny.check_ledger(0)
        first = tiny.stage.runs()[0]
        assert first["commit"] == newest.commit, "the newest run is not the first of the list"
