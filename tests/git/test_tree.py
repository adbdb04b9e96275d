"""Questions that a commit's files answer like a file system."""

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from fiat.git.entries import Blob, Edit
from fiat.git.tree import EarlierTree, Tree, resolve

PARTS = ("a", "b", "c", "a0", "a-b", "é")
TARGETS = ("a", "b/c", "..", "../b", "../../a", ".", "a/../..", "/etc/passwd", "c/./a", "../../../x")
paths = st.lists(st.sampled_from(PARTS), min_size=1, max_size=4).map("/".join)


def without_clashes(entries: dict[str, str]) -> dict[str, str]:
    """Only entries whose folders are no entries themselves."""
    return {
        path: content
        for path, content in entries.items()
        if not any(path.startswith(f"{other}/") for other in entries)
    }


# Content "-> x" is a symlink.
trees = st.dictionaries(
    paths, st.sampled_from(["1", "2", *(f"-> {target}" for target in TARGETS)]), max_size=14
).map(without_clashes)


def tree_of(entries: dict[str, str]) -> Tree:
    files = {
        path: Blob("120000" if content.startswith("-> ") else "100644", content)
        for path, content in entries.items()
    }
    return Tree(files, lambda oid: oid.removeprefix("-> "))


@given(trees, trees)
@settings(max_examples=150, deadline=None)
def test_an_earlier_commit_told_from_a_later_one_is_the_same_as_itself(
    before: dict[str, str], after: dict[str, str]
) -> None:
    then, now = tree_of(before), tree_of(after)
    edits = {
        path: Edit(then.get(path), now.get(path))
        for path in {*before, *after}
        if then.get(path) != now.get(path)
    }
    told = EarlierTree(now, edits)
    assert told.links() == then.links()
    folders = {"", "nowhere"} | {path.rsplit("/", 1)[0] for path in {*before, *after} if "/" in path}
    for path in {*before, *after} | folders:
        assert told.get(path) == then.get(path)
        assert told.has_folder(path) == then.has_folder(path)
        assert list(told.below(path)) == list(then.below(path))


@given(trees, paths)
@settings(max_examples=80, deadline=None)
def test_symlinks_are_followed_as_the_kernel_does_and_never_out(entries: dict[str, str], path: str) -> None:
    tree = tree_of(entries)
    outside = Path(tempfile.mkdtemp(prefix="fiat-tree-")).resolve()
    top = outside / "top"
    try:
        top.mkdir()
        for name, content in entries.items():
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            if content.startswith("-> "):
                (top / name).symlink_to(content.removeprefix("-> "))
            else:
                (top / name).write_text(content)
        found, _ = resolve(tree, path)
        if (top / path).exists():
            real = Path(os.path.realpath(top / path))
            if found is not None:
                assert real == top / found
            elif real.is_relative_to(top):
                # The kernel may come back in over the outside; a repository must not need that.
                assert any(".." in content or content.startswith("-> /") for content in entries.values())
        elif found is not None:
            assert not os.path.lexists(top / found) or tree.get(found) is not None
    finally:
        shutil.rmtree(outside)


def test_a_symlink_that_only_looks_as_if_it_stayed_inside_leads_out() -> None:
    tree = tree_of({"a/b/c": "-> ../..", "x": "-> a/b/c/../secret", "y": "-> a/b/../b/c"})
    assert resolve(tree, "x") == (None, ("x", "a/b/c"))
    assert resolve(tree, "y") == ("", ("y", "a/b/c"))


def test_symlinks_in_a_circle_lead_nowhere() -> None:
    tree = tree_of({"a": "-> b", "b": "-> a", "c": "-> c/d"})
    assert resolve(tree, "a")[0] is None
    assert resolve(tree, "c/x")[0] is None
