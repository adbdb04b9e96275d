"""Submodules: left out unless asked for, and then only from where the operator allows."""

import sys
from pathlib import Path

import pytest

from fiat.errors import SpecError
from fiat.git.layout import LeftOut, lay_out
from fiat.git.mirror import Mirror
from fiat.git.remote import Address, Remote
from fiat.git.submodules import Submodules, absolute_url

sys.path.insert(0, str(Path(__file__).parent))
from git_repository import Repository

FILE = frozenset({"file"})


class Family:
    """Repositories beside each other, and a mirror of one of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []

    def repository(self, name: str) -> Repository:
        return Repository(self.folder / "upstream" / name)

    def add(self, outer: Repository, url: str, path: str, commit: str, *, name: str = "") -> str:
        """Make another repository's commit a submodule, as a hostile hand would."""
        key = f"submodule.{name or path}"
        outer.git("config", "--file", ".gitmodules", f"{key}.path", path)
        outer.git("config", "--file", ".gitmodules", f"{key}.url", url)
        outer.git("add", ".gitmodules")
        outer.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
        outer.git("commit", "-q", "-m", "submodule")
        return outer.git("rev-parse", "HEAD")

    def mirror(self, name: str) -> Mirror:
        remote = Remote(f"file://{self.folder}/upstream/{name}", protocols=FILE)
        mirror = Mirror(self.folder / "mirrors" / name, remote)
        mirror.fetch()
        return mirror

    def submodules(self) -> Submodules:
        def remote(url: str, address: Address) -> Remote | None:
            self.asked.append(url)
            return Remote(url, protocols=FILE) if "secret" not in url else None

        return Submodules(self.folder / "mirrors" / "submodules", remote)


@pytest.fixture
def family(tmp_path: Path) -> Family:
    return Family(tmp_path)


def test_submodules_are_left_out_and_their_folders_are_empty(family: Family, tmp_path: Path) -> None:
    inner = family.repository("inner").commit({"x": "1"})
    outer = family.repository("outer")
    outer.commit({"a": "1"})
    commit = family.add(outer, "../inner", "lib/inner", inner)
    layout = lay_out(family.mirror("outer"), commit, tmp_path / "out")
    assert layout.left_out == (LeftOut("lib/inner", "is a submodule, which is not fetched"),)
    assert list((tmp_path / "out/lib/inner").iterdir()) == []
    assert not (tmp_path / "mirrors/submodules").exists()


def test_submodules_that_are_asked_for_are_laid_out_with_their_own(family: Family, tmp_path: Path) -> None:
    innermost = family.repository("innermost").commit({"z": "3", ".gitattributes": "* export-ignore\n"})
    inner = family.repository("inner")
    inner.commit({"y": "2"})
    middle = family.add(inner, "../innermost", "deep", innermost)
    inner.commit({"y": "newer, on the branch"})
    outer = family.repository("outer")
    outer.commit({"a": "1"})
    commit = family.add(outer, "../inner", "lib/inner", middle)
    layout = lay_out(family.mirror("outer"), commit, tmp_path / "out", submodules=family.submodules())
    assert layout.left_out == ()
    assert layout.n_files == 6
    assert (layout.folder / "lib/inner/y").read_text() == "2"
    assert (layout.folder / "lib/inner/deep/z").read_text() == "3"
    assert (layout.folder / "lib/inner/deep").stat().st_mode & 0o777 == 0o555
    upstream = f"file://{tmp_path}/upstream"
    assert family.asked == [f"{upstream}/inner", f"{upstream}/innermost"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("file:///srv/secret", "is not allowed"),
        ("../../../../../../../../../../x", "goes above its host"),
        ("https://git.example/a", "is not spoken"),
        ("--upload-pack=touch /tmp/x", "no URL has"),
        ("ext::sh -c touch% /tmp/x", "no URL has"),
        ("ext::id", "helper program"),
        ("ssh://-oProxyCommand=id/x", "is not spoken"),
    ],
)
def test_a_submodule_from_elsewhere_is_refused(family: Family, tmp_path: Path, url: str, words: str) -> None:
    outer = family.repository("outer")
    commit = family.add(outer, url, "lib", "a" * 40)
    mirror = Mirror(
        tmp_path / "mirrors" / "outer", Remote(f"file://{tmp_path}/upstream/outer", protocols=FILE)
    )
    try:
        mirror.fetch()
    except Exception as error:  # git itself refuses the worst ones
        assert "unsound" in str(error)  # noqa: PT017
        return
    with pytest.raises(SpecError, match=words):
        lay_out(mirror, commit, tmp_path / "layouts" / "out", submodules=family.submodules())
    assert list((tmp_path / "layouts").iterdir()) == []
    assert not (tmp_path / "mirrors/submodules").exists()


