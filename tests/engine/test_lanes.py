import threading
import time

import pytest

from fiat.engine.lanes import Lanes
from fiat.errors import EnvironmentFault


def test_one_that_hangs_keeps_neither_the_others_nor_the_caller_waiting() -> None:
    lanes, go_on, done = Lanes("test", 3), threading.Event(), []
    assert lanes.offer("hangs", lambda: bool(go_on.wait(10)) and None)
    assert lanes.offer("quick", lambda: done.append(1))
    began = time.monotonic()
    assert not lanes.wait(["hangs", "quick"], 0.1)
    assert time.monotonic() - began < 5
    assert done == [1]
    assert lanes.busy() == {"hangs"}
    assert not lanes.idle(0.05)
    assert lanes.offer("quick", lambda: done.append(2))
    assert lanes.wait(["quick"], 5)
    assert done == [1, 2]
    go_on.set()
    assert lanes.wait(["hangs"], 5)


def test_of_one_party_one_thing_goes_on_at_a_time_and_of_all_no_more_than_there_are_lanes() -> None:
    lanes, go_on = Lanes("test", 2), threading.Event()
    assert lanes.offer("a", lambda: bool(go_on.wait(10)) and None)
    assert not lanes.offer("a", lambda: None)
    assert not lanes.full()
    assert lanes.offer("b", lambda: bool(go_on.wait(10)) and None)
    assert lanes.full()
    assert not lanes.offer("c", lambda: None)
    go_on.set()
    assert lanes.wait(["a", "b"], 5)
    assert lanes.offer("c", lambda: None)


def test_what_work_raises_is_raised_where_it_is_waited_for_and_frees_its_lane() -> None:
    lanes = Lanes("test", 1)

    def fails() -> None:
        raise EnvironmentFault("the store is away", hint="")

    assert lanes.offer("a", fails)
    with pytest.raises(EnvironmentFault, match="away"):
        lanes.wait(["a"], 5)
    assert lanes.busy() == frozenset()
    assert lanes.wait(["a"], 5)
    assert lanes.idle(0)


def test_whoever_waits_wakes_up_as_soon_as_the_last_one_is_done() -> None:
    lanes = Lanes("test", 8)
    for key in "abcdef":
        assert lanes.offer(key, lambda: time.sleep(0.05))
    began = time.monotonic()
    assert lanes.wait("abcdef", 30)
    assert time.monotonic() - began < 5
