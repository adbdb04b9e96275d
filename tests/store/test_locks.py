import subprocess
import sys
import threading
from pathlib import Path

from fiat.store.locks import FileLock, HeldLock

HOLDER = """
import sys
from pathlib import Path
from fiat.store.locks import HeldLock
held = HeldLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_is_shared_by_many_and_had_alone_by_one(tmp_path: Path) -> None:
    one, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    with one.shared(), other.shared(), one.alone(wait=False) as mine:
        assert not mine
    with one.alone() as mine, other.alone(wait=False) as theirs:
        assert mine
        assert not theirs


def test_whoever_wants_it_alone_waits_for_the_others(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    order: list[str] = []
    inside, leave = threading.Event(), threading.Event()

    def share() -> None:
        with lock.shared():
            inside.set()
            leave.wait(10)
            order.append("shared ends")

    sharer = threading.Thread(target=share)
    sharer.start()
    assert inside.wait(10)
    threading.Timer(0.1, leave.set).start()
    with lock.alone() as mine:
        assert mine
        order.append("alone")
    sharer.join()
    assert order == ["shared ends", "alone"]


def test_a_held_lock_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    mine = HeldLock(tmp_path / "lock")
    with mine.alone() as alone:
        assert alone
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with mine.alone() as alone:
        assert not alone
    holder.kill()
    holder.communicate()
    with mine.alone() as alone:
        assert alone
    mine.close()
    mine.close()
    with mine.alone() as alone:
        assert not alone


def test_where_no_lock_can_be_made_nothing_is_had_alone(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "missing" / "lock")
    with lock.shared(), lock.alone() as mine:
        assert not mine
