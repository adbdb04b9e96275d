"""The disk of the store is full for a while: webhooks are refused, nothing that was taken is lost, runs go on after."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.runner_tiny import TinyRunner, tiny_runner

pytestmark = pytest.mark.slow
SPEC = "specs/chain/spec.yaml"
DISK_BYTES = 24 << 20


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[TinyRunner]:
    """A runner whose store is a disk of its own; only the superuser can make one, and CI must."""
    state = tmp_path / "state"
    state.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(state)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        reason = f"a small disk can't be made here: {made.stderr.strip()}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        with tiny_runner(tmp_path, lease="3s", reconcile_every="2s") as tiny:
            tiny.watch_results()
            yield tiny
    finally:
        subprocess.run(["umount", "--lazy", str(state)], check=True)


def fill(tiny: TinyRunner) -> list[Path]:
    """Take all the room, to the last byte, whatever is freed meanwhile."""
    taken = []
    for number in range(3):
        ballast = tiny.stage.store / f"ballast{number}"
        with ballast.open("wb", buffering=0) as file:
            try:
                while file.write(b"x" * 65536):
                    pass
            except OSError:
                try:
                    while file.write(b"x" * 4096):
                        pass
                except OSError:
                    pass
        taken.append(ballast)
        time.sleep(0.3)
    return taken


def test_while_the_disk_is_full_webhooks_get_503_and_everything_that_was_taken_ends_well_after(
    tiny: TinyRunner,
) -> None:
    stage = tiny.stage
    stage.start()
    first = tiny.push({SPEC: tiny.chain("first")})
    tiny.wait_final(first.commit)
    busy = tiny.push({SPEC: tiny.chain("busy", sleep_s=2)}, "busy")
    tiny.wait_executed("two", "busy")
    waiting = tiny.push({SPEC: tiny.chain("waiting")}, "waiting", tell=False)
    refused = tiny.push({SPEC: tiny.chain("refused")}, "refused", tell=False)
    ballast = fill(tiny)
    answers = [tiny.answer_to(refused).status for _ in range(3)]
    assert answers == [503] * 3, stage.log
    assert stage.get("/healthz").status == 200
    stage.wait(lambda: "disk is full" in stage.log, "the runner to say so")
    time.sleep(6)  # longer than a lease and than the runs would have taken
    assert not tiny.is_final(refused.commit)
    for path in ballast:
        path.unlink()
    assert tiny.tell(refused)
    assert tiny.tell(waiting)
    tiny.wait_final(busy.commit, waiting.commit, refused.commit)
    for pushed in (first, busy, waiting, refused):
        assert tiny.state_of(pushed.commit) == "success", tiny.stage.log
    tiny.check_world()
    tiny.check_database()
    assert stage.get("/readyz").status == 200
    stage.stop()
    tiny.check_no_orphans()
