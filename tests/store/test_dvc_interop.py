"""With the real `dvc` command: the same digests, our cache as its cache, and its remotes."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from fiat.errors import EnvironmentFault
from fiat.run.model import Artifact
from fiat.store.remote import Remote, RemoteCache
from fiat.store.store import Store, open_store

FILES = {
    "b.txt": b"b",
    "a/\u00e9t\u00e9 1.txt": b"one",
    "a/b/c.bin": bytes(range(256)) * 400,
    "a-b.txt": b"sorts between",
    "A.txt": b"upper",
    "empty": b"",
    'quo"te\\.txt': b"odd",
}


def fill(folder: Path) -> Path:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def read(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def dvc(folder: Path, *arguments: str) -> str:
    env = {
        **os.environ,
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(folder / ".site"),
        "DVC_GLOBAL_CONFIG_DIR": str(folder / ".none"),
        "DVC_SYSTEM_CONFIG_DIR": str(folder / ".none"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def dvc_repo(tmp_path: Path) -> Path:
    folder = tmp_path / "dvc repo"
    folder.mkdir()
    dvc(folder, "init", "--no-scm", "--quiet")
    return folder


@pytest.mark.slow
def test_dvc_gives_the_same_digests_and_takes_our_cache_for_its_own(local: Store, dvc_repo: Path) -> None:
    fill(dvc_repo / "data")
    (dvc_repo / "one.csv").write_bytes(b"a,b\r\n1,2\r\n")
    dvc(dvc_repo, "add", "--quiet", "data", "one.csv")
    theirs = {
        name: yaml.safe_load((dvc_repo / f"{name}.dvc").read_text())["outs"][0]
        for name in ("data", "one.csv")
    }
    assert local.digester.digest(dvc_repo / "data") == theirs["data"]["md5"]
    assert local.digester.digest(dvc_repo / "one.csv") == theirs["one.csv"]["md5"]
    folder = local.artifacts.put(dvc_repo / "data", move=False)
    file = local.artifacts.put(dvc_repo / "one.csv", move=False)
    assert folder == Artifact(theirs["data"]["md5"], theirs["data"]["size"], theirs["data"]["nfiles"])
    assert file == Artifact(theirs["one.csv"]["md5"], theirs["one.csv"]["size"])
    ours = local.artifacts.object_path(folder.digest).read_bytes()
    assert ours == (dvc_repo / ".dvc/cache/files/md5" / folder.digest[:2] / folder.digest[2:]).read_bytes()

    for path in ("data", ".dvc/cache", "one.csv"):
        subprocess.run(["rm", "-rf", path], cwd=dvc_repo, check=True)
    dvc(dvc_repo, "config", "cache.dir", str(local.artifacts.cache))
    dvc(dvc_repo, "checkout", "--quiet")
    assert read(dvc_repo / "data") == FILES
    assert (dvc_repo / "one.csv").read_bytes() == b"a,b\r\n1,2\r\n"
    assert "up to date" in dvc(dvc_repo, "status")
    assert local.artifacts.check(folder.digest)
    assert local.artifacts.verify(file.digest)


@pytest.mark.slow
def test_what_dvc_put_into_the_cache_can_be_used(local: Store, dvc_repo: Path, tmp_path: Path) -> None:
    fill(dvc_repo / "data")
    dvc(dvc_repo, "config", "cache.dir", str(local.artifacts.cache))
    dvc(dvc_repo, "add", "--quiet", "data")
    digest = yaml.safe_load((dvc_repo / "data.dvc").read_text())["outs"][0]["md5"]
    assert local.artifacts.check(digest)
    local.artifacts.materialize(digest, tmp_path / "there")
    assert read(tmp_path / "there") == FILES


@pytest.mark.slow
def test_artifacts_go_to_a_remote_and_come_back_in_another_store(local: Store, tmp_path: Path) -> None:
    folder = local.artifacts.put(fill(tmp_path / "out"))
    (tmp_path / "one").write_bytes(b"one file")
    file = local.artifacts.put(tmp_path / "one")
    remote = Remote(str(tmp_path / "the remote #1"))
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")}

    def carry(store: Store, to: Remote = remote) -> RemoteCache:
        return RemoteCache(store.root, store.artifacts, to, python=sys.executable, env=env)

    carry(local).push([folder.digest, file.digest])
    carry(local).push([])
    assert (tmp_path / "the remote #1" / "files" / "md5" / file.digest[:2] / file.digest[2:]).is_file()
    with open_store(tmp_path / "elsewhere" / ".fiat", now=lambda: datetime.now(UTC)) as other:
        carry(other).pull([folder.digest, file.digest])
        assert other.artifacts.verify(folder.digest)
        assert other.artifacts.verify(file.digest)
        other.artifacts.materialize(folder.digest, tmp_path / "back")
        assert read(tmp_path / "back") == FILES
        carry(other).pull([folder.digest])
        with pytest.raises(EnvironmentFault, match="artifact 000000000000"):
            carry(other).push(["0" * 32])
        with pytest.raises(
            EnvironmentFault, match=r"dvc fetch with .* failed|does not have artifact 000000000000"
        ):
            carry(other).pull(["0" * 32])
        with pytest.raises(EnvironmentFault, match="dvc fetch with nonsense://x failed"):
            carry(other, Remote("nonsense://x")).pull(["1" * 32])
        assert list((other.root / "tmp").iterdir()) == []
    assert list((local.root / "tmp").iterdir()) == []
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("text", ['x"y', "a\n[core]", "nul\0"])
def test_a_setting_cannot_smuggle_others_into_the_configuration(
    local: Store, tmp_path: Path, text: str
) -> None:
    (tmp_path / "one").write_bytes(b"one file")
    file = local.artifacts.put(tmp_path / "one")
    for remote in (
        Remote(f"s3://{text}"),
        Remote("s3://x", {"profile": text}),
        Remote("s3://x", {text: "x"}),
    ):
        with pytest.raises(EnvironmentFault, match="can't hold"):
            RemoteCache(local.root, local.artifacts, remote, python=sys.executable, env={}).push(
                [file.digest]
            )
    with pytest.raises(EnvironmentFault, match="no digest"):
        RemoteCache(local.root, local.artifacts, Remote("x"), python=sys.executable, env={}).pull(["../x"])
