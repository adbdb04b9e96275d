import os
from pathlib import Path

import pytest

from fiat.errors import SpecError
from fiat.spec.files import find_root, read_spec_file, spec_file


def refused(path: Path, root: Path) -> str:
    with pytest.raises(SpecError) as caught:
        read_spec_file(path, root=root)
    return str(caught.value)


def test_the_root_is_the_top_of_the_git_checkout(tmp_path: Path) -> None:
    folder = tmp_path / "specs" / "a"
    folder.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    (tmp_path / "specs" / ".fiat").mkdir()
    assert find_root(folder / "spec.yaml") == tmp_path
    assert find_root(folder) == tmp_path


def test_a_git_file_of_a_worktree_marks_the_root_too(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: elsewhere\n")
    assert find_root(tmp_path / "spec.yaml") == tmp_path


def test_outside_git_the_root_is_the_nearest_folder_with_fiat_state(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (tmp_path / "a" / ".fiat").mkdir()
    assert find_root(folder / "spec.yaml") == tmp_path / "a"


def test_without_either_the_root_is_the_folder_of_the_spec(tmp_path: Path) -> None:
    assert find_root(tmp_path / "spec.yaml") == tmp_path


def test_a_spec_is_named_by_its_file_or_by_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "digits" / "spec.yaml"
    path.parent.mkdir()
    path.write_text("fiat: 1\n")
    assert spec_file(path) == path
    assert spec_file(path.parent) == path
    assert spec_file(str(path.parent)) == path


def test_a_missing_spec_is_answered_with_the_nearest_one(tmp_path: Path) -> None:
    path = tmp_path / "specs" / "digits" / "spec.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("fiat: 1\n")
    with pytest.raises(SpecError) as caught:
        spec_file(tmp_path / "specs" / "digit")
    assert caught.value.hint == f"did you mean {path.parent}?"


def test_where_there_are_no_specs_the_hint_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="there is no spec") as caught:
        spec_file(tmp_path / "nothing")
    assert "fiat init" in caught.value.hint


def test_a_file_is_read_and_called_by_its_path_below_the_root(tmp_path: Path) -> None:
    path = tmp_path / "specs" / "spec.yaml"
    path.parent.mkdir()
    path.write_bytes(b"fiat: 1\n")
    assert read_spec_file(path, root=tmp_path) == (b"fiat: 1\n", "specs/spec.yaml")


def test_a_relative_path_is_read_from_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_bytes(b"fiat: 1\n")
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        assert read_spec_file(Path("spec.yaml"), root=Path())[1] == "spec.yaml"
        assert spec_file(".") == Path("spec.yaml")
    finally:
        os.chdir(before)


def test_a_symlink_is_refused_and_nothing_behind_it_is_told(tmp_path: Path) -> None:
    link = tmp_path / "spec.yaml"
    link.symlink_to("/etc/passwd")
    message = refused(link, tmp_path)
    assert "spec.yaml in spec.yaml is a symlink" in message
    assert "root:" not in message


def test_a_symlinked_folder_on_the_way_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "spec.yaml").write_text("fiat: 1\n")
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").symlink_to(outside)
    assert "a in a/spec.yaml is a symlink" in refused(root / "a" / "spec.yaml", root)


def test_a_path_that_leaves_the_checkout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("secret: x\n")
    root = tmp_path / "root"
    root.mkdir()
    message = refused(root / ".." / "spec.yaml", root)
    assert "is outside the checkout" in message
    assert "secret" not in message


def test_another_repository_inside_the_checkout_is_refused(tmp_path: Path) -> None:
    inner = tmp_path / "sub"
    inner.mkdir()
    (inner / ".git").write_text("gitdir: ../.git/modules/sub\n")
    (inner / "spec.yaml").write_text("fiat: 1\n")
    assert "sub in sub/spec.yaml is another repository" in refused(inner / "spec.yaml", tmp_path)


def test_a_file_above_the_limit_is_refused_before_it_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(b"# " + b"x" * 2_000_000)
    assert refused(path, tmp_path) == "spec.yaml: the file has 2,000,002 bytes, at most 262,144 are read"


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "spec.yaml")
    assert "not a regular file" in refused(tmp_path / "spec.yaml", tmp_path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").mkdir()
    assert "not a regular file" in refused(tmp_path / "spec.yaml", tmp_path)


def test_other_capitals_are_another_file(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("fiat: 1\n")
    assert "Spec.yaml" in refused(tmp_path / "Spec.yaml", tmp_path)


@pytest.mark.parametrize("name", ["a\rb.yaml", "a\u202eb.yaml", "a\x1b[0mb.yaml", "a\nb.yaml"])
def test_control_and_direction_characters_in_a_path_are_refused_and_escaped(
    tmp_path: Path, name: str
) -> None:
    message = refused(tmp_path / name, tmp_path)
    assert "control or direction characters" in message
    assert message.isprintable()
    with pytest.raises(SpecError):
        spec_file(tmp_path / name)
