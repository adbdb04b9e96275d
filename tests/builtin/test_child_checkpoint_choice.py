"""Workers in threads, each with a folder of its own or with one for all: what the first one takes all of them have."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fiat.builtin.child_checkpoint import Checkpoints
from fiat.builtin.child_checkpoint_choice import PART_BYTES
from fiat.builtin.child_checkpoint_entry import Keeping
from fiat.errors import SpecError

KEEPING = Keeping(keep=1, metric="f1")
Work = Callable[[int, Checkpoints], Any]


def worker(folder: Path, rank: int, size: int) -> Checkpoints:
    return Checkpoints(folder, KEEPING, rank=rank, size=size, say=lambda _: None)


def together(folders: list[Path], work: Work) -> list[Any]:
    """What each worker gives that does this after all have met."""
    torch = pytest.importorskip("torch")
    store = torch.distributed.HashStore()
    given: list[Any] = [None] * len(folders)

    def go(rank: int, checkpoints: Checkpoints) -> None:
        try:
            checkpoints.meet(store)
            given[rank] = work(rank, checkpoints)
        except SpecError as error:
            given[rank] = error
        checkpoints.part()

    # All are opened before one of them writes, as before workers meet.
    opened = [worker(folder, rank, len(folders)) for rank, folder in enumerate(folders)]
    threads = [
        threading.Thread(target=go, args=(rank, checkpoints)) for rank, checkpoints in enumerate(opened)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return given


def save_two(checkpoints: Checkpoints, ballast: bytes = b"") -> None:
    for step, value in ((1, 0.9), (2, 0.1)):
        checkpoints.save({"at": step, "ballast": ballast}, step, {"f1": value})


def best(checkpoints: Checkpoints) -> Any:
    found = checkpoints.best()
    assert found is not None
    return found[1].step, len(found[1].state["ballast"])


def test_workers_that_did_not_write_find_the_best_one_too(tmp_path: Path) -> None:
    def work(rank: int, checkpoints: Checkpoints) -> Any:
        if not rank:  # `if run.rank == 0: run.checkpoint(...)`
            save_two(checkpoints)
        return best(checkpoints)

    assert together([tmp_path] * 3, work) == [(1, 0)] * 3
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".met-")] == []


def test_workers_that_share_no_folder_are_handed_what_the_first_one_took(tmp_path: Path) -> None:
    ballast = bytes(2 * PART_BYTES + 5)

    def work(rank: int, checkpoints: Checkpoints) -> Any:
        save_two(checkpoints, ballast)
        found = checkpoints.newest()
        assert found is not None
        return best(checkpoints), found[1].step

    folders = [tmp_path / "here", tmp_path / "here", tmp_path / "there"]
    assert together(folders, work) == [((1, len(ballast)), 2)] * 3
    assert not (tmp_path / "there").exists()


def test_what_each_had_from_the_start_is_not_sent(tmp_path: Path) -> None:
    folders = [tmp_path / "here", tmp_path / "there"]
    for folder in folders:
        save_two(worker(folder, 0, 1))

    def work(rank: int, checkpoints: Checkpoints) -> Any:
        chosen = checkpoints._choice.of("restore", lambda: "", lambda name: None)
        assert (chosen.name, chosen.n_parts) == ("", 0)
        sent: list[Any] = []
        checkpoints._choice.fetch = sent.append  # type: ignore[assignment,method-assign]  # what is asked for
        found = checkpoints.newest()
        assert found is not None
        return found[1].step, sent

    assert together(folders, work) == [(2, [])] * 2


def test_the_first_one_stays_until_the_others_have_its_last_answer_or_have_ended(tmp_path: Path) -> None:
    order: list[str] = []
    first_asked = threading.Event()

    def work(rank: int, checkpoints: Checkpoints) -> Any:
        if not rank:
            save_two(checkpoints)
            best(checkpoints)
            first_asked.set()
            checkpoints.part()
            order.append("the first one has ended")
            return
        assert first_asked.wait(60)
        time.sleep(0.2)
        order.append("another")
        if rank == 1:
            best(checkpoints)
        else:  # it never asked
            checkpoints.part()

    together([tmp_path] * 3, work)
    assert order == ["another", "another", "the first one has ended"]


def test_the_first_one_waits_for_nobody_who_has_its_answer(tmp_path: Path) -> None:
    may_end = threading.Event()

    def work(rank: int, checkpoints: Checkpoints) -> Any:
        if rank:
            assert checkpoints.newest() is None
            return may_end.wait(60)
        assert checkpoints.newest() is None
        checkpoints.part()
        may_end.set()
        return True

    assert together([tmp_path] * 2, work) == [True, True]


def test_who_is_behind_by_more_than_two_choices_is_told(tmp_path: Path) -> None:
    folders, over = [tmp_path / "here", tmp_path / "there"], threading.Event()

    def work(rank: int, checkpoints: Checkpoints) -> Any:
        if rank:
            checkpoints._choice._wait_s = 0.2
            assert over.wait(60)
            return best(checkpoints)
        save_two(checkpoints)
        for _ in range(4):
            best(checkpoints)
        over.set()
        return None

    error = together(folders, work)[1]
    assert "what worker 0 took is gone" in str(error)
    assert "as often as worker 0" in str(error)
