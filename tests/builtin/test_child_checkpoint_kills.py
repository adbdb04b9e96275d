"""kill -9 at every single thing that writing a checkpoint asks of the disk: there is always a whole one to go on from."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from fiat.builtin.child_checkpoint import Checkpoints
from fiat.builtin.child_checkpoint_entry import Entry, Keeping
from fiat.builtin.child_checkpoint_index import CheckpointFolder, HashingFile

EVENTS = {"open", "os.rename", "os.remove", "os.listdir", "fcntl.flock", "pickle.find_class", "os.mkdir"}
KEEPING = Keeping(keep=2, metric="f1")


def open_it(folder: Path) -> Checkpoints:
    return Checkpoints(folder, KEEPING, say=lambda _: None)


def save_and_die(folder: Path, step: int, after_events: int) -> bool:
    """In a process of its own, write a checkpoint and be killed right before the n-th thing asked of the system.

    Returns:
        Whether it was killed; else it came to its end.
    """
    pid = os.fork()
    if pid:
        return os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event in EVENTS:
            count += 1
            if count == after_events:
                os.kill(os.getpid(), signal.SIGKILL)

    checkpoints = open_it(folder)
    sys.addaudithook(hook)
    checkpoints.save({"at": step}, step, {"f1": step / 1000})
    os._exit(0)


def test_killed_at_each_moment_of_a_write_the_one_before_or_the_new_one_is_whole(tmp_path: Path) -> None:
    open_it(tmp_path).save({"at": 0}, 0, {"f1": 0.0})
    newest, moment, kills = 0, 0, 0
    while True:
        moment += 1
        killed = save_and_die(tmp_path, newest + 1, moment)
        found = open_it(tmp_path).newest()
        assert found is not None, f"moment {moment}"
        assert found[1].step in (newest, newest + 1), f"moment {moment}"
        assert found[1].state == {"at": found[1].step}
        # It is known by its metrics: without them the next write would not find it to be the best, and remove it.
        assert CheckpointFolder(tmp_path).entries()[-1].metrics == found[1].metrics, f"moment {moment}"
        if not killed:
            assert found[1].step == newest + 1
            break
        newest = found[1].step
        kills += 1
        assert moment < 200
    assert kills >= 12
    # Whatever the dead left is gone with the next write.
    open_it(tmp_path).save({"at": 999}, 999, {"f1": 0.0})
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name for name in names if name.startswith(".part")] == []
    assert len(names) == 2 + 2 + 1  # the two best, the newest, the index and the lock


def test_killed_in_the_middle_of_the_bytes_the_one_before_is_whole(tmp_path: Path) -> None:
    open_it(tmp_path).save({"at": 0}, 0, {"f1": 0.0})

    def write(file: HashingFile) -> None:
        file.write(bytes(5_000_000))
        os.kill(os.getpid(), signal.SIGKILL)

    pid = os.fork()
    if not pid:
        CheckpointFolder(tmp_path).add(write, "pkl", Entry, KEEPING)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    drafts = [path for path in tmp_path.iterdir() if path.name.startswith(".part-")]
    assert [path.stat().st_size > 4_000_000 for path in drafts] == [True]
    found = open_it(tmp_path).newest()
    assert found is not None
    assert found[1].state == {"at": 0}
    open_it(tmp_path).save({"at": 2}, 2, {"f1": 0.0})
    assert not drafts[0].exists()
