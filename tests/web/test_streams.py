"""Event streams over the wire: seats, slow and dead clients, heartbeats."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from web_stage import READ, app_of, ask, bearer, filled

Messages = list[dict[str, Any]]


class Follow:
    """One client of an event stream, at the level of ASGI, so that it can be as slow or dead as it likes.

    Attributes:
        status: of the answer, 0 before there is one.
        text: what was received.
        ended: the server has finished.
    """

    def __init__(self, app: Any, path: str, token: str = READ, **headers: str) -> None:
        self.app, self.status, self.text, self.ended = app, 0, "", False
        self.gone, self.stuck = asyncio.Event(), asyncio.Event()
        self.stuck.set()
        address, _, query = path.partition("?")
        given = {"host": "fiat.example", **bearer(token), **headers}
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": address,
            "raw_path": address.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        self.begun = False
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        await self.app(self.scope, self._receive, self._send)
        self.ended = True

    async def _receive(self) -> dict[str, Any]:
        if not self.begun:
            self.begun = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        await self.stuck.wait()
        self.text += message.get("body", b"").decode()

    async def until(self, condition: Any) -> None:
        for _ in range(1000):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"waited in vain; told so far: {self.text!r}")


@asynccontextmanager
async def following(app: Any, path: str, **headers: str) -> AsyncIterator[Follow]:
    client = Follow(app, path, **headers)
    try:
        yield client
    finally:
        client.gone.set()
        client.stuck.set()
        await asyncio.wait_for(client.task, 10)


def streams(app: Any) -> float:
    value: float = app.state.place.meter.registry.get_sample_value("fiat_event_streams")
    return value


EVENTS = "/api/v1/runs/r2/events"


def test_a_finished_run_is_told_in_one_go() -> None:
    answer = ask(app_of(filled()), "GET", "/api/v1/runs/r1/events", READ)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = [line for line in answer.text.splitlines() if line.startswith("event: ")]
    assert events == ["event: state", "event: log", "event: end"]


def test_what_comes_later_is_told_later_and_a_dead_client_leaves_its_seat() -> None:
    async def story() -> None:
        stage = filled()
        app = app_of(stage)
        async with following(app, EVENTS) as client:
            await client.until(lambda: "epoch 1" in client.text)
            stage.logs["r2", "train"] += b"epoch 2\n"
            await client.until(lambda: "epoch 2" in client.text)
            assert streams(app) == 1
        assert streams(app) == 0

    asyncio.run(story())


def test_silence_is_broken_by_heartbeats() -> None:
    async def story() -> None:
        async with following(app_of(filled(), heartbeat_s=0.05), EVENTS) as client:
            await client.until(lambda: client.text.count(": beat\n\n") >= 2)

    asyncio.run(story())


def test_last_event_id_counts_more_than_the_offset() -> None:
    async def story() -> None:
        async with following(
            app_of(filled()), f"{EVENTS}?offset=train%3D0", **{"Last-Event-ID": "train=8"}
        ) as client:
            await client.until(lambda: "loss" in client.text)
            assert "epoch 1" not in client.text

    asyncio.run(story())


def test_one_steps_place_may_be_a_number() -> None:
    text = ask(app_of(filled()), "GET", "/api/v1/runs/r1/events?step=train&offset=16", READ).text
    told = [json.loads(line[6:]) for line in text.splitlines() if line.startswith('data: {"step"')]
    assert [said["text"] for said in told] == ["epoch 3\n"]


@pytest.mark.parametrize(
    "query", ["?offset=x", "?offset=7", "?step=train&offset=-1", "?step=..%2fx", "?tail=0"]
)
def test_places_that_are_none_are_refused(query: str) -> None:
    assert ask(app_of(filled()), "GET", f"/api/v1/runs/r1/events{query}", READ).status_code in (400, 422)


def test_streams_are_limited_for_each_token_and_the_others_go_on() -> None:
    async def story() -> None:
        app = app_of(filled(), streams=3, streams_each=2)
        async with following(app, EVENTS) as one, following(app, EVENTS) as two:
            await one.until(lambda: one.text and two.text)
            async with following(app, EVENTS) as three:
                await three.until(lambda: three.ended)
                assert three.status == 429
            other = "admin-token-of-16-characters"
            async with following(app, EVENTS, token=other) as four:
                await four.until(lambda: "epoch 1" in four.text)
                async with following(app, EVENTS, token="ci-token-of-16-characters") as five:
                    await five.until(lambda: five.ended)
                    assert five.status == 429
        assert streams(app) == 0

    asyncio.run(story())


def test_a_client_that_does_not_read_is_dropped_and_holds_nobody_up() -> None:
    async def story() -> None:
        stage = filled()
        app = app_of(stage, send_timeout_s=0.3, streams_each=2)
        async with following(app, EVENTS) as slow, following(app, EVENTS) as quick:
            await quick.until(lambda: "epoch 1" in quick.text and "epoch 1" in slow.text)
            slow.stuck.clear()
            stage.logs["r2", "train"] += b"epoch 2\n"
            await quick.until(lambda: "epoch 2" in quick.text)
            await slow.until(lambda: slow.ended)
            assert not quick.ended
            assert streams(app) == 1

    asyncio.run(story())


def test_a_stream_has_an_end_so_that_a_taken_away_token_ends_too() -> None:
    async def story() -> None:
        async with following(app_of(filled(), stream_s=0.2), EVENTS) as client:
            await client.until(lambda: client.ended)
            assert "event: end" not in client.text
            assert "retry: " in client.text

    asyncio.run(story())


def test_streams_end_when_the_server_stops() -> None:
    async def story() -> None:
        app = app_of(filled())
        async with following(app, EVENTS) as client:
            await client.until(lambda: "epoch 1" in client.text)
            app.state.place.streams.close()
            await client.until(lambda: client.ended)

    asyncio.run(story())


def test_a_store_that_fails_in_the_middle_ends_the_stream_quietly() -> None:
    async def story() -> None:
        stage = filled()
        async with following(app_of(stage), EVENTS) as client:
            await client.until(lambda: "epoch 1" in client.text)
            stage.run = lambda run_id: 1 / 0  # type: ignore[method-assign, assignment, return-value]
            await client.until(lambda: client.ended)
            assert client.status == 200

    asyncio.run(story())
