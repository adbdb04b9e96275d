"""Source `dvc`: with real DVC repositories and remotes."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fiat.builtin.source_dvc import DvcSource
from fiat.builtin.source_dvc_file import folder_md5
from fiat.errors import EnvironmentFault, SpecError
from fiat.ports.confinement import Confinement
from fiat.ports.source import Fetched, SourceRequest
from fiat.testing.source_suite import SourceSuite


def run(cwd: Path, *argv: str) -> None:
    private = cwd.parent / "private"
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(private),
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(private / "site"),
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }
    subprocess.run(argv, cwd=cwd, env=env, check=True, capture_output=True)


def dvc(cwd: Path, *argv: str) -> None:
    run(cwd, sys.executable, "-I", "-m", "dvc", *argv)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `repo` (one.csv and data/ tracked, pushed, cache emptied) and `remote`."""
    base = tmp_path_factory.mktemp("dvc")
    repo = base / "repo"
    (repo / "data" / "sub").mkdir(parents=True)
    (base / "remote").mkdir()
    run(repo, "git", "init", "-q")
    dvc(repo, "init", "-q")
    dvc(repo, "remote", "add", "-d", "store", "../remote")
    (repo / "one.csv").write_text("x,y\n1,2\n", "utf-8")
    (repo / "data" / "a.csv").write_text("x\n1\n", "utf-8")
    (repo / "data" / "sub" / "b.csv").write_text("x\n2\n", "utf-8")
    dvc(repo, "add", "-q", "one.csv", "data")
    dvc(repo, "push", "-q")
    run(repo, "git", "add", "-A")
    run(repo, "git", "commit", "-qm", "first")
    shutil.rmtree(repo / ".dvc" / "cache")
    return base


@pytest.fixture
def checkout(made: Path, tmp_path: Path) -> Path:
    """A copy of it whose data is only in the remote."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    (tmp_path / "repo" / "one.csv").unlink()
    shutil.rmtree(tmp_path / "repo" / "data")
    return tmp_path / "repo"


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Serves a folder over HTTP on this machine."""
    servers: list[ThreadingHTTPServer] = []

    def start(folder: Path) -> str:
        handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def fetch(root: Path, settings: dict[str, object], max_bytes: int = 10_000) -> Fetched:
    folder = root.parent / "fetched"
    folder.mkdir(exist_ok=True)
    return DvcSource().fetch(SourceRequest(settings, root, folder, False, max_bytes, {}))


def test_a_dvc_file_is_pulled_from_its_remote_and_the_checkout_stays_as_it_is(checkout: Path) -> None:
    fetched = fetch(checkout, {"dvc": "one.csv.dvc"})
    assert [file.read_text("utf-8") for file in fetched.files] == ["x,y\n1,2\n"]
    assert not (checkout / "one.csv").exists()
    folder = fetch(checkout, {"dvc": "data.dvc"})
    assert [file.name for file in folder.files] == ["a.csv", "b.csv"]


def test_what_is_already_here_is_used_without_the_remote(checkout: Path, made: Path) -> None:
    shutil.rmtree(checkout.parent / "remote")
    shutil.copytree(made / "repo" / "data", checkout / "data")
    fetched = fetch(checkout, {"dvc": "data.dvc"})
    assert [file.relative_to(checkout).as_posix() for file in fetched.files] == [
        "data/a.csv",
        "data/sub/b.csv",
    ]


def test_an_edited_file_does_not_pass_for_what_is_tracked(checkout: Path) -> None:
    (checkout / "one.csv").write_text("x,y\n9,9\n", "utf-8")
    with pytest.raises(SpecError, match=r"one\.csv is not what one\.csv\.dvc tracks .*dvc checkout"):
        fetch(checkout, {"dvc": "one.csv.dvc"})
    assert (checkout / "one.csv").read_text("utf-8") == "x,y\n9,9\n"


def test_a_path_in_another_repository_at_a_revision(checkout: Path) -> None:
    (checkout / "one.csv.dvc").unlink()
    at_head = {"repo": "../repo", "rev": "HEAD"}
    one = fetch(checkout, {"dvc": "one.csv", "remote": "store", **at_head})
    assert [file.read_text("utf-8") for file in one.files] == ["x,y\n1,2\n"]
    folder = fetch(checkout, {"dvc": {"path": "data", **at_head}})
    assert [file.name for file in folder.files] == ["a.csv", "b.csv"]
    with pytest.raises(SpecError, match=r"source\.dvc: nothing\.csv"):
        fetch(checkout, {"dvc": "nothing.csv", **at_head})


