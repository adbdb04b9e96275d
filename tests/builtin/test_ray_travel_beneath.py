"""User code makes links in a folder that it may write: none of them is followed."""

import os
from pathlib import Path

import pytest

from fiat.builtin.ray_travel_beneath import (
    checked_path,
    folder_beneath,
    open_beneath,
    plain_files,
    put_beneath,
    remove_beneath,
)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A folder beside one with a secret, to which its links lead."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    top = tmp_path / "top"
    (top / "sub" / ".draft").mkdir(parents=True)
    (top / "a").write_text("a")
    (top / "sub" / "b").write_text("b")
    (top / "sub" / ".draft" / "c").write_text("c")
    (top / ".lock").touch()
    (top / "file").symlink_to(tmp_path / "outside" / "secret")
    (top / "folder").symlink_to(tmp_path / "outside")
    os.mkfifo(top / "fifo")
    return top


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "", "a\0b"])
def test_a_path_that_leads_out_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="no path within"):
        checked_path(path)


def test_only_plain_files_that_are_not_hidden_are_listed(top: Path) -> None:
    assert [path for path, _ in plain_files(top)] == ["a", "sub/b"]
    assert [path for path, _ in plain_files(top, "sub")] == ["sub/b"]
    assert [path for path, _ in plain_files(top, "folder")] == []
    assert [path for path, _ in plain_files(top, "gone")] == []


def test_a_file_is_opened_only_where_no_link_leads_to_it(top: Path) -> None:
    with open_beneath(top, "sub/b") as file:
        assert file.read() == b"b"
    for path in ("file", "folder/secret", "fifo", "sub", "gone"):
        with pytest.raises(OSError, match=r"."):
            open_beneath(top, path)


def test_a_file_takes_the_place_of_a_link_and_is_not_put_behind_one(top: Path, tmp_path: Path) -> None:
    for path in ("file", "new/deep/d"):
        (tmp_path / "draft").write_text("new")
        put_beneath(tmp_path / "draft", top, path, flush=True)
        assert (top / path).read_text() == "new"
        assert not (top / path).is_symlink()
    (tmp_path / "draft").write_text("new")
    with pytest.raises(OSError, match=r"."):
        put_beneath(tmp_path / "draft", top, "folder/secret")
    with pytest.raises(OSError, match=r"."), folder_beneath(top, "folder/new", make=True):
        pass
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["secret"]
    assert (tmp_path / "outside" / "secret").read_text() == "secret"


def test_files_are_removed_with_the_folders_that_are_empty_then_but_not_behind_a_link(
    top: Path, tmp_path: Path
) -> None:
    (top / "old" / "deep").mkdir(parents=True)
    (top / "old" / "deep" / "x").touch()
    remove_beneath(top, ["old/deep/x", "sub/b", "gone/y"])
    assert not (top / "old").exists()
    assert (top / "sub" / ".draft" / "c").exists()
    remove_beneath(top, ["folder/secret"])
    assert (tmp_path / "outside" / "secret").exists()
