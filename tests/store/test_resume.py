import fcntl
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fiat.errors import EnvironmentFault
from fiat.store.resume import KEPT_DAYS, ResumeFolders, remove_resume, unused_resume
from fiat.store.store import Store, open_store

KEY, OTHER = "a" * 64, "b" * 64


def later() -> datetime:
    return datetime.now(UTC) + timedelta(days=KEPT_DAYS, seconds=5)


def another_holds(folder: Path) -> "subprocess.Popen[bytes]":
    """A process that has the folder given out; ends when its standard input closes."""
    code = (
        "import sys; from pathlib import Path; from fiat.store.resume import ResumeFolders\n"
        f"ResumeFolders(Path({str(folder)!r})).checkpoints({KEY!r}); print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_the_same_work_finds_its_folder_again_and_other_work_another(tmp_path: Path) -> None:
    first, again = ResumeFolders(tmp_path), ResumeFolders(tmp_path)
    folder = first.checkpoints(KEY)
    (folder / "state").write_text("x")
    assert again.checkpoints(KEY) == folder
    assert first.checkpoints(OTHER) != folder
    assert first.trials(KEY) != folder
    assert folder.stat().st_mode & 0o777 == 0o700
    for folders in (first, again):
        folders.close()
        folders.close()
    assert (folder / "state").read_text() == "x"


def test_checkpoints_of_work_that_is_done_are_forgotten_and_its_trials_are_not(tmp_path: Path) -> None:
    folders = ResumeFolders(tmp_path)
    checkpoints, trials = folders.checkpoints(KEY), folders.trials(KEY)
    for folder in (checkpoints, trials):
        (folder / "deep" / "er").mkdir(parents=True)
        (folder / "deep" / "er" / "state").write_text("x")
    folders.forget(KEY)
    folders.forget(KEY)
    assert not checkpoints.exists()
    assert (trials / "deep" / "er" / "state").exists()
    assert folders.checkpoints(KEY).is_dir()


def test_checkpoints_that_another_process_goes_on_from_stay_until_it_is_done(tmp_path: Path) -> None:
    folders = ResumeFolders(tmp_path)
    (folders.checkpoints(KEY) / "state").write_text("x")
    other = another_holds(tmp_path)
    folders.forget(KEY)
    assert (tmp_path / "checkpoints" / KEY[:32] / "state").exists()
    other.kill()  # the lock goes with it
    other.communicate()
    folders.forget(KEY)
    assert not (tmp_path / "checkpoints" / KEY[:32]).exists()


def test_only_folders_without_a_change_for_two_weeks_whose_work_does_not_go_on_are_unused(
    tmp_path: Path,
) -> None:
    folders = ResumeFolders(tmp_path)
    quiet, running = folders.trials(KEY), folders.checkpoints(KEY)
    (folders.trials(OTHER) / "trial").mkdir()
    folders.close()
    other = another_holds(tmp_path)
    (tmp_path / "checkpoints" / "a file").write_text("nobody knows why")
    assert unused_resume(tmp_path, datetime.now(UTC)) == []
    assert unused_resume(tmp_path, later()) == sorted([quiet, tmp_path / "studies" / OTHER[:32]])
    # Deep inside something changes: somebody works on it.
    ahead_s = later().timestamp()
    os.utime(tmp_path / "studies" / OTHER[:32] / "trial", (ahead_s, ahead_s))
    assert unused_resume(tmp_path, later()) == [quiet]
    other.communicate(timeout=60)
    assert unused_resume(tmp_path, later()) == [running, quiet]


def test_a_folder_that_is_removed_at_the_moment_it_is_asked_for_is_made_anew(tmp_path: Path) -> None:
    folders = ResumeFolders(tmp_path)
    folder = folders.checkpoints(KEY)
    folders.close()
    # As whoever removes it: the lock is held until the folder is gone.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    found: list[Path] = []
    asking = threading.Thread(target=lambda: found.append(folders.checkpoints(KEY)))
    asking.start()
    asking.join(0.3)
    assert asking.is_alive()
    folder.rmdir()
    os.close(descriptor)
    asking.join(60)
    assert found == [folder]
    assert folder.is_dir()
    remove_resume([folder])
    assert folder.is_dir()  # it is held


def test_what_is_no_folder_there_is_a_fault_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / KEY[:32]).symlink_to(tmp_path)
    with pytest.raises(EnvironmentFault, match=KEY[:32]):
        ResumeFolders(tmp_path).checkpoints(KEY)


def test_gc_removes_folders_that_nobody_has_gone_on_with(local: Store) -> None:
    folder = local.resume.checkpoints(KEY)
    (folder / "state").write_text("x")
    trials = local.resume.trials(OTHER)
    local.resume.close()
    assert local.gc().removed_folders == 0
    past_s = (datetime.now(UTC) - timedelta(days=KEPT_DAYS, hours=1)).timestamp()
    for path in (folder / "state", folder):
        os.utime(path, (past_s, past_s))
    assert local.gc(dry_run=True).removed_folders == 1
    assert folder.exists()
    assert local.gc().removed_folders == 1
    assert not folder.exists()
    assert trials.exists()


def test_one_that_was_gone_on_with_since_it_was_found_unused_stays(tmp_path: Path) -> None:
    folders = ResumeFolders(tmp_path)
    unused, gone_on = folders.checkpoints(KEY), folders.checkpoints(OTHER)
    folders.close()
    found = unused_resume(tmp_path, later())
    assert found == [unused, gone_on]
    (gone_on / "state").write_text("x")  # by a run that was killed again meanwhile
    ahead_s = later().timestamp()
    os.utime(gone_on / "state", (ahead_s, ahead_s))
    remove_resume(found, later())
    assert not unused.exists()
    assert (gone_on / "state").exists()


def test_a_stranger_goes_on_from_nobody_elses_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()

    def folder(scope: str) -> Path:
        with open_store(tmp_path / "repo" / ".fiat", now=lambda: datetime.now(UTC), scope=scope) as store:
            return store.resume.checkpoints(KEY)

    ours, theirs, others = folder(""), folder("fork-1"), folder("fork-2")
    assert len({ours, theirs, others}) == 3
    assert theirs.is_relative_to(tmp_path / "repo" / ".fiat" / "scopes" / "fork-1")
