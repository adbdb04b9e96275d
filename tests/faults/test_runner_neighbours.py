"""One repository's trouble is its own: a git server that hangs keeps no other repository waiting."""

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.repo_stage import MONA
from tests.faults.runner_tiny import TinyRunner, tiny_runner

sys.path.insert(0, str(Path(__file__).parents[1] / "builtin"))
from forge_stage import slow

pytestmark = pytest.mark.slow
SPEC = "specs/chain/spec.yaml"


@contextmanager
def silent_server() -> Iterator[int]:
    """A port that takes every connection and never says a word."""
    held = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        for one in held:
            one.close()


def check_beside(tiny: TinyRunner) -> None:
    """A push to the first repository is over in no time."""
    began = time.monotonic()
    pushed = tiny.push({SPEC: tiny.chain("beside")})
    tiny.stage.wait(lambda: tiny.state_of(pushed.commit) == "pending", "the first word", 5)
    tiny.wait_final_of(pushed.commit)
    assert time.monotonic() - began < 15
    assert tiny.state_of(pushed.commit) == "success"


def test_a_repository_whose_git_server_hangs_keeps_no_other_waiting(tmp_path: Path) -> None:
    with silent_server() as port, tiny_runner(tmp_path, reconcile_every="1s") as tiny:
        hangs = tiny.stage.add("acme/hangs", branches=["*"], url=f"http://127.0.0.1:{port}/acme/hangs.git")
        tiny.stage.start()
        for number in (1, 2, 3):
            event, body = hangs.place.push(f"refs/heads/b{number}", f"{number}" * 40, "0" * 40, MONA)
            assert hangs.tell(event, body).status == 202
        time.sleep(2)
        check_beside(tiny)
        began = time.monotonic()
        tiny.stage.stop()
        assert time.monotonic() - began < 15, "the end waits for the server that hangs"
        assert hangs.forge.world.last("1" * 40, "fiat/push") == "pending"


def test_a_repository_whose_forge_hangs_keeps_no_other_waiting(tmp_path: Path) -> None:
    with tiny_runner(tmp_path) as tiny:
        other = tiny.stage.add("acme/hangs", branches=["*"])
        tiny.stage.start()
        other.wait_state(other.pushed({SPEC: tiny.chain("first")}), "fiat/push", "success")
        other.forge.outage = slow(25)
        told = other.pushed({SPEC: tiny.chain("hangs")})
        tiny.wait_executed("three", "hangs")
        check_beside(tiny)
        assert other.forge.world.last(told, "fiat/push") != "success"
