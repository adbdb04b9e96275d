"""Sources `path` and `glob`: files in a stable order with a digest of their content."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from fiat.builtin.source_path import GlobSource, PathSource
from fiat.errors import SpecError
from fiat.ports.confinement import Confinement
from fiat.ports.source import Fetched, SourceRequest
from fiat.testing.source_suite import SourceSuite


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


class GrantedFolder(SourceSuite):
    """A folder beside the checkout, and one that is not granted."""

    @pytest.fixture
    def shared(self, tmp_path: Path) -> Path:
        for name in ("shared", "secret"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "a.csv").write_text("x\n1\n")
        return tmp_path / "shared"

    @pytest.fixture
    def grants(self, shared: Path) -> Confinement:  # type: ignore[override]
        return Confinement(confined=True, data_folders=(str(shared),))

    @pytest.fixture
    def change(self, shared: Path) -> Callable[[], object]:  # type: ignore[override]
        return lambda: (shared / "a.csv").write_text("x\n1\n2\n")


class TestPathConformance(GrantedFolder):
    @pytest.fixture
    def source(self) -> PathSource:
        return PathSource()

    @pytest.fixture
    def settings(self, shared: Path) -> dict[str, object]:  # type: ignore[override]
        return {"path": str(shared)}

    @pytest.fixture
    def outside(self, root: Path) -> list[dict[str, object]]:
        (root / "link").symlink_to("../secret")
        return [{"path": str(root.parent / "secret")}, {"path": "../secret/a.csv"}, {"path": "link/a.csv"}]

    @pytest.fixture
    def missing(self) -> dict[str, object]:
        return {"path": "nowhere"}


class TestGlobConformance(GrantedFolder):
    @pytest.fixture
    def source(self) -> GlobSource:
        return GlobSource()

    @pytest.fixture
    def settings(self, shared: Path) -> dict[str, object]:  # type: ignore[override]
        return {"glob": f"{shared}/*.csv"}

    @pytest.fixture
    def outside(self, root: Path) -> list[dict[str, object]]:
        (root / "link").symlink_to("../secret")
        return [{"glob": str(root.parent / "secret/*")}, {"glob": "../secret/*.csv"}, {"glob": "link/*.csv"}]

    @pytest.fixture
    def missing(self) -> dict[str, object]:
        return {"glob": "nowhere/*"}


def test_what_is_in_the_checkout_changes_with_a_commit_and_needs_no_probe(checkout: Path) -> None:
    for source, settings in ((PathSource(), {"path": "data"}), (GlobSource(), {"glob": "gone/*"})):
        assert source.probe(SourceRequest(settings, checkout, checkout, False, 1, {})) == ""
