import hashlib
import os
import stat
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fiat.errors import SpecError
from fiat.store.stats import Digester
from fiat.store.trees import digest_tree, write_tree


class Hashed:
    """A digester whose clock can be set ahead, so that files count as at rest, and that sees what is read."""

    def __init__(self, root: Path, ahead_s: float = 10.0) -> None:
        self.root = root
        self.ahead_s = ahead_s
        root.mkdir(exist_ok=True)

    def open(self) -> Digester:
        return Digester(self.root / ".fiat" / "stats", self.root, self.now)

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)


@pytest.fixture
def repo(tmp_path: Path) -> Hashed:
    return Hashed(tmp_path / "repo")


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def make_tree(folder: Path, n_files: int = 50) -> dict[str, bytes]:
    files = {f"d{number % 5}/f{number}.txt": b"content %d" % number for number in range(n_files)}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return files


def tree_digest(files: dict[str, bytes]) -> str:
    return digest_tree(write_tree((name, md5(content)) for name, content in files.items()))


def accessed_ns(path: Path) -> int:
    return path.stat().st_atime_ns


def test_a_file_and_a_folder_have_the_digests_of_their_content(repo: Hashed) -> None:
    files = make_tree(repo.root / "data")
    assert repo.open().digest(repo.root / "data" / "d0" / "f0.txt") == md5(b"content 0")
    assert repo.open().digest(repo.root / "data") == tree_digest(files)


def test_an_unchanged_tree_is_not_read_again(repo: Hashed) -> None:
    make_tree(repo.root / "data")
    first = repo.open().digest(repo.root / "data")
    watched = repo.root / "data" / "d0" / "f0.txt"
    os.utime(watched, ns=(1, watched.stat().st_mtime_ns))  # relatime would move this on the next read
    second = repo.open().digest(repo.root / "data")  # the utime moved the change time: this one is read
    os.utime(watched, ns=(1, watched.stat().st_mtime_ns))
    assert first == second
    repo.open().digest(repo.root / "data")
    before = accessed_ns(watched)
    assert repo.open().digest(repo.root / "data") == first
    assert accessed_ns(watched) == before


@pytest.mark.parametrize("change", ["content", "grow", "new", "gone", "renamed", "swapped"])
def test_every_change_of_a_tree_is_seen(repo: Hashed, change: str) -> None:
    folder = repo.root / "data"
    files = make_tree(folder)
    assert repo.open().digest(folder) == tree_digest(files)
    name, other = "d0/f0.txt", "d0/f5.txt"
    if change == "content":
        files[name] = b"CONTENT 0"
        (folder / name).write_bytes(files[name])
    elif change == "grow":
        files[name] += b"!"
        (folder / name).write_bytes(files[name])
    elif change == "new":
        files["new/file"] = b""
        (folder / "new").mkdir()
        (folder / "new" / "file").touch()
    elif change == "gone":
        del files[name]
        (folder / name).unlink()
    elif change == "renamed":
        files["d0/moved"] = files.pop(name)
        (folder / name).rename(folder / "d0" / "moved")
    else:
        files[name], files[other] = files[other], files[name]
        (folder / name).rename(folder / "t")
        (folder / other).rename(folder / name)
        (folder / "t").rename(folder / other)
    assert repo.open().digest(folder) == tree_digest(files)
    assert repo.open().digest(folder) == tree_digest(files)


def test_a_change_with_the_same_size_and_modification_time_is_seen(repo: Hashed) -> None:
    folder = repo.root / "data"
    files = make_tree(folder)
    path = folder / "d0" / "f0.txt"
    digester = repo.open()
    assert digester.digest(folder) == tree_digest(files)
    assert digester.digest(path) == md5(b"content 0")
    digester.save()
    times = path.stat()
    files["d0/f0.txt"] = b"CONTENT 0"
    path.write_bytes(b"CONTENT 0")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    for again in (digester, repo.open()):
        assert again.digest(folder) == tree_digest(files)
        assert again.digest(path) == md5(b"CONTENT 0")


def test_a_file_that_was_hashed_while_it_was_fresh_is_hashed_again(tmp_path: Path) -> None:
    """An edit in the same tick of the clock leaves every number of a stat as it was; here it is stood in for."""
    repo = Hashed(tmp_path / "repo", ahead_s=0.0)
    folder = repo.root / "data"
    make_tree(folder)
    path = folder / "d0" / "f0.txt"
    digester = repo.open()
    digester.digest(folder)
    digester.digest(path)
    digester.save()
    memory = sorted((repo.root / ".fiat" / "stats").iterdir())
    assert len(memory) == 2
    for _ in range(20):
        # Within the tick: nothing tells the edits apart but the content.
        for content in (b"AAAAAAAAA", b"BBBBBBBBB"):
            path.write_bytes(content)
            assert digester.digest(path) == md5(content)
            tree = {one.relative_to(folder).as_posix(): one.read_bytes() for one in folder.rglob("*.txt")}
            assert digester.digest(folder) == tree_digest(tree)


def test_a_clock_that_stands_still_hides_no_edit(tmp_path: Path) -> None:
    """Files that are younger than two seconds by the clock at hashing are never trusted."""
    repo = Hashed(tmp_path / "repo", ahead_s=0.0)
    path = repo.root / "data.csv"
    path.write_bytes(b"1")
    assert repo.open().digest_files([path]) == {path: md5(b"1")}
    digester = repo.open()
    digester.digest(path)
    digester.save()
    os.utime(path, ns=(1, path.stat().st_mtime_ns))
    before = accessed_ns(path)
    time.sleep(0.02)
    digester.digest(path)
    assert accessed_ns(path) > before


