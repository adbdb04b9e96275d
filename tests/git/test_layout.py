"""Commits laid out as folders."""

import fcntl
import os
import shutil
import stat
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fiat.errors import EnvironmentFault, SpecError
from fiat.git.layout import LayoutLimits, LeftOut, lay_out, remove_layout, sweep_unfinished
from fiat.git.mirror import Mirror
from fiat.git.remote import Remote

sys.path.insert(0, str(Path(__file__).parent))
from git_repository import Repository


@pytest.fixture
def upstream(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "upstream")


@pytest.fixture
def mirror(tmp_path: Path, upstream: Repository) -> Mirror:
    return Mirror(tmp_path / "mirror", Remote(f"file://{upstream.folder}", protocols=frozenset({"file"})))


def by_hand(upstream: Repository, mirror: Mirror) -> Mirror:
    """A mirror of what no git would fetch: the repository's own objects."""
    mirror.folder.mkdir()
    shutil.copytree(upstream.folder / ".git", mirror.folder / "git")
    return mirror


def contents(folder: Path) -> dict[str, bytes | str]:
    """Every file's bytes and every symlink's target below a folder; folders end in a slash."""
    found: dict[str, bytes | str] = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_dir():
            found[f"{name}/"] = ""
        else:
            found[name] = path.read_bytes()
    return found


def test_files_are_as_they_are_in_the_objects(mirror: Mirror, upstream: Repository, tmp_path: Path) -> None:
    attributes = "secret.txt export-ignore\n*.txt text eol=crlf ident export-subst\n"
    attributes += "*.utf working-tree-encoding=UTF-16\n*.bin filter=evil\n"
    files: dict[str, str | bytes] = {
        ".gitattributes": attributes,
        "a/secret.txt": "kept\n$Id$\n$Format:%H$\n",
        "a/b/x.utf": "é\n",
        "x.bin": bytes(range(256)) * 10_000,
        "empty": b"",
    }
    upstream.git("config", "filter.evil.clean", "cat")
    upstream.write(files)
    upstream.git("add", "a/secret.txt", "x.bin", "empty", ".gitattributes")
    utf = upstream.blob("é\n".encode())
    upstream.git("update-index", "--add", "--cacheinfo", f"100644,{utf},a/b/x.utf")
    upstream.git("commit", "-q", "-m", "all")
    commit = upstream.git("rev-parse", "HEAD")
    mirror.fetch()
    layout = lay_out(mirror, commit, tmp_path / "out" / commit)
    expected = {"a/": "", "a/b/": "", **{name: _bytes(text) for name, text in files.items()}}
    assert contents(layout.folder) == expected
    assert layout.n_files == 5
    assert layout.size_bytes == sum(len(_bytes(text)) for text in files.values())
    assert layout.left_out == ()


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def test_everything_is_read_only_and_programs_stay_programs(
    mirror: Mirror, upstream: Repository, tmp_path: Path
) -> None:
    upstream.write({"bin/run": "#!/bin/sh\n", "a.txt": "1"})
    (upstream.folder / "bin/run").chmod(0o755)
    commit = upstream.commit({})
    mirror.fetch()
    old = os.umask(0o077)
    try:
        folder = lay_out(mirror, commit, tmp_path / "out").folder
    finally:
        os.umask(old)
    modes = {name: stat.S_IMODE((folder / name).stat().st_mode) for name in (".", "bin", "bin/run", "a.txt")}
    assert modes == {".": 0o555, "bin": 0o555, "bin/run": 0o555, "a.txt": 0o444}
    remove_layout(folder)
    assert not folder.exists()
    remove_layout(folder)


def test_symlinks_stay_inside_or_are_left_out(mirror: Mirror, upstream: Repository, tmp_path: Path) -> None:
    links = {
        "inside": "a/b.txt",
        "a/up": "../c.txt",
        "dangling": "not/there",
        "folder": "a",
        "a/top": "..",
        "out": "/etc/passwd",
        "a/out": "../../secret",
        "loop": "loop",
        "tricky": "a/top/../secret",
    }
    upstream.write({"a/b.txt": "1", "c.txt": "1"})
    for name, target in links.items():
        (upstream.folder / name).symlink_to(target)
    commit = upstream.commit({})
    mirror.fetch()
    layout = lay_out(mirror, commit, tmp_path / "out")
    kept = {name: target for name, target in contents(layout.folder).items() if name in links}
    assert kept == {name: links[name] for name in ("inside", "a/up", "dangling", "folder", "a/top")}
    reason = "is a symlink that leads out of the repository"
    assert set(layout.left_out) == {LeftOut(name, reason) for name in ("out", "a/out", "loop", "tricky")}
    for path in layout.folder.rglob("*"):
        assert Path(os.path.realpath(path)).is_relative_to(layout.folder)


def test_names_that_are_only_odd_are_laid_out(mirror: Mirror, upstream: Repository, tmp_path: Path) -> None:
    names = ["a b", "-rf", "$(id)", "new\nline", "é", "A", "a", "caf\udce9", "\x1b[31m", "con", "x" * 255]
    commit = upstream.commit(dict.fromkeys(names, "1"))
    mirror.fetch()
    assert set(contents(lay_out(mirror, commit, tmp_path / "out").folder)) == set(names)


