import random

import pytest

from fiat.builtin.gpu_queue import PATIENCE_S, Hold, Wish, give, shape
from fiat.ports.compute import Resources

TWO = ("a", "b")
FOUR = ("a", "b", "c", "d")


def whole(name: str, count: int, among: tuple[str, ...] = FOUR, **said: float) -> Wish:
    return Wish(name, 1.0, count, among, **said)  # type: ignore[arg-type]  # numbers by name


def part(name: str, share: float, among: tuple[str, ...] = FOUR, **said: float) -> Wish:
    return Wish(name, share, 1, among, **said)  # type: ignore[arg-type]  # numbers by name


@pytest.mark.parametrize(
    ("need", "wanted"),
    [
        (Resources(), (0.0, 0)),
        (Resources(gpus=0.25), (0.25, 1)),
        (Resources(gpus=2), (1.0, 2)),
        (Resources(gpus=2, workers=3), (1.0, 6)),
        (Resources(gpus=0.5, workers=3), (0.5, 3)),
    ],
)
def test_workers_multiply_and_never_share_a_gpu(need: Resources, wanted: tuple[float, int]) -> None:
    assert shape(need) == wanted


def test_a_gang_gets_all_or_nothing() -> None:
    assert give([Hold(("a",), 1.0)], [whole("gang", 4)], 0) == {}
    assert give([], [whole("gang", 4)], 0) == {"gang": FOUR}


def test_fractions_pack_onto_one_gpu_and_leave_whole_ones_whole() -> None:
    given = give([], [part(str(n), 0.25, since=n) for n in range(4)] + [whole("big", 3, since=9)], 10)
    assert [given[str(n)] for n in range(4)] == [("a",)] * 4
    assert given["big"] == ("b", "c", "d")
    assert give([Hold(("c",), 0.5)], [part("half", 0.5)], 0) == {"half": ("c",)}
    assert give([Hold(("a",), 0.75), Hold(("b",), 0.5)], [part("half", 0.5)], 0) == {"half": ("b",)}


def test_a_gang_of_fractions_gets_a_different_gpu_for_each_worker() -> None:
    wish = Wish("gang", 0.5, 2, TWO)
    assert give([Hold(("a",), 0.5)], [wish], 0) == {"gang": TWO}
    assert give([Hold(("a",), 0.75)], [wish], 0) == {}


def test_a_higher_priority_comes_first_and_then_who_waits_longest() -> None:
    wishes = [
        whole("old", 1, TWO, since=0),
        whole("new", 1, TWO, since=5),
        whole("urgent", 1, TWO, since=9, priority=1),
    ]
    assert give([], wishes, 10) == {"urgent": ("a",), "old": ("b",)}
    assert give([Hold(("a",), 1.0)], wishes, 10) == {"urgent": ("b",)}


def test_thirds_of_a_gpu_add_up_to_it() -> None:
    third = 1 / 3
    given = give([Hold(("a",), third), Hold(("a",), third)], [part("last", third, ("a",))], 0)
    assert given == {"last": ("a",)}
    assert give([Hold(("a",), third)] * 3, [part("more", 0.01, ("a",))], 0) == {}


def test_who_waits_keeps_what_it_could_use_and_lets_others_have_what_it_can_not() -> None:
    holds = [Hold(("a",), 0.5), Hold(("b",), 1.0)]
    wishes = [whole("big", 2, ("a", "b", "c"), since=0), part("small", 0.5, ("a", "b", "c"), since=1)]
    assert give(holds, wishes, 2) == {"small": ("a",)}
    assert give(holds, [wishes[0], part("small", 0.75, ("a", "b", "c"), since=1)], 2) == {}


def test_a_gpu_is_kept_for_who_has_waited_long_until_it_is_free() -> None:
    holds = [Hold(("a",), 0.5)]
    wishes = [whole("big", 1, ("a",), since=0), part("small", 0.5, ("a",), since=1)]
    assert give(holds, wishes, PATIENCE_S - 1) == {"small": ("a",)}
    assert give(holds, wishes, PATIENCE_S) == {}
    assert give([], wishes, PATIENCE_S) == {"big": ("a",)}


def test_two_that_have_waited_long_wait_for_different_gpus() -> None:
    holds = [Hold(("a",), 0.25), Hold(("b",), 0.5), Hold(("c",), 1.0)]
    first, second = whole("first", 1, ("a", "b", "c")), whole("second", 1, ("a", "b", "c"), since=1)
    small = part("small", 0.5, ("a", "b", "c"), since=2)
    assert give(holds, [first, second, small], PATIENCE_S + 5) == {}
    assert give(holds, [first, small], PATIENCE_S + 5) == {"small": ("b",)}


def test_who_may_use_other_gpus_does_not_wait_behind_who_may_not() -> None:
    wishes = [whole("first", 1, ("a",), since=0), whole("second", 1, ("b",), since=1)]
    assert give([Hold(("a",), 1.0)], wishes, 100) == {"second": ("b",)}


def _overtaken_until(seed: int, big: Wish, patience: int) -> int:
    """Let small jobs stream in for ever; when does the big one get its GPUs?"""
    chance = random.Random(seed)
    running: list[tuple[int, Hold]] = []
    waiting = [big]
    for now in range(1, 2000):
        running = [(ends, hold) for ends, hold in running if ends > now]
        for n in range(3):
            share = chance.choice([0.25, 0.5, 0.75, 1.0])
            waiting.append(Wish(f"s{now:04}.{n}", share, 1, FOUR, since=now))
        given = give([hold for _, hold in running], waiting, now)
        for wish in waiting:
            if wish.id in given:
                running.append((now + chance.randint(1, patience), Hold(given[wish.id], wish.share)))
        waiting = [wish for wish in waiting if wish.id not in given][:200]
        free = dict.fromkeys(FOUR, 1.0)
        for _, hold in running:
            for key in hold.keys:
                free[key] -= hold.share
        assert min(free.values()) > -1e-6
        if big.id in given:
            assert len(set(given[big.id])) == big.count
            return now
    return 10**9


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_big_job_is_not_kept_waiting_for_ever_by_a_stream_of_small_ones(seed: int, count: int) -> None:
    ran_at = _overtaken_until(seed, whole("big", count), patience=20)
    assert ran_at <= PATIENCE_S + 2 * 20
