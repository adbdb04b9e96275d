"""The folder of checkpoints: what stays, what is whole, what a kill or a full disk leaves."""

import errno
import json
import os
import pickle
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fiat.builtin.child_checkpoint import Checkpoints
from fiat.builtin.child_checkpoint_entry import Entry, Keeping
from fiat.builtin.child_checkpoint_index import CheckpointFolder, HashingFile
from fiat.errors import SpecError


class Clock:
    """Seconds that a test moves on."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


Open = Callable[..., Checkpoints]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def opened(tmp_path: Path, said: list[str]) -> Open:
    """Opens the one folder of the test as another process of the training would."""

    def open_it(keeping: Keeping = Keeping(), **more: Any) -> Checkpoints:  # noqa: B008 - frozen
        return Checkpoints(tmp_path / "c", keeping, say=said.append, **more)

    return open_it


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "c").iterdir() if path.name[0] != ".")


def number(name: str) -> int:
    return int(name.partition("-")[0])


def newest(checkpoints: Checkpoints) -> Any:
    found = checkpoints.newest()
    assert found is not None
    return found[1].state


def test_a_state_comes_back_as_it_was_with_its_step_and_metrics(opened: Open) -> None:
    state = {"w": np.arange(5.0), "at": (1, "two", None)}
    assert opened().newest() is None
    assert opened().save(state, 7, {"loss": 0.25})
    found = opened().newest()
    assert found is not None
    entry, restored = found
    assert (restored.step, restored.metrics, restored.state["at"]) == (7, {"loss": 0.25}, (1, "two", None))
    assert np.array_equal(restored.state["w"], state["w"])
    assert str(entry) == "step 7 (checkpoint 1)"


def test_the_newest_ones_are_kept_and_only_they(opened: Open, tmp_path: Path) -> None:
    checkpoints = opened(Keeping(keep=2))
    for step in range(5):
        assert checkpoints.save({"at": step}, step, {})
    assert [number(name) for name in names(tmp_path)[:-1]] == [4, 5]
    assert names(tmp_path)[-1] == "index.json"
    assert newest(opened())["at"] == 4


def test_with_a_metric_the_best_are_kept_and_always_the_newest(opened: Open, tmp_path: Path) -> None:
    keeping = Keeping(keep=2, metric="f1", mode="max")
    values = [0.5, 0.9, 0.7, float("nan"), 0.9, 0.1]
    for step, value in enumerate(values):
        # Each time another process, as after kills.
        opened(keeping).save({"at": step}, step, {"f1": value})
    assert [number(name) - 1 for name in names(tmp_path)[:-1]] == [1, 4, 5]
    found = opened(keeping).best()
    assert found is not None
    assert found[1].step == 1  # of two that are as good the older
    assert newest(opened(keeping))["at"] == 5
    low = Keeping(keep=1, metric="f1", mode="min")
    found = opened(low).best()
    assert found is not None
    assert found[1].step == 5


def test_the_metric_that_the_best_are_kept_by_must_be_given(opened: Open) -> None:
    with pytest.raises(SpecError, match=r"given no f1, .*write run\.checkpoint\(state, step, f1=\.\.\.\)"):
        opened(Keeping(metric="f1")).save({}, 1, {"loss": 1.0})


def test_one_comes_only_when_it_is_due_and_its_state_is_made_only_then(opened: Open) -> None:
    clock, made = Clock(), [0]

    def make() -> dict[str, int]:
        made[0] += 1
        return {"made": made[0]}

    checkpoints = opened(every_s=60.0, clock=clock)
    taken = []
    for _ in range(12):
        clock.now_s += 20
        taken.append(checkpoints.save(make, None, {}))
    assert taken == [False, False, True] * 4
    assert made == [4]
    assert newest(opened()) == {"made": 4}


def test_a_damaged_one_is_passed_over_with_a_note_and_the_one_before_is_taken(
    opened: Open, tmp_path: Path, said: list[str]
) -> None:
    for step in range(3):
        opened(Keeping(keep=3)).save({"at": step}, step, {})
    last, middle = (tmp_path / "c" / name for name in names(tmp_path)[2:0:-1])
    last.write_bytes(last.read_bytes()[:-7])
    assert newest(opened())["at"] == 1
    assert said == ["step 2 (checkpoint 3) is damaged and is passed over"]
    content = bytearray(middle.read_bytes())
    content[20] ^= 1
    middle.write_bytes(content)
    assert newest(opened())["at"] == 0
    names_left = names(tmp_path)
    (tmp_path / "c" / names_left[0]).write_bytes(b"")
    assert opened().newest() is None


def test_a_damaged_best_one_does_not_take_the_place_of_a_good_one(opened: Open, tmp_path: Path) -> None:
    keeping = Keeping(keep=1, metric="f1")
    for step, value in enumerate([0.9, 0.5]):
        opened(keeping).save({"at": step}, step, {"f1": value})
    damaged = tmp_path / "c" / names(tmp_path)[0]
    damaged.write_bytes(b"?")
    checkpoints = opened(keeping)
    found = checkpoints.best()
    assert found is not None
    assert found[1].step == 1
    for step, value in ((2, 0.6), (3, 0.1)):
        checkpoints.save({"at": step}, step, {"f1": value})
    assert [number(name) - 1 for name in names(tmp_path)[:-1]] == [2, 3]


def test_one_that_is_gone_or_can_not_be_read_is_passed_over(opened: Open, tmp_path: Path) -> None:
    for step in range(3):
        opened(Keeping(keep=3)).save({"at": step}, step, {})
    first, middle, last = (tmp_path / "c" / name for name in names(tmp_path)[:3])
    last.unlink()
    middle.unlink()
    middle.mkdir()
    assert newest(opened())["at"] == 0
    assert first.exists()


@pytest.mark.parametrize("index", [None, "", "{", "[]", '{"checkpoints": [{"file": "../x"}]}', "\x00\xff"])
def test_without_an_index_the_names_of_the_files_say_enough(
    opened: Open, tmp_path: Path, index: str | None
) -> None:
    for step in range(3):
        opened(Keeping(keep=2)).save({"at": step}, step, {"f1": 0.5})
    path = tmp_path / "c" / "index.json"
    path.unlink() if index is None else path.write_text(index)
    found = opened(Keeping(keep=2)).newest()
    assert found is not None
    assert (found[1].state, found[1].step, found[1].metrics) == ({"at": 2}, 2, {"f1": 0.5})
    opened(Keeping(keep=2)).save({"at": 3}, 3, {})
    assert [number(name) for name in names(tmp_path)[:-1]] == [3, 4]


def test_who_was_killed_before_the_index_knew_leaves_one_to_go_on_from_and_no_litter(
    opened: Open, tmp_path: Path
) -> None:
    opened().save({"at": 0}, 0, {})
    index = (tmp_path / "c" / "index.json").read_bytes()
    opened().save({"at": 1}, 1, {})
    (tmp_path / "c" / "index.json").write_bytes(index)  # as before the second one
    (tmp_path / "c" / ".part-dead").write_bytes(b"half")
    assert newest(opened())["at"] == 1
    opened().save({"at": 2}, 2, {})
    assert [number(name) for name in names(tmp_path)[:-1]] == [3]
    assert not (tmp_path / "c" / ".part-dead").exists()


def test_a_draft_of_somebody_who_still_writes_is_left_alone(tmp_path: Path) -> None:
    folder, keeping = CheckpointFolder(tmp_path / "c"), Keeping(keep=9)
    halfway, may_end = threading.Event(), threading.Event()

    def slowly(file: HashingFile) -> None:
        file.write(b"one half,")
        halfway.set()
        may_end.wait(60)
        file.write(b"and the other")

    slow = threading.Thread(target=lambda: folder.add(slowly, "pkl", Entry, keeping))
    slow.start()
    assert halfway.wait(60)
    folder.add(lambda file: file.write(b"quick"), "pkl", Entry, keeping)
    assert len([path for path in (tmp_path / "c").iterdir() if path.name.startswith(".part-")]) == 1
    may_end.set()
    slow.join()
    contents = [(tmp_path / "c" / entry.file).read_bytes() for entry in folder.entries()]
    assert contents == [b"quick", b"one half,and the other"]


def test_many_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    keeping = Keeping(keep=100)

    def write(worker: int) -> None:
        for turn in range(10):
            content = pickle.dumps((worker, turn))
            CheckpointFolder(tmp_path / "c").add(
                lambda file, content=content: file.write(content), "pkl", Entry, keeping
            )

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = CheckpointFolder(tmp_path / "c").entries()
    assert [entry.number for entry in entries] == list(range(1, 41))
    index = json.loads((tmp_path / "c" / "index.json").read_text())
    assert [item["file"] for item in index["checkpoints"]] == [entry.file for entry in entries]
    found = {pickle.loads((tmp_path / "c" / entry.file).read_bytes()) for entry in entries}
    assert found == {(worker, turn) for worker in range(4) for turn in range(10)}


def test_a_disk_that_refuses_is_said_and_training_goes_on(
    tmp_path: Path, opened: Open, said: list[str]
) -> None:
    checkpoints = opened()
    checkpoints.save({"at": 0}, 0, {})
    before = names(tmp_path)

    class Full:
        """Pickled by a disk that is full."""

        def __reduce__(self) -> Any:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert not checkpoints.save({"big": Full()}, 1, {})
    assert said == ["a checkpoint could not be written: No space left on device; training goes on without it"]
    assert names(tmp_path) == before
    assert newest(opened())["at"] == 0
    # The next one is tried again.
    assert checkpoints.save({"at": 2}, 2, {})


def test_a_folder_that_is_forgotten_meanwhile_is_made_again(opened: Open, tmp_path: Path) -> None:
    checkpoints = opened()
    checkpoints.save({"at": 0}, 0, {})
    for path in (tmp_path / "c").iterdir():
        path.unlink()
    (tmp_path / "c").rmdir()
    assert checkpoints.save({"at": 1}, 1, {})
    assert newest(opened())["at"] == 1


@pytest.mark.parametrize("bad", [lambda: 0, threading.Lock(), (n for n in ())])
def test_what_can_not_be_pickled_is_said_with_the_next_step(opened: Open, bad: object) -> None:
    with pytest.raises(SpecError, match="can't be saved: .*hand over numbers, arrays, tensors"):
        opened().save({"bad": bad}, 0, {})


class Vanishing:
    """Can be pickled, and not be read back."""

    def __reduce__(self) -> Any:
        return _vanish, ()


def _vanish() -> None:
    raise ImportError("this class has gone")


def test_what_can_not_be_read_back_is_said_with_the_next_step(opened: Open) -> None:
    opened().save(Vanishing(), 3, {})
    with pytest.raises(SpecError, match=r"step 3 \(checkpoint 1\) can't be read back: ImportError"):
        opened().newest()


def test_random_numbers_go_on_as_they_stood(opened: Open) -> None:
    random.seed(1)
    np.random.seed(1)
    opened().save({}, 0, {})
    expected = random.random(), np.random.rand()
    random.seed(2)
    np.random.seed(2)
    opened().newest()
    assert (random.random(), np.random.rand()) == expected
    opened().best()  # looking at the best one changes nothing
    assert (random.random(), np.random.rand()) != expected


def test_only_the_first_of_several_workers_writes(opened: Open, tmp_path: Path) -> None:
    assert not opened(rank=1, size=2).save({"at": 1}, 1, {})
    assert opened(rank=0, size=2).save({"at": 0}, 0, {})
    assert len(names(tmp_path)) == 2


def test_a_worker_reads_what_was_there_when_it_began_though_it_is_removed_meanwhile(
    opened: Open, tmp_path: Path
) -> None:
    opened().save({"at": 0}, 0, {})
    first, second = opened(rank=0, size=2), opened(rank=1, size=2)
    assert newest(first)["at"] == 0
    first.save({"at": 1}, 1, {})
    first.save({"at": 2}, 2, {})
    assert [number(name) for name in names(tmp_path)[:-1]] == [3]
    assert newest(second)["at"] == 0
    second.save({"at": 2}, 2, {})
    assert newest(second)["at"] == 2
