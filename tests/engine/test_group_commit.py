"""Callers wait until theirs is written; what comes meanwhile is written together."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from fiat.engine.group_commit import AT_ONCE, GroupCommit
from fiat.errors import EnvironmentFault


def test_what_waits_is_written_together_and_everybody_gets_their_own_answers() -> None:
    groups: list[list[int]] = []
    gate = threading.Event()

    def write(items: Sequence[int]) -> list[str]:
        gate.wait(10)
        groups.append(list(items))
        return [f"wrote {item}" for item in items]

    commit: GroupCommit[int, str] = GroupCommit(write)
    with ThreadPoolExecutor(40) as pool:
        answers = [pool.submit(commit.put, [number, -number]) for number in range(1, 41)]
        gate.set()
        found = [answer.result(10) for answer in answers]
    commit.close()
    assert found == [[f"wrote {n}", f"wrote {-n}"] for n in range(1, 41)]
    assert len(groups) < 40
    assert sum(len(group) for group in groups) == 80
    assert max(len(group) for group in groups) <= AT_ONCE + 1


def test_one_that_can_not_be_written_takes_nobody_with_it() -> None:
    gate = threading.Event()

    def write(items: Sequence[int]) -> list[str]:
        gate.wait(10)
        if 3 in items:
            raise EnvironmentFault("no room for 3")
        return ["ok"] * len(items)

    commit: GroupCommit[int, str] = GroupCommit(write)
    with ThreadPoolExecutor(5) as pool:
        answers = [pool.submit(commit.put, [number]) for number in range(1, 6)]
        gate.set()
        for number, answer in enumerate(answers, start=1):
            if number == 3:
                with pytest.raises(EnvironmentFault, match="no room"):
                    answer.result(10)
            else:
                assert answer.result(10) == ["ok"]
    commit.close()


def test_closing_writes_what_waits() -> None:
    written: list[int] = []

    def write(items: Sequence[int]) -> list[str]:
        written.extend(items)
        return [""] * len(items)

    commit: GroupCommit[int, str] = GroupCommit(write)
    commit.put([1])
    commit.close()
    assert written == [1]
