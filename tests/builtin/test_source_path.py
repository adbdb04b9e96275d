"""Sources `path` and `glob`: files in a stable order with a digest of their content."""

import hashlib
from pathlib import Path

import pytest

from fiat.builtin.source_path import GlobSource, PathSource
from fiat.errors import SpecError
from fiat.ports.source import Fetched, SourceRequest


def fetch(root: Path, **settings: str) -> Fetched:
    source = PathSource() if "path" in settings else GlobSource()
    return source.fetch(SourceRequest(settings, root, root / "unused", False, 1 << 30, {}))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in (
        "data/b.csv",
        "data/a.csv",
        "data/sub/c.csv",
        "data/.hidden",
        "data/.git/config",
        "data/readme.md",
    ):
        path = tmp_path / "checkout" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, "utf-8")
    return tmp_path / "checkout"


def names(root: Path, fetched: Fetched) -> list[str]:
    return [file.relative_to(root).as_posix() for file in fetched.files]


def test_a_folder_gives_all_its_files_but_hidden_ones_sorted(checkout: Path) -> None:
    assert names(checkout, fetch(checkout, path="data")) == [
        "data/a.csv",
        "data/b.csv",
        "data/readme.md",
        "data/sub/c.csv",
    ]


def test_a_file_has_its_own_sha256_as_digest(checkout: Path) -> None:
    fetched = fetch(checkout, path="data/a.csv")
    assert names(checkout, fetched) == ["data/a.csv"]
    assert fetched.digest == hashlib.sha256(b"data/a.csv").hexdigest()


def test_the_digest_follows_content_and_names_and_not_the_place(checkout: Path) -> None:
    before = fetch(checkout, path="data").digest
    moved = checkout.rename(checkout.with_name("elsewhere"))
    assert fetch(moved, path="data").digest == before
    (moved / "data/a.csv").write_text("other", "utf-8")
    changed = fetch(moved, path="data").digest
    assert changed != before
    (moved / "data/a.csv").rename(moved / "data/aa.csv")
    assert fetch(moved, path="data").digest not in (before, changed)


def test_a_glob_gives_what_matches_sorted(checkout: Path) -> None:
    assert names(checkout, fetch(checkout, glob="data/*.csv")) == ["data/a.csv", "data/b.csv"]
    assert names(checkout, fetch(checkout, glob="data/**/*.csv")) == [
        "data/a.csv",
        "data/b.csv",
        "data/sub/c.csv",
    ]
    assert fetch(checkout, glob="../checkout/data/a.*").digest == fetch(checkout, path="data/a.csv").digest


def test_what_is_not_there_is_told_with_the_nearest_name(checkout: Path) -> None:
    with pytest.raises(SpecError, match=r"no data/a.cvs.*did you mean a.csv"):
        fetch(checkout, path="data/a.cvs")
    with pytest.raises(SpecError, match="relative to the checkout"):
        fetch(checkout, path="nowhere/else.csv")
    with pytest.raises(SpecError, match=r"no file matches data/\*.parquet"):
        fetch(checkout, glob="data/*.parquet")
    (checkout / "empty").mkdir()
    with pytest.raises(SpecError, match="the folder empty holds no files"):
        fetch(checkout, path="empty")