def test_a_file_lost_from_the_remote_is_a_fault_of_the_machine(checkout: Path) -> None:
    shutil.rmtree(checkout.parent / "remote")
    (checkout.parent / "remote").mkdir()
    with pytest.raises(EnvironmentFault, match=r"DVC can't pull one\.csv"):
        fetch(checkout, {"dvc": "one.csv.dvc"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("outs:\n- path: /etc/passwd\n  md5: a\n", "outside the file's own folder"),
        ("outs:\n- path: ../secret\n", "outside the file's own folder"),
        ("outs:\n- path: s3://bucket/x\n", "outside the file's own folder"),
        ("cmd: touch owned\nouts:\n- path: x\n", "a command or another folder"),
        ("wdir: ../..\nouts:\n- path: x\n", "a command or another folder"),
        ("outs: []\n", "no `outs`"),
        ("outs: [1]\n", "no mapping"),
        ("[" * 3000, "can't be read as YAML"),
        ("!!python/object/apply:os.system ['touch owned']\n", "can't be read as YAML"),
        ("", "no `outs`"),
    ],
)
def test_a_hostile_dvc_file_is_refused_and_runs_nothing(tmp_path: Path, text: str, says: str) -> None:
    root = tmp_path / "repo"
    root.mkdir()
    (root / "x.dvc").write_text(text, "utf-8")
    with pytest.raises(SpecError, match=says):
        fetch(root, {"dvc": "x.dvc"})
    assert not list(tmp_path.rglob("owned"))


def test_a_stage_of_the_repository_is_never_run(checkout: Path) -> None:
    (checkout / "dvc.yaml").write_text(
        "stages:\n  make:\n    cmd: touch owned made.csv\n    outs: [made.csv]\n", "utf-8"
    )
    with pytest.raises((SpecError, EnvironmentFault)):
        fetch(checkout, {"dvc": "made.csv"})
    assert not list(checkout.parent.rglob("owned"))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"dvc": "/etc/passwd.dvc"}, "inside the repository"),
        ({"dvc": "../x.dvc"}, "inside the repository"),
        ({"dvc": {"repo": "x"}}, "inside the repository"),
        ({"dvc": "x", "repo": "ext::sh -c touch% owned"}, "no folder and no https or ssh"),
        ({"dvc": "x", "repo": "file:///etc"}, "no folder and no https or ssh"),
        ({"dvc": "x", "repo": "--upload-pack=touch owned"}, "no folder and no https or ssh"),
        ({"dvc": "x", "repo": "http://127.0.0.1/x"}, "no folder and no https or ssh"),
        ({"dvc": "x", "repo": "https://127.0.0.1/x"}, "not a public address"),
        ({"dvc": "x", "repo": "git@10.0.0.1:x"}, "not a public address"),
    ],
)
def test_addresses_of_an_unusual_kind_are_refused(
    tmp_path: Path, settings: dict[str, object], says: str
) -> None:
    root = tmp_path / "repo"
    root.mkdir()
    with pytest.raises(SpecError, match=says):
        fetch(root, settings)
    assert not list(tmp_path.rglob("owned"))


def test_more_bytes_than_allowed_are_refused_before_they_are_pulled(checkout: Path) -> None:
    with pytest.raises(SpecError, match="tracks 8 bytes, more than the 5 allowed"):
        fetch(checkout, {"dvc": "one.csv.dvc"}, max_bytes=5)


def test_our_digest_of_a_folder_is_that_of_dvc(made: Path) -> None:
    noted = (made / "repo" / "data.dvc").read_text("utf-8")
    assert folder_md5(made / "repo" / "data") in noted


class TestConformance(SourceSuite):
    """A `.dvc` file of the checkout, its remote in a folder that is granted."""

    @pytest.fixture
    def root(self, checkout: Path) -> Path:  # type: ignore[override]
        return checkout

    @pytest.fixture
    def source(self) -> DvcSource:
        return DvcSource()

    @pytest.fixture
    def settings(self) -> dict[str, object]:  # type: ignore[override]
        return {"dvc": "data.dvc"}

    @pytest.fixture
    def outside(self, root: Path) -> list[dict[str, object]]:
        (root / "link.dvc").symlink_to("/etc/passwd")
        shutil.copytree(root, root.parent / "other")
        (root / "kept").symlink_to("../other")
        return [
            {"dvc": "link.dvc"},
            {"dvc": "kept/one.csv.dvc"},
            {"dvc": "one.csv", "repo": "../repo"},
            {"dvc": "one.csv.dvc", "remote": "other"},
        ]

    @pytest.fixture
    def missing(self) -> dict[str, object]:
        return {"dvc": "nowhere.dvc"}

    @pytest.fixture
    def grants(self, root: Path) -> Confinement:
        return Confinement(confined=True, data_folders=(str(root.parent / "remote"),))


def test_a_probe_tells_the_commit_of_an_open_revision_and_nothing_of_a_fixed_one(
    checkout: Path, made: Path, serve: Callable[[Path], str]
) -> None:
    def probe(**settings: object) -> str:
        folder = checkout.parent / "probed"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return DvcSource().probe(SourceRequest({"dvc": "one.csv", **settings}, checkout, folder, True, 1, {}))

    run(checkout, "git", "branch", "-f", "main")
    run(checkout, "git", "update-server-info")
    url = serve(checkout / ".git")
    head = subprocess.run(["git", "-C", str(checkout), "rev-parse", "HEAD"], capture_output=True, check=True)
    commit = head.stdout.decode().strip()
    assert probe(repo=url) == probe(repo=url, rev="main") == commit
    assert probe() == probe(repo=url, rev=commit) == ""
    run(checkout, "git", "commit", "-q", "--allow-empty", "-m", "second")
    run(checkout, "git", "branch", "-f", "main")
    run(checkout, "git", "update-server-info")
    assert probe(repo=url, rev="main") not in ("", commit)
