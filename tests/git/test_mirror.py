"""The mirror on real repositories."""

import sys
from pathlib import Path

import pytest

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


def test_what_the_remote_has_is_told_and_brought_over(mirror: Mirror, upstream: Repository) -> None:
    first = upstream.commit({"a.txt": "1"})
    upstream.git("tag", "-a", "v1", "-m", "first")
    upstream.git("update-ref", "refs/pull/7/head", first)
    upstream.git("update-ref", "refs/secret/x", first)
    assert mirror.heads() == {
        "refs/heads/main": first,
        "refs/tags/v1": first,
        "refs/pull/7/head": first,
    }
    assert mirror.heads(pulls=False) == {"refs/heads/main": first, "refs/tags/v1": first}
    assert mirror.fetch() == frozenset()
    assert mirror.commit_of("refs/heads/main") == first
    assert mirror.commit_of("refs/tags/v1") == first
    assert mirror.commit_of("refs/pull/7/head") == ""
    assert mirror.fetch(["refs/pull/7/head"]) == frozenset()
    assert mirror.commit_of("refs/pull/7/head") == first
