"""Callers wait until theirs is written; what comes meanwhile is written together."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from fiat.engine.group_commit import AT_ONCE, GroupCommit
from fiat.errors import EnvironmentFault, SpecError


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
            raise SpecError("no room for 3")
        return ["ok"] * len(items)

    commit: GroupCommit[int, str] = GroupCommit(write)
    with ThreadPoolExecutor(5) as pool:
        answers = [pool.submit(commit.put, [number]) for number in range(1, 6)]
        gate.set()
        for number, answer in enumerate(answers, start=1):
            if number == 3:
                with pytest.raises(SpecError, match="no room"):
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


def test_a_disk_that_refuses_is_asked_once_for_all_who_wait() -> None:
    gate, started, tries = threading.Event(), threading.Event(), list[int]()

    def write(items: Sequence[int]) -> list[str]:
        started.set()
        gate.wait(10)
        tries.append(len(items))
        raise EnvironmentFault("the disk is full")

    commit: GroupCommit[int, str] = GroupCommit(write)
    with ThreadPoolExecutor(21) as pool:
        answers = [pool.submit(commit.put, [0])]
        assert started.wait(10)
        answers += [pool.submit(commit.put, [number]) for number in range(1, 21)]
        while commit._waiting.qsize() < 20:
            time.sleep(0.01)
        gate.set()
        for answer in answers:
            with pytest.raises(EnvironmentFault, match="disk is full"):
                answer.result(10)
    commit.close()
    assert tries == [1, 20]


def test_what_comes_after_closing_is_refused_instead_of_waiting_for_ever() -> None:
    commit: GroupCommit[int, str] = GroupCommit(lambda items: [""] * len(items))
    commit.close()
    with pytest.raises(EnvironmentFault, match="stopping"):
        commit.put([1])