@pytest.mark.parametrize(
    "name", [".git", ".GIT", "git~1", ".git ", ".g\u200cit", "..", ".", "a/b", "x" * 256, ".git\\hooks"]
)
def test_names_that_would_lead_elsewhere_are_refused(
    mirror: Mirror, upstream: Repository, tmp_path: Path, name: str
) -> None:
    blob = upstream.blob(b"1")
    inner = upstream.tree({name: ("100644", blob)})
    commit = upstream.commit_tree(upstream.tree({"fine": ("100644", blob), "folder": ("40000", inner)}))
    by_hand(upstream, mirror)
    out = tmp_path / "out" / "x"
    if name == "a/b":
        assert contents(lay_out(mirror, commit, out).folder) == {
            "fine": b"1",
            "folder/": "",
            "folder/a/": "",
            "folder/a/b": b"1",
        }
        return
    with pytest.raises(SpecError, match="of the commit"):
        lay_out(mirror, commit, out)
    assert list(out.parent.iterdir()) == []


def test_nothing_is_written_through_a_symlink_of_the_same_name(
    mirror: Mirror, upstream: Repository, tmp_path: Path
) -> None:
    blob, target = upstream.blob(b"owned"), upstream.blob(str(tmp_path / "victim").encode())
    inside = upstream.blob(b"real")
    below = upstream.tree({"file": ("100644", blob)})
    (tmp_path / "victim").mkdir()
    commits = []
    for link in (target, inside):
        entries = {b"a": ("120000", link), b"a/x": ("100644", blob), b"real": ("40000", below)}
        commits.append(upstream.commit_tree(upstream.tree(entries)))
    by_hand(upstream, mirror)
    layout = lay_out(mirror, commits[0], tmp_path / "outside")
    assert [left.path for left in layout.left_out] == ["a"]
    assert (layout.folder / "a/x").read_bytes() == b"owned"
    with pytest.raises(SpecError, match="two entries at a"):
        lay_out(mirror, commits[1], tmp_path / "layouts" / "inside")
    assert list((tmp_path / "layouts").iterdir()) == []
    assert list((tmp_path / "victim").iterdir()) == []


def test_what_is_too_large_or_too_much_is_refused_and_leaves_nothing(
    mirror: Mirror, upstream: Repository, tmp_path: Path
) -> None:
    commit = upstream.commit({"a/b/c.txt": "x" * 1000, "d.txt": "x" * 1000, "e/f.txt": ""})
    mirror.fetch()
    out = tmp_path / "out" / "x"
    for limits, words in (
        (LayoutLimits(file_bytes=999), "a/b/c.txt has 1,000 bytes"),
        (LayoutLimits(size_bytes=1999), "d.txt has 1,000 bytes"),
        (LayoutLimits(files=5), "more than 5 files and folders"),
        (LayoutLimits(files=2), "more than 2 files and folders"),
    ):
        with pytest.raises(SpecError, match=words):
            lay_out(mirror, commit, out, limits=limits)
        assert list(out.parent.iterdir()) == []
    limits = LayoutLimits(files=6, size_bytes=2000, file_bytes=1000)
    assert lay_out(mirror, commit, out, limits=limits).n_files == 3


def test_pointers_of_git_lfs_stay_what_they_are_and_are_told(
    mirror: Mirror, upstream: Repository, tmp_path: Path
) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 12345\n"
    commit = upstream.commit(
        {
            ".gitattributes": "*.onnx filter=lfs diff=lfs merge=lfs -text\n",
            "m.onnx": pointer,
            "a.md": "version",
        }
    )
    mirror.fetch()
    layout = lay_out(mirror, commit, tmp_path / "out")
    assert layout.lfs_pointers == ("m.onnx",)
    assert (layout.folder / "m.onnx").read_text() == pointer
    with pytest.raises(EnvironmentFault, match="Git LFS are not fetched yet"):
        lay_out(mirror, commit, tmp_path / "other", lfs=True)
    assert not (tmp_path / "other").exists()


def test_a_folder_that_is_there_is_taken_as_it_is(
    mirror: Mirror, upstream: Repository, tmp_path: Path
) -> None:
    commit = upstream.commit({"a": "1"})
    mirror.fetch()
    out = tmp_path / "out"
    first = lay_out(mirror, commit, out)
    assert not first.reused
    assert lay_out(mirror, commit, out).reused


def test_threads_that_lay_out_the_same_commit_all_have_it_whole(
    mirror: Mirror, upstream: Repository, tmp_path: Path
) -> None:
    commit = upstream.commit({f"{number % 7}/{number}": str(number) for number in range(200)})
    mirror.fetch()
    out = tmp_path / "layouts" / commit
    begin = threading.Barrier(4)

    def lay(_: int) -> int:
        begin.wait()
        return len(contents(lay_out(mirror, commit, out).folder))

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lay, range(4))) == {207}
    assert [path.name for path in out.parent.iterdir()] == [commit]


def test_what_a_killed_process_left_half_laid_out_is_removed_and_what_another_one_does_is_not(
    mirror: Mirror, upstream: Repository, tmp_path: Path
) -> None:
    commit = upstream.commit({"a": "1"})
    mirror.fetch()
    parent = tmp_path / "layouts"
    ended, busy = parent / ".laying-ended", parent / ".laying-busy"
    for folder in (ended / "deep", busy):
        folder.mkdir(parents=True)
    (ended / "deep").chmod(0o555)
    descriptor = os.open(busy, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    lay_out(mirror, commit, parent / commit)
    assert sorted(path.name for path in parent.iterdir()) == [".laying-busy", commit]
    os.close(descriptor)
    sweep_unfinished(parent)
    assert [path.name for path in parent.iterdir()] == [commit]


def test_a_disk_that_refuses_is_the_machines_fault(
    mirror: Mirror, upstream: Repository, tmp_path: Path
) -> None:
    commit = upstream.commit({"a": "1"})
    mirror.fetch()
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match="can't lay a commit out"):
        lay_out(mirror, commit, tmp_path / "file" / "out")
