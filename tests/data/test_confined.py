"""Patterns and folders: what is found, and what is never entered."""

import os
from glob import glob as expand
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiat.data.confined import folder_files, matching_files
from fiat.errors import SpecError
from fiat.ports.confinement import Confinement

DESK = Confinement()
PARTS = st.sampled_from(["a", "b", "*", "a*", "?", "[ab]", "**", "*.csv", "x.csv", ".*"])


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    for name in (
        "x.csv",
        "a/x.csv",
        "a/b/x.csv",
        "a/b/y.txt",
        "a/.h/x.csv",
        ".h/x.csv",
        "b/a/a/x.csv",
        "ab/z",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(PARTS, min_size=1, max_size=5))
def test_a_pattern_means_what_it_means_to_the_standard_library(tree: Path, parts: list[str]) -> None:
    pattern = "/".join(parts)
    theirs = expand(pattern, root_dir=tree, recursive=True)  # noqa: PTH207 - what ours is compared with
    expected = {name for name in theirs if (tree / name).is_file() and not name.endswith("/")}
    found = matching_files(pattern, tree, DESK, "source.glob")
    assert {path.relative_to(tree).as_posix() for path in found} == expected
    assert found == sorted(found)


def test_links_to_folders_are_followed_where_they_are_named_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x.csv").write_text("x")
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "link").symlink_to(tmp_path / "real")
    assert matching_files("top/link/*.csv", tmp_path, DESK, "k") == [tmp_path / "top/link/x.csv"]
    assert matching_files("top/*/*.csv", tmp_path, DESK, "k") == [tmp_path / "top/link/x.csv"]
    assert matching_files("top/**/*.csv", tmp_path, DESK, "k") == []
    assert folder_files(tmp_path / "top", tmp_path, DESK, "k") == []


def nest(folder: Path, n: int) -> Path:
    """Folders in each other, each with two links to itself; the innermost has x.csv."""
    for _ in range(n):
        (folder / "one").symlink_to(".")
        (folder / "two").symlink_to(".")
        folder = folder / "d"
        folder.mkdir()
    (folder / "x.csv").write_text("x")
    return folder / "x.csv"


def test_many_stars_over_a_tree_of_links_end_soon(tmp_path: Path) -> None:
    innermost = nest(tmp_path, 60)
    assert matching_files("**/**/**/d/**/**/x.csv", tmp_path, DESK, "k") == [innermost]


def test_a_stranger_gets_no_further_than_the_first_link_to_a_folder(tmp_path: Path) -> None:
    nest(tmp_path, 30)
    strangers = Confinement(confined=True)
    for pattern in ("/".join(["*"] * 30) + "/x.csv", "*/x.csv"):
        with pytest.raises(SpecError, match=r"(one|two) is a link to a folder"):
            matching_files(pattern, tmp_path, strangers, "k")
    with pytest.raises(SpecError, match=r"(one|two) is a link to a folder"):
        folder_files(tmp_path, tmp_path, strangers, "k")
    assert len(matching_files("**/x.csv", tmp_path, strangers, "k")) == 1


def test_a_very_deep_tree_is_no_recursion(tmp_path: Path) -> None:
    here, way = os.open(tmp_path, os.O_RDONLY), []
    for _ in range(1200):
        os.mkdir("d", dir_fd=here)
        way.append(here)
        here = os.open("d", os.O_RDONLY, dir_fd=here)
    os.close(here)
    try:
        assert matching_files("**/*.csv", tmp_path, DESK, "k") == []
        assert folder_files(tmp_path, tmp_path, DESK, "k") == []
    finally:  # pytest's own removal recurses
        while way:
            os.rmdir("d", dir_fd=way[-1])
            os.close(way.pop())
