import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from fiat.store.store import Store
from fiat.store.work import WorkFolders, remove_tree

CHILD = """
import sys, time
from pathlib import Path
from fiat.store.work import WorkFolders
folders = WorkFolders(Path(sys.argv[1]))
folders.make("theirs", "train", 1)
print("ready", flush=True)
time.sleep(60)
"""


def test_each_attempt_has_an_empty_folder_of_its_own(local: Store) -> None:
    first = local.work.make("r1", "data.images", 1)
    assert first == local.root / "work" / "r1" / "data.images.1"
    (first / "left").write_text("x")
    assert list(local.work.make("r1", "data.images", 1).iterdir()) == []
    assert local.work.make("r1", "data.images", 2).is_dir()
    local.work.remove("r1", "data.images", 1)
    local.work.remove("r1", "data.images", 1)
    assert not first.exists()
    local.work.remove("r1")
    assert not first.parent.exists()
    assert local.work.make("r1", "data.images", 1).is_dir()


def test_folders_of_a_killed_process_are_abandoned_and_those_of_a_living_one_are_not(tmp_path: Path) -> None:
    folders = WorkFolders(tmp_path)
    assert folders.abandoned() == []
    mine = folders.make("mine", "s", 1)
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        assert folders.abandoned() == []
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close() if child.stdout else None
    assert folders.abandoned() == [tmp_path / "work" / "theirs"]
    assert mine.is_dir()
    folders.close()
    assert WorkFolders(tmp_path).abandoned() == [tmp_path / "work" / "mine", tmp_path / "work" / "theirs"]


def test_a_tree_is_removed_whatever_modes_the_user_gave_it(tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / "locked" / "deep").mkdir(parents=True)
    (top / "locked" / "deep" / "file").write_text("x")
    (tmp_path / "outside").write_text("stays")
    (top / "link").symlink_to(tmp_path / "outside")
    (top / "locked" / "deep").chmod(0)
    (top / "locked").chmod(0o500)
    remove_tree(top)
    remove_tree(top)
    assert not top.exists()
    assert (tmp_path / "outside").read_text() == "stays"


ORDINARY_USER = """
import os, sys
from pathlib import Path
from fiat.store.work import remove_tree
os.chdir(sys.argv[1])
os.setuid(65534)
remove_tree(Path("top"))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can become another user")
def test_a_tree_is_removed_by_an_ordinary_user_too() -> None:
    # Not below pytest's own folder, which only the superuser may enter.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        top = Path(folder) / "top"
        (top / "locked" / "deep").mkdir(parents=True)
        (top / "locked" / "deep" / "file").write_text("x")
        for path in (Path(folder), *sorted(top.rglob("*")), top):
            os.chown(path, 65534, 65534)
        (top / "locked" / "deep").chmod(0)
        (top / "locked").chmod(0o500)
        subprocess.run([sys.executable, "-c", ORDINARY_USER, folder], check=True, timeout=30)
        assert not top.exists()


def test_folders_nested_beyond_every_limit_are_removed(tmp_path: Path) -> None:
    work = WorkFolders(tmp_path / ".fiat")
    path = work.make("run", "a", 1)
    code = (
        "import os, sys\n"
        "os.chdir(sys.argv[1])\n"
        "for depth in range(3000):\n"
        "    open('file', 'w').close(); os.mkdir('dddd')\n"
        "    if depth == 1500: os.symlink('/etc/passwd', 'link')\n"
        "    os.chdir('dddd')\n"
        "os.chmod('../../dddd', 0)"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", code, str(path)], check=True)
    work.remove("run", "a", 1)
    assert not path.exists()
    assert Path("/etc/passwd").exists()
    work.close()
