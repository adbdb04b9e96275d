from fiat.builtin.compute_room import Room
from fiat.ports.compute import Resources


def given(room: Room, *queue: Resources) -> list[int]:
    return [position for position, _ in room.take(queue)]


def test_what_fits_is_given_in_order() -> None:
    room = Room(2, (), 100)
    assert given(room, *[Resources(cpus=1)] * 3) == [0, 1]


def test_a_large_job_is_never_passed_for_what_it_waits_for() -> None:
    room = Room(4, (), 100)
    ((_, first),) = room.take([Resources(cpus=1)])
    assert given(room, Resources(cpus=4), Resources(cpus=1)) == []
    room.give_back(first)
    assert given(room, Resources(cpus=4), Resources(cpus=1)) == [0]


def test_a_job_without_gpus_need_not_wait_for_one_that_waits_for_gpus() -> None:
    room = Room(4, ("0",), 100)
    room.take([Resources(cpus=1, gpus=1)])
    assert given(room, Resources(cpus=1, gpus=1), Resources(cpus=1)) == [1]


def test_whole_gpus_are_disjoint_and_fractions_share_the_fullest() -> None:
    room = Room(8, ("a", "b"), 100)
    shares = [share for _, share in room.take([Resources(cpus=0, gpus=0.5)] * 3)]
    assert [share.gpus for share in shares] == [("a",), ("a",), ("b",)]
    assert given(room, Resources(cpus=0, gpus=1)) == []
    room.give_back(shares[2])
    ((_, whole),) = room.take([Resources(cpus=0, gpus=1)])
    assert whole.gpus == ("b",)


def test_memory_counts_and_thirds_of_a_cpu_add_up() -> None:
    room = Room(1, (), 100)
    assert given(room, Resources(memory_bytes=101)) == []
    third = Resources(cpus=1 / 3, memory_bytes=30)
    shares = room.take([third] * 4)
    assert len(shares) == 3
    for _, share in shares:
        room.give_back(share)
    assert given(room, Resources(cpus=1, memory_bytes=100)) == [0]
