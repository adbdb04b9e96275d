import asyncio
import time

import pytest

from fiat.serving.bodies import chosen_coding, pack, unpack
from fiat.serving.limits import Gate, Refused
from fiat.serving.release import ServerLimits


def soon() -> float:
    return asyncio.get_running_loop().time() + 20


def test_who_comes_above_the_limit_waits_for_a_turn() -> None:
    async def work() -> None:
        gate = Gate(ServerLimits(concurrency=2, queue=5))
        assert gate.try_enter()
        assert gate.try_enter()
        assert not gate.try_enter()
        waiting = asyncio.create_task(gate.enter(soon()))
        await asyncio.sleep(0)
        assert (gate.active, gate.queued) == (2, 1)
        gate.leave()
        await waiting
        assert (gate.active, gate.queued) == (2, 0)
        gate.leave()
        gate.leave()
        assert gate.active == 0

    asyncio.run(work())


def test_turns_are_taken_in_order() -> None:
    async def work() -> list[int]:
        gate, order = Gate(ServerLimits(concurrency=1, queue=9)), []
        gate.try_enter()

        async def enter(place: int) -> None:
            await gate.enter(soon())
            order.append(place)
            gate.leave()

        tasks = [asyncio.create_task(enter(place)) for place in range(5)]
        await asyncio.sleep(0)
        gate.leave()
        await asyncio.gather(*tasks)
        assert gate.active == 0
        return order

    assert asyncio.run(work()) == [0, 1, 2, 3, 4]


def test_too_many_who_wait_are_told_to_come_later() -> None:
    async def work() -> None:
        gate = Gate(ServerLimits(concurrency=1, queue=1))
        gate.try_enter()
        waiting = asyncio.create_task(gate.enter(soon()))
        await asyncio.sleep(0)
        with pytest.raises(Refused) as caught:
            await gate.enter(soon())
        assert caught.value.status == 429
        assert (b"retry-after", b"1") in caught.value.headers
        gate.leave()
        await waiting

    asyncio.run(work())


def test_who_waits_too_long_is_refused_and_gives_up_its_place() -> None:
    async def work() -> None:
        gate = Gate(ServerLimits(concurrency=1, queue=4, timeout_s=0.01))
        gate.try_enter()
        with pytest.raises(Refused) as caught:
            await gate.enter(asyncio.get_running_loop().time() + 0.01)
        assert caught.value.status == 503
        assert gate.queued == 0
        gate.leave()
        assert gate.active == 0

    asyncio.run(work())


def test_a_client_that_goes_away_while_it_waits_blocks_nobody() -> None:
    async def work() -> None:
        gate = Gate(ServerLimits(concurrency=1, queue=4))
        gate.try_enter()
        gone, other = (asyncio.create_task(gate.enter(soon())) for _ in range(2))
        await asyncio.sleep(0)
        gate.leave()
        gone.cancel()
        await other
        assert gate.active == 1
        gate.leave()
        assert gate.active == 0

    asyncio.run(work())


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (b"gzip", "gzip"),
        (b"deflate, gzip;q=0.5", "gzip"),
        (b"gzip;q=0, deflate", "deflate"),
        (b"gzip; q=0.0", ""),
        (b"*", "gzip"),
        (b"*, gzip;q=0", ""),
        (b"br, zstd", ""),
        (b"", ""),
        (b"identity", ""),
    ],
)
def test_the_coding_of_an_answer_is_one_that_the_client_takes(accepted: bytes, coding: str) -> None:
    assert chosen_coding(accepted) == coding


def test_a_body_of_many_packed_pieces_is_unpacked_in_time_or_refused() -> None:
    piece = pack(b"a", "gzip")
    assert unpack(piece * 1000, b"gzip", 1 << 20) == b"a" * 1000
    large = bytes(range(256)) * 2000
    assert unpack(pack(large, "gzip") * 2, b"gzip", 1 << 20) == large * 2
    started = time.perf_counter()
    with pytest.raises(Refused) as told:
        unpack(pack(b"", "gzip") * 500_000, b"gzip", 16 << 20)
    assert (told.value.status, time.perf_counter() - started < 1) == (400, True)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_packed_body_is_unpacked_up_to_the_limit_and_not_when_it_is_cut(coding: str) -> None:
    body = b"ab" * 100_000
    packed = pack(body, coding)
    assert unpack(packed, coding.encode(), len(body)) == body
    with pytest.raises(Refused) as told:
        unpack(packed, coding.encode(), len(body) - 1)
    assert told.value.status == 413
    with pytest.raises(Refused) as told:
        unpack(packed[:-9], coding.encode(), len(body))
    assert told.value.status == 400
