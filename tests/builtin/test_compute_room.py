import pytest

from fiat.builtin.compute_room import Room
from fiat.ports.compute import Resources


def given(room: Room, *queue: Resources, gpus: bool = True) -> list[int]:
    return room.take(queue, lambda position, could_begin: could_begin and gpus)


def test_what_fits_is_given_in_order() -> None:
    room = Room(2, 100)
    assert given(room, *[Resources(cpus=1)] * 3) == [0, 1]


def test_a_higher_priority_comes_first_and_then_who_waits_longest() -> None:
    queue = [Resources(), Resources(priority=1), Resources(priority=-1), Resources(priority=1)]
    assert given(Room(4, 100), *queue) == [1, 3, 0, 2]
    assert given(Room(1, 100), *queue) == [1]


def test_a_large_job_is_never_passed_for_what_it_waits_for() -> None:
    room = Room(4, 100)
    assert given(room, Resources(cpus=1)) == [0]
    assert given(room, Resources(cpus=4), Resources(cpus=1)) == []
    room.give_back(Resources(cpus=1))
    assert given(room, Resources(cpus=4), Resources(cpus=1)) == [0]


def test_a_large_job_waits_for_a_higher_priority_only() -> None:
    room = Room(4, 100)
    given(room, Resources(cpus=1))
    assert given(room, Resources(cpus=4), Resources(cpus=1), Resources(cpus=2, priority=1)) == [2]


def test_a_job_that_lacks_only_gpus_keeps_no_cores_from_others() -> None:
    room = Room(2, 100)
    assert given(room, Resources(cpus=2, gpus=1), Resources(cpus=2), gpus=False) == [1]


@pytest.mark.parametrize(("has_gpus", "expected"), [(True, []), (None, []), (False, [1])])
def test_cores_are_kept_for_who_has_gpus_or_lets_others_have_them_and_not_for_who_asks_in_vain(
    has_gpus: bool | None, expected: list[int]
) -> None:
    room = Room(2, 100)
    queue = [Resources(cpus=2, gpus=1), Resources(cpus=1)]
    assert given(room, Resources(cpus=1)) == [0]
    assert room.take(queue, lambda position, could_begin: has_gpus) == expected
    room.give_back(Resources(cpus=1))
    if has_gpus:
        assert room.take(queue, lambda position, could_begin: True) == [0]


def test_gpus_are_taken_only_when_the_rest_is_there() -> None:
    room = Room(1, 100)
    asked: list[tuple[int, bool]] = []
    need = Resources(cpus=1, gpus=1)

    def gpus(position: int, could_begin: bool) -> bool | None:
        asked.append((position, could_begin))
        return could_begin or None

    assert room.take([need, need, Resources(cpus=0)], gpus) == [0, 2]
    assert asked == [(0, True), (1, False)]


def test_all_workers_of_a_job_are_taken_and_given_back_together() -> None:
    room = Room(4, 100)
    pair = Resources(cpus=1.5, memory_bytes=40, workers=2)
    assert given(room, pair, Resources(cpus=1, memory_bytes=20), Resources(cpus=0.5)) == [0, 1]
    room.give_back(pair)
    assert given(room, Resources(cpus=3, memory_bytes=80)) == [0]
    assert given(room, Resources(cpus=0, memory_bytes=30, workers=3)) == []


def test_memory_counts_and_thirds_of_a_cpu_add_up() -> None:
    room = Room(1, 100)
    assert given(room, Resources(memory_bytes=101)) == []
    third = Resources(cpus=1 / 3, memory_bytes=30)
    assert given(room, *[third] * 4) == [0, 1, 2]
    for _ in range(3):
        room.give_back(third)
    assert given(room, Resources(cpus=1, memory_bytes=100)) == [0]
