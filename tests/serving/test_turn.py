"""Results that come later, for coroutines in tasks and outside of any."""

import asyncio
import contextlib
import gc
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from wire_stage import outside

from fiat.serving.http_reply import go_on
from fiat.serving.turn import Turn


async def wait(turn: Turn[str], found: list[str]) -> str:
    result = await turn
    found.append(result)
    return result


def test_a_task_waits_for_it_like_for_a_future() -> None:
    async def work() -> str:
        turn: Turn[str] = Turn()
        task = asyncio.create_task(wait(turn, []))
        await asyncio.sleep(0)
        turn.tell("here")
        return await task

    assert asyncio.run(work()) == "here"


def test_what_is_there_already_is_not_waited_for() -> None:
    turn: Turn[str] = Turn()
    turn.tell("here")
    with pytest.raises(StopIteration) as ended:
        wait(turn, []).send(None)
    assert ended.value.value == "here"


def test_outside_a_task_it_is_told_at_once_to_whoever_set_its_wake() -> None:
    async def work() -> list[str]:
        turn: Turn[str] = Turn()
        found: list[str] = []
        answer = wait(turn, found)

        def begin() -> None:
            assert answer.send(None) is turn
            turn.wake = end

        def end() -> None:
            with pytest.raises(StopIteration):
                answer.send(None)

        await outside(begin)
        turn.tell("here")
        return found

    assert asyncio.run(work()) == ["here"]


def test_a_failure_reaches_who_waits() -> None:
    async def work() -> None:
        turn: Turn[str] = Turn()
        task = asyncio.create_task(wait(turn, []))
        await asyncio.sleep(0)
        turn.fail(ValueError("no"))
        with pytest.raises(ValueError, match="no"):
            await task

    asyncio.run(work())


def test_who_began_outside_a_task_goes_on_in_one_even_when_the_result_came_between() -> None:
    async def work(*, early: bool) -> str:
        turn: Turn[str] = Turn()
        answer = wait(turn, [])
        awaited: list[Any] = []
        await outside(lambda: awaited.append(answer.send(None)))
        if early:
            turn.tell("here")
        task = asyncio.get_running_loop().create_task(_rest(go_on(answer, awaited[0])))
        await asyncio.sleep(0)
        if not early:
            turn.tell("here")
        return await task

    assert asyncio.run(work(early=True)) == "here"
    assert asyncio.run(work(early=False)) == "here"


async def _rest(waits: Any) -> str:
    return str(await waits)


def test_a_failure_is_gone_with_who_waited() -> None:
    class Failure(Exception):
        pass

    async def work() -> object:
        turn: Turn[str] = Turn()
        answer = wait(turn, [])
        await outside(lambda: answer.send(None))
        failure = Failure()
        found = weakref.ref(failure)
        turn.fail(failure)
        del failure
        with contextlib.suppress(Failure):
            answer.send(None)
        return found()

    gc.disable()
    try:
        assert asyncio.run(work()) is None
    finally:
        gc.enable()


def test_nobody_waits_for_it_once_the_task_is_cancelled() -> None:
    async def work() -> bool:
        turn: Turn[str] = Turn()
        task = asyncio.create_task(wait(turn, []))
        await asyncio.sleep(0)
        assert not turn.is_done
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return turn.is_done

    assert asyncio.run(work())
