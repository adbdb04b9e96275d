"""The working tree."""

import subprocess
from pathlib import Path

import pytest

from fiat.engine.checkout import Checkout
from fiat.errors import SpecError


def git(root: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    subprocess.run(["git", *identity, "-C", str(root), *arguments], check=True, capture_output=True)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("1")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.csv").write_text("1")
    (tmp_path / ".gitignore").write_text("ignored.txt\n")
    (tmp_path / "ignored.txt").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_reads_commit_branch_and_dirtiness(repo: Path) -> None:
    state = Checkout(repo).git
    assert len(state.commit) == 40
    assert (state.branch, state.dirty) == ("main", False)
    (repo / "new.py").write_text("1")
    assert Checkout(repo).git.dirty


def test_a_detached_head_has_no_branch_and_a_plain_folder_no_commit(
    repo: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    git(repo, "checkout", "-q", "--detach")
    assert Checkout(repo).git.branch == ""
    assert Checkout(tmp_path_factory.mktemp("plain")).git.commit == ""


def test_code_is_what_git_tracks_or_would_track_but_not_data_or_the_spec(repo: Path) -> None:
    (repo / "untracked.py").write_text("1")
    (repo / "spec.yaml").write_text("fiat: 1")
    files = Checkout(repo).code_files(None, data=("data",), exclude=("spec.yaml",))
    assert [path.relative_to(repo).as_posix() for path in files] == [".gitignore", "src/a.py", "untracked.py"]


def test_patterns_choose_code_and_one_that_matches_nothing_is_an_error(repo: Path) -> None:
    checkout = Checkout(repo)
    assert [path.name for path in checkout.code_files(("src/**",), (), ())] == ["a.py"]
    assert [path.name for path in checkout.code_files(("*.py",), (), ())] == ["a.py"]
    with pytest.raises(SpecError, match="matches no file"):
        checkout.code_files(("lib/**",), (), ())


def test_a_planted_fsmonitor_is_not_run(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    canary = tmp_path_factory.mktemp("canary") / "ran"
    program = repo / "monitor.sh"
    program.write_text(f"#!/bin/sh\ntouch {canary}\n")
    program.chmod(0o755)
    git(repo, "config", "core.fsmonitor", str(program))
    assert Checkout(repo).git.commit
    assert Checkout(repo).files
    assert not canary.exists()
