"""Bodies: how large, how slow, how many."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from web_stage import ADMIN, Stage, app_of, ask, client_of, filled, push_body, signed

MIB = 1 << 20


async def stream(pieces: int, size: int, pause_s: float = 0.0) -> AsyncIterator[bytes]:
    for _ in range(pieces):
        yield b"a" * size
        if pause_s:
            await asyncio.sleep(pause_s)


def send(app: object, path: str, content: object, **headers: str) -> httpx.Response:
    async def once() -> httpx.Response:
        async with client_of(app, ADMIN) as client:
            return await client.post(path, content=content, headers=headers)  # type: ignore[arg-type]

    return asyncio.run(once())


def test_a_length_above_the_limit_is_refused_without_reading() -> None:
    read = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal read
        async for piece in stream(200, MIB):
            read += len(piece)
            yield piece

    headers = {"Content-Length": str(200 * MIB), "Expect": "100-continue"}
    answer = send(app_of(Stage(), max_body_bytes=2 * MIB), "/webhook", counted(), **headers)
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
    assert read <= MIB


@pytest.mark.parametrize("length", ["-1", "1e3", "99999999999999999999999", "0x10"])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    answer = send(app_of(Stage()), "/webhook", stream(1, 10), **{"Content-Length": length})
    assert answer.status_code in (400, 413)


def test_a_body_without_length_is_refused_where_it_passes_the_limit() -> None:
    answer = send(app_of(Stage(), max_body_bytes=2 * MIB), "/webhook", stream(40, MIB // 4))
    assert answer.status_code == 413
    assert answer.json()["detail"] == "the body is larger than 2,097,152 bytes"


def test_the_largest_allowed_webhook_is_taken() -> None:
    stage = Stage()
    body = push_body(commits=["x" * (2 * MIB - 1000)])
    answer = ask(
        app_of(stage, max_body_bytes=2 * MIB), "POST", "/webhook/github", content=body, headers=signed(body)
    )
    assert answer.status_code == 202
    assert len(stage.taken) == 1


def test_other_requests_may_be_small_only() -> None:
    answer = send(app_of(filled()), "/api/v1/trigger", b"{" + b" " * 70_000 + b"}")
    assert answer.status_code == 413


def test_a_slow_body_is_given_up_while_others_are_answered() -> None:
    app = app_of(Stage(), read_timeout_s=0.4)

    async def both() -> tuple[httpx.Response, float, list[int]]:
        async with client_of(app) as client:
            started = time.monotonic()
            slow = asyncio.create_task(client.post("/webhook", content=stream(1000, 1, 0.05)))
            others = [(await client.get("/healthz")).status_code for _ in range(20)]
            return await slow, time.monotonic() - started, others

    answer, took_s, others = asyncio.run(both())
    assert answer.status_code == 408
    assert took_s < 5
    assert others == [200] * 20


def test_large_bodies_at_a_time_are_limited_and_small_ones_still_get_through() -> None:
    stage = Stage()
    app = app_of(stage, max_body_bytes=4 * MIB, read_timeout_s=1.0)
    body = push_body()

    async def crowd() -> tuple[list[int], int]:
        async with client_of(app) as client:
            # Each holds more than half of what large bodies may hold together, and keeps it.
            large = [
                asyncio.create_task(client.post("/webhook", content=hold(3 * MIB + MIB // 2)))
                for _ in range(2)
            ]
            await asyncio.sleep(0.3)
            small = await client.post("/webhook/github", content=body, headers=signed(body))
            return [(await task).status_code for task in large], small.status_code

    async def hold(size: int) -> AsyncIterator[bytes]:
        yield b"a" * size
        await asyncio.sleep(30)

    large, small = asyncio.run(crowd())
    assert sorted(large) == [408, 503]
    assert small == 202


def test_what_bodies_held_is_free_again() -> None:
    app = app_of(Stage(), max_body_bytes=2 * MIB)
    for _ in range(40):
        assert send(app, "/webhook", stream(2, MIB)).status_code == 401
    assert send(app, "/webhook", stream(9, MIB // 4)).status_code == 413
    assert send(app, "/webhook", stream(2, MIB)).status_code == 401
