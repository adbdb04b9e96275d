import os
from pathlib import Path

import pytest

from fiat.errors import SpecError
from fiat.store.walk import WalkRules, is_inside, resolve_link, walk_files


def rules(*folders: Path, skip: frozenset[str] = frozenset()) -> WalkRules:
    return WalkRules(tuple(os.path.realpath(folder) for folder in folders), skip, "output")


def test_files_come_sorted_by_path_with_their_stat(tmp_path: Path) -> None:
    for name in ("b", "a/z", "a.b", "a/c/d", "A", "skip/x", "a/skip/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "empty").mkdir()
    walk = walk_files(str(tmp_path), rules(tmp_path, skip=frozenset({"skip"})))
    assert [name for name, _ in walk.files] == ["A", "a.b", "a/c/d", "a/z", "b"]
    assert [facts.st_size for _, facts in walk.files] == [1, 3, 5, 3, 1]
    assert not walk.has_links


def test_a_link_counts_as_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("12345")
    (tmp_path / "one").symlink_to("real/file")
    (tmp_path / "two").symlink_to("one")
    (tmp_path / "folder").symlink_to("real")
    walk = walk_files(str(tmp_path), rules(tmp_path))
    assert [(name, facts.st_size) for name, facts in walk.files] == [
        (name, 5) for name in ("folder/file", "one", "real/file", "two")
    ]
    assert walk.has_links


@pytest.mark.parametrize("target", [".", "..", "deeper", "../top/deeper"])
def test_a_circle_of_links_ends_with_a_sentence(tmp_path: Path, target: str) -> None:
    top = tmp_path / "top"
    (top / "deeper").mkdir(parents=True)
    (top / "deeper" / "link").symlink_to(Path("..") / target if target != ".." else tmp_path)
    (top / "deeper" / "second").symlink_to(top)
    with pytest.raises(SpecError, match="leads in a circle"):
        walk_files(str(top), rules(tmp_path))


def test_two_links_that_lead_to_each_other_lead_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(SpecError, match="link to nothing"):
        walk_files(str(tmp_path), rules(tmp_path))


def test_a_name_that_only_begins_alike_is_not_inside(tmp_path: Path) -> None:
    assert is_inside("/a/b", ["/a"])
    assert is_inside("/a", ["/x", "/a"])
    assert is_inside("/a", ["/"])
    assert not is_inside("/ab", ["/a"])
    (tmp_path / "ab").write_text("x")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "link").symlink_to(tmp_path / "ab")
    with pytest.raises(SpecError, match="leads outside"):
        resolve_link(str(tmp_path / "a" / "link"), rules(tmp_path / "a"))