def test_a_submodule_without_url_or_commit_is_said_so(family: Family, tmp_path: Path) -> None:
    inner = family.repository("inner")
    inner.commit({"x": "1"})
    outer = family.repository("outer")
    outer.git("update-index", "--add", "--cacheinfo", f"160000,{'a' * 40},lib")
    outer.git("commit", "-q", "-m", "no url")
    commit = outer.git("rev-parse", "HEAD")
    with pytest.raises(SpecError, match=r"\.gitmodules: the submodule lib has no url"):
        lay_out(family.mirror("outer"), commit, tmp_path / "a", submodules=family.submodules())
    commit = family.add(outer, "../inner", "lib", "a" * 40)
    with pytest.raises(SpecError, match="has no commit aaaa"):
        lay_out(family.mirror("outer"), commit, tmp_path / "b", submodules=family.submodules())


def test_submodules_in_submodules_end(family: Family, tmp_path: Path) -> None:
    commit = family.repository("r0").commit({"x": "0"})
    for number in range(1, 6):
        repository = family.repository(f"r{number}")
        commit = family.add(repository, f"../r{number - 1}", "in", commit)
    mirror = family.mirror("r5")
    with pytest.raises(SpecError, match="more than 3 repositories deep"):
        lay_out(mirror, commit, tmp_path / "out", submodules=family.submodules())


def test_settings_in_gitmodules_run_nothing(family: Family, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    included = tmp_path / "included"
    included.write_text(f'[submodule "lib"]\n\turl = {tmp_path}/evil\n')
    inner = family.repository("inner").commit({"x": "1"})
    outer = family.repository("outer")
    outer.commit(
        {
            ".gitmodules": f"[include]\n\tpath = {included}\n[core]\n\tfsmonitor = touch {canary}\n"
            f"\tpager = touch {canary}\n[alias]\n\tconfig = !touch {canary}\n"
        }
    )
    commit = family.add(outer, "../inner", "lib", inner)
    lay_out(family.mirror("outer"), commit, tmp_path / "out", submodules=family.submodules())
    assert (tmp_path / "out/lib/x").read_text() == "1"
    assert not canary.exists()


@pytest.mark.parametrize(
    ("url", "parent", "full"),
    [
        ("../lib.git", "https://git.example/acme/models.git", "https://git.example/acme/lib.git"),
        ("../../other/lib", "https://git.example/acme/models/", "https://git.example/other/lib"),
        ("./lib", "ssh://git@git.example/acme", "ssh://git@git.example/acme/lib"),
        ("../lib", "git@git.example:acme/models", "git@git.example:acme/lib"),
        ("../lib", "git@git.example:models", "git@git.example:lib"),
        ("https://else.example/a", "https://git.example/b", "https://else.example/a"),
    ],
)
def test_relative_urls_are_resolved_beside_the_parent(url: str, parent: str, full: str) -> None:
    assert absolute_url(url, parent) == full


@pytest.mark.parametrize("url", ["../../lib", "../../../../x", "./../../../x"])
def test_relative_urls_do_not_reach_another_host(url: str) -> None:
    with pytest.raises(SpecError, match="above its host"):
        absolute_url(url, "https://git.example/models")
