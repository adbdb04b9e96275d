import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiat.store.trees import TreeFile, digest_tree, is_digest, read_tree, write_tree

MD5 = st.text("0123456789abcdef", min_size=32, max_size=32)
PART = st.text(st.characters(blacklist_characters="/\0"), min_size=1, max_size=6).filter(
    lambda one: one not in (".", "..")
)
PATH = st.lists(PART, min_size=1, max_size=3).map("/".join)


def test_an_empty_folder_has_the_digest_that_dvc_gives_it() -> None:
    assert digest_tree(write_tree([])) == "d751713988987e9331980363e24189ce.dir"


@given(st.dictionaries(PATH, MD5, max_size=8))
def test_a_folder_is_read_as_it_was_written_in_any_order(files: dict[str, str]) -> None:
    text = write_tree(files.items())
    assert text == write_tree(reversed(list(files.items())))
    assert read_tree(text) == tuple(TreeFile(path, files[path]) for path in sorted(files))


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "a//b", ".", "", "a/", "a\0b"])
def test_a_path_that_leaves_its_folder_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="leaves its folder"):
        read_tree(json.dumps([{"md5": "0" * 32, "relpath": path}]).encode())


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", "[{}]", '[{"md5": "x", "relpath": "a"}]', "[" * 9, '[{"md5": null}]']
)
def test_what_is_no_list_of_files_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_tree(text.encode())


def test_digests_of_files_and_folders_are_told_from_other_text() -> None:
    assert is_digest("0" * 32)
    assert is_digest("0" * 32 + ".dir")
    for text in ("", "0" * 31, "0" * 33, "G" * 32, "0" * 32 + ".dirx", "../" + "0" * 29):
        assert not is_digest(text)