def test_folders_of_tools_are_passed_over(repo: Hashed) -> None:
    folder = repo.root / "src"
    files = make_tree(folder, 3)
    for name in (".git", ".fiat", "__pycache__", "d0/__pycache__"):
        (folder / name).mkdir(parents=True)
        (folder / name / "x").write_text("x")
    assert repo.open().digest(folder) == tree_digest(files)


def test_single_files_are_remembered_for_the_next_process(repo: Hashed) -> None:
    names = [repo.root / f"m{number}.py" for number in range(40)]
    for path in names:
        path.write_text(path.name)
    digester = repo.open()
    expected = {path: md5(path.name.encode()) for path in names}
    assert digester.digest_files(names) == expected
    digester.save()
    os.utime(names[0], ns=(1, names[0].stat().st_mtime_ns))
    repo_again = repo.open()
    repo_again.digest_files(names)
    repo_again.save()
    os.utime(names[1], ns=(names[1].stat().st_atime_ns, names[1].stat().st_mtime_ns))
    assert repo.open().digest_files(names) == expected
    names[3].write_text("edited")
    names[4].unlink()
    expected[names[3]] = md5(b"edited")
    with pytest.raises(SpecError, match=r"m4\.py does not exist"):
        repo.open().digest_files(names)
    expected[names[4]] = "-"
    assert repo.open().digest_files(names, missing="-") == expected


def test_links_are_followed_within_the_checkout_and_refused_beyond(repo: Hashed, tmp_path: Path) -> None:
    make_tree(repo.root / "data", 3)
    (repo.root / "elsewhere.txt").write_bytes(b"linked")
    (repo.root / "data" / "link").symlink_to(repo.root / "elsewhere.txt")
    files = {
        path: (repo.root / "data" / path).read_bytes()
        for path in ("d0/f0.txt", "d1/f1.txt", "d2/f2.txt", "link")
    }
    assert repo.open().digest(repo.root / "data") == tree_digest(files)
    (repo.root / "elsewhere.txt").write_bytes(b"edited")
    assert repo.open().digest(repo.root / "data") == tree_digest({**files, "link": b"edited"})
    assert repo.open().digest(repo.root / "data" / "link") == md5(b"edited")
    (tmp_path / "outside").write_bytes(b"secret")
    (repo.root / "data" / "out").symlink_to(tmp_path / "outside")
    for path in (repo.root / "data", repo.root / "data" / "out"):
        with pytest.raises(SpecError, match="link that leads outside"):
            repo.open().digest(path)


def test_a_place_outside_the_checkout_may_be_named_and_hold_links_within_itself(
    repo: Hashed, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    files = make_tree(shared / "v2", 3)
    (tmp_path / "current").symlink_to(shared / "v2")
    (shared / "v2" / "link").symlink_to("d0/f0.txt")
    assert repo.open().digest(tmp_path / "current") == tree_digest({**files, "link": b"content 0"})
    (shared / "v2" / "out").symlink_to(repo.root.parent)
    with pytest.raises(SpecError, match="link that leads outside"):
        repo.open().digest(tmp_path / "current")


@pytest.mark.parametrize("kind", ["pipe", "missing", "dangling", "forbidden"])
def test_what_cannot_be_digested_is_named(repo: Hashed, kind: str) -> None:
    path = repo.root / "data" / "odd"
    make_tree(repo.root / "data", 1)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "dangling":
        path.symlink_to("nowhere")
    elif kind == "forbidden":
        path.write_text("x")
        path.chmod(0)
        if os.access(path, os.R_OK):
            pytest.skip("the superuser may read everything")
    with pytest.raises(SpecError, match="odd"):
        repo.open().digest(path)
    if kind != "missing":
        with pytest.raises(SpecError, match="odd"):
            repo.open().digest(path.parent)


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "garbage", "table"])
def test_a_damaged_memory_is_forgotten(repo: Hashed, damage: str) -> None:
    folder = repo.root / "data"
    files = make_tree(folder)
    digester = repo.open()
    digester.digest(folder)
    digester.digest(folder / "d0" / "f0.txt")
    digester.save()
    for memory in (repo.root / ".fiat" / "stats").iterdir():
        content = bytearray(memory.read_bytes())
        if damage == "cut":
            content = content[: len(content) // 2]
        elif damage == "flip":
            content[60] ^= 1
        elif damage == "table":
            content[-100] ^= 1
        elif damage == "empty":
            content = bytearray()
        else:
            content = bytearray(os.urandom(500))
        memory.write_bytes(content)
    (folder / "d0" / "f0.txt").write_bytes(b"now this")
    files["d0/f0.txt"] = b"now this"
    assert repo.open().digest(folder) == tree_digest(files)
    assert repo.open().digest(folder / "d0" / "f0.txt") == md5(b"now this")


def test_a_memory_that_cannot_be_written_changes_no_answer(repo: Hashed) -> None:
    files = make_tree(repo.root / "data")
    (repo.root / ".fiat").mkdir()
    (repo.root / ".fiat" / "stats").write_text("a file in the place of the folder")
    digester = repo.open()
    assert digester.digest(repo.root / "data") == tree_digest(files)
    digester.digest(repo.root / "data" / "d0" / "f0.txt")
    digester.save()
    assert repo.open().digest(repo.root / "data") == tree_digest(files)


def test_a_name_that_is_not_utf8_can_be_digested(repo: Hashed) -> None:
    folder = repo.root / "data"
    folder.mkdir()
    path = Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9"))
    path.write_bytes(b"x")
    first = repo.open().digest(folder)
    assert repo.open().digest(folder) == first == tree_digest({os.fsdecode(b"caf\xe9"): b"x"})
    assert stat.S_ISREG(path.stat().st_mode)
    assert repo.open().digest_files([path]) == {path: md5(b"x")}
