"""How a Ray host is started, with a supervisor that says what a host would say. Real hosts: `test_ray_host.py`."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from fiat.builtin.job_child import RunningChild, Supervisor
from fiat.builtin.job_wire import send_message
from fiat.builtin.ray_launch import Launched, launch, make_temp_dir
from fiat.errors import EnvironmentFault
from fiat.ports.compute import Capacity

DIED = ("fault", "Ray's raylet died", "")
READY = ("ready", Capacity(2, 1, 1 << 30, "Ray"), os.getpid(), os.getppid(), "127.0.0.1:1")
GONE = ()


class Host:
    """Starts nothing; each start says the next of its answers, and an empty one ends at once.

    Its log has what the host printed, and that it was ended.
    """

    def __init__(self, *answers: tuple[object, ...]) -> None:
        self.answers = list(answers)
        self.requests: list[Mapping[str, Any]] = []

    def start(self, request: Mapping[str, Any], stdin: socket.socket) -> RunningChild:
        self.requests.append(request)
        with Path(request["log"]).open("a") as log:
            log.write("no room\n[fiat] cancelled: stopping\n[fiat] cancelled\n")
        if answer := self.answers.pop(0):
            send_message(stdin, answer)
        ours, theirs = socket.socketpair()
        theirs.send(b'{"state": "failed"}\n')
        theirs.close()
        return RunningChild(ours)


def started(host: Host, address: str | None = None) -> Launched:
    temp_dir = make_temp_dir()
    try:
        return launch(
            cast(Supervisor, host), temp_dir, {}, address=address, cpus=1, gpus=0, ledger=Path("/x")
        )
    finally:
        for path in temp_dir.iterdir():
            path.unlink()
        temp_dir.rmdir()


@pytest.mark.parametrize("end", [DIED, GONE])
def test_a_ray_that_dies_while_it_starts_is_started_a_second_time(end: tuple[object, ...]) -> None:
    host = Host(end, READY)
    launched = started(host)
    assert (launched.capacity.gpus, launched.pid) == (1, os.getpid())
    assert host.requests[0] == host.requests[1]


def test_one_that_dies_twice_is_told_with_what_to_do_instead() -> None:
    host = Host(GONE, DIED)
    with pytest.raises(EnvironmentFault, match="could not start Ray") as caught:
        started(host)
    assert caught.value.message == "could not start Ray: Ray's raylet died; no room; no room"
    assert caught.value.hint == "`compute: local` runs without Ray"
    assert host.answers == []


def test_what_would_not_go_better_is_not_tried_again() -> None:
    said = ("fault", "4 GPUs are asked for and there are 2", "ask for fewer")
    with pytest.raises(EnvironmentFault) as caught:
        started(Host(said))
    assert caught.value.message == "could not start Ray: 4 GPUs are asked for and there are 2"
    assert caught.value.hint == "ask for fewer"
    with pytest.raises(EnvironmentFault, match="could not connect to Ray at h:1: Ray's raylet died"):
        started(Host(DIED), address="h:1")
