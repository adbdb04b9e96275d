"""Requests that wait for a run are answered from the call that brings it: clients can't tell, and nothing is lost."""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from wire_stage import Wire, outside

from fiat.serving.answer_log import AnswerLogs
from fiat.serving.app import Application, Reply
from fiat.serving.fleet import Fleet
from fiat.serving.release import ServerLimits
from fiat.serving.server import Server
from fiat.serving.turn import Turn

PATH = b"/v2/repository/index"
SLOW = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}" % PATH
LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"


class SlowApp(Application):
    """Answers what is asked at one path when the test says so."""

    def __init__(self) -> None:
        limits = ServerLimits()
        fleet = Fleet(limits, threads=1, check=lambda *_: None)
        super().__init__(fleet, limits, AnswerLogs(0, time.time), version="0", workers=tuple)
        self.turns: list[Turn[Reply]] = []

    def knows(self, raw_path: bytes) -> bool:
        return raw_path == PATH or super().knows(raw_path)

    async def reply(self, method: str, raw_path: bytes, headers: Any, body: bytes, started: float) -> Reply:
        if raw_path != PATH:
            return await super().reply(method, raw_path, headers, body, started)
        turn: Turn[Reply] = Turn()
        self.turns.append(turn)
        return await turn

    def tell(self, place: int) -> None:
        text = b"slow %d" % place
        self.turns[place].tell(Reply(200, [(b"content-length", b"%d" % len(text))], text))


class Stage:
    """A connection to the app."""

    def __init__(self) -> None:
        self.app = SlowApp()
        self.server = Server(self.app, ServerLimits())
        self.server.config.load()
        protocol: Any = self.server.config.http_protocol_class
        self.connection = protocol(
            config=self.server.config, server_state=self.server.server_state, app_state={}
        )
        self.wire = Wire()
        self.connection.connection_made(self.wire)

    async def send(self, data: bytes) -> None:
        await outside(lambda: self.connection.data_received(data))

    async def tell(self, place: int) -> None:
        await outside(lambda: self.app.tell(place))

    @property
    def bodies(self) -> list[bytes]:
        return [part.partition(b"\r\n\r\n")[2] for part in self.wire.written.split(b"HTTP/1.1 ")[1:]]


def on_stage(work: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        await work(Stage())

    asyncio.run(run())


def test_who_waits_has_no_task_and_is_answered_when_it_is_told() -> None:
    async def work(stage: Stage) -> None:
        for place in range(3):
            await stage.send(SLOW)
            assert len(asyncio.all_tasks()) == 1
            assert not stage.server.server_state.tasks
            assert len(stage.bodies) == place
            stage.app.tell(place)
            assert stage.bodies[place:] == [b"slow %d" % place]
        assert not stage.wire.is_closed
        assert stage.server.server_state.total_requests == 3

    on_stage(work)


@pytest.mark.parametrize("together", [True, False])
def test_what_comes_behind_who_waits_is_answered_after_it(*, together: bool) -> None:
    async def work(stage: Stage) -> None:
        for part in [SLOW + LIVE + SLOW + SLOW] if together else [SLOW, LIVE, SLOW[:9], SLOW[9:] + SLOW]:
            await stage.send(part)
        assert stage.bodies == []
        for place in range(3):
            assert len(stage.app.turns) == place + 1
            await stage.tell(place)
        assert stage.bodies == [b"slow 0", b'{"live":true}', b"slow 1", b"slow 2"]
        await stage.send(SLOW)
        await stage.tell(3)
        assert stage.bodies[4:] == [b"slow 3"]
        assert not stage.server.server_state.tasks

    on_stage(work)


def test_a_client_that_goes_away_while_it_waits_spoils_nothing() -> None:
    async def work(stage: Stage) -> None:
        await stage.send(SLOW)
        stage.wire.is_closed = True
        await outside(lambda: stage.connection.connection_lost(None))
        await stage.tell(0)
        assert stage.wire.written == b""
        assert not stage.server.server_state.connections

    on_stage(work)


def test_who_wants_the_connection_closed_gets_that_after_the_wait() -> None:
    async def work(stage: Stage) -> None:
        await stage.send(SLOW.replace(b"Host: x", b"Connection: close"))
        assert not stage.wire.is_closed
        await stage.tell(0)
        assert b"connection: close\r\n" in stage.wire.written
        assert (stage.bodies, stage.wire.is_closed) == ([b"slow 0"], True)

    on_stage(work)


def test_a_server_that_ends_answers_who_waits_first() -> None:
    async def work(stage: Stage) -> None:
        await stage.send(SLOW)
        await outside(stage.connection.shutdown)
        assert not stage.wire.is_closed
        assert len(stage.server.server_state.tasks) == 1
        await stage.tell(0)
        assert b"connection: close\r\n" in stage.wire.written
        assert (stage.bodies, stage.wire.is_closed) == ([b"slow 0"], True)

    on_stage(work)


def test_a_connection_that_waits_does_not_rest() -> None:
    async def work(stage: Stage) -> None:
        now_s = asyncio.get_running_loop().time()
        await stage.send(SLOW)
        for after_s in (1, 100, 200):
            stage.connection.look(now_s + after_s, 10.0)
        assert not stage.wire.is_closed
        await stage.tell(0)
        for after_s in (201, 300):
            stage.connection.look(now_s + after_s, 10.0)
        assert (stage.bodies, stage.wire.is_closed) == ([b"slow 0"], True)

    on_stage(work)


def test_nothing_is_answered_behind_the_last_answer_of_a_connection() -> None:
    async def work(stage: Stage) -> None:
        await stage.send(LIVE.replace(b"Host: x", b"Host: x\r\nX: " + b"a" * 70_000) + LIVE)
        assert stage.bodies == [b'{"error":"the request is too long"}']

    async def end(stage: Stage) -> None:
        stage.app.is_draining = True
        await stage.send(LIVE + LIVE)
        assert stage.bodies == [b'{"live":true}']

    on_stage(work)
    on_stage(end)
