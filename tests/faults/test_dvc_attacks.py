"""Hostile DVC repositories under a spec that is not to be trusted: of theirs only paths and digests are believed."""

import functools
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fiat.builtin.source_dvc import DvcSource
from fiat.builtin.source_dvc_file import file_md5
from fiat.errors import EnvironmentFault, FiatError, SpecError
from fiat.ports.confinement import Confinement
from fiat.ports.source import Fetched, SourceRequest

ONE = b"x,y\n1,2\n"
SECRET = b"root,toor\n1,2\n"


def run(cwd: Path, *argv: str) -> None:
    private = cwd.parent / "private"
    env = {"PATH": os.environ["PATH"], "HOME": str(private), "DVC_NO_ANALYTICS": "1"}
    env |= {"DVC_SITE_CACHE_DIR": str(private / "site")}
    env |= {
        f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    subprocess.run(argv, cwd=cwd, env=env, check=True, capture_output=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`repo` tracks one.csv and data/, `remote` has them; both written by DVC itself."""
    base = tmp_path_factory.mktemp("dvc")
    repo = base / "repo"
    (repo / "data" / "sub").mkdir(parents=True)
    (base / "remote").mkdir()
    run(repo, "git", "init", "-q", "-b", "main")
    for words in (["init", "-q"], ["remote", "add", "-d", "store", "../remote"]):
        run(repo, sys.executable, "-I", "-m", "dvc", *words)
    (repo / "one.csv").write_bytes(ONE)
    (repo / "data" / "a.csv").write_bytes(b"x\n1\n")
    (repo / "data" / "sub" / "b.csv").write_bytes(b"x\n2\n")
    run(repo, sys.executable, "-I", "-m", "dvc", "add", "-q", "one.csv", "data")
    run(repo, sys.executable, "-I", "-m", "dvc", "push", "-q")
    run(repo, "git", "add", "-A")
    run(repo, "git", "commit", "-qm", "first")
    shutil.rmtree(repo / ".dvc" / "cache")
    shutil.rmtree(repo / ".dvc" / "tmp")
    (repo / "one.csv").unlink()
    shutil.rmtree(repo / "data")
    return base


@dataclass
class Scene:
    """A hostile checkout (without .git, as a runner lays it out) and a remote; a secret of the machine beside them."""

    base: Path
    port: int
    asked: list[str] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.base / "repo"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/remote"

    def config(self, text: str) -> None:
        (self.root / ".dvc" / "config").write_text(text)

    def remote(self, url: str, more: str = "") -> None:
        self.config(f"[core]\n    remote = store\n{more}['remote \"store\"']\n    url = {url}\n")

    def fetch(
        self,
        settings: Mapping[str, object],
        *,
        private: bool = True,
        max_bytes: int = 10_000,
        env: Mapping[str, str] | None = None,
        **grants: object,
    ) -> Fetched:
        folder = self.base / "fetched"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        policy = Confinement(confined=True, **grants)  # type: ignore[arg-type]
        request = SourceRequest(settings, self.root, folder, private, max_bytes, env or {}, policy)
        return DvcSource().fetch(request)

    def pull_from(self, folder: Path) -> Mapping[str, Mapping[str, str]]:
        return {"store": {"url": str(folder)}}


@pytest.fixture
def scene(made: Path, tmp_path: Path) -> Iterator[Scene]:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True, symlinks=True)
    shutil.rmtree(tmp_path / "repo" / ".git")
    (tmp_path / "secret.csv").write_bytes(SECRET)
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield Scene(tmp_path, server.server_address[1], asked)
    server.shutdown()
    server.server_close()
    thread.join()


def contents(fetched: Fetched) -> list[bytes]:
    return [file.read_bytes() for file in fetched.files]


def never_read(scene: Scene, settings: Mapping[str, object], says: str, **more: object) -> None:
    """The fetch is refused with a sentence, and nothing of the secret came over."""
    with pytest.raises(FiatError, match=says) as caught:
        scene.fetch(settings, **more)  # type: ignore[arg-type]
    assert "toor" not in str(caught.value)
    came = [path for path in (scene.base / "fetched").rglob("*") if path.is_file()]
    assert not [path for path in came if b"toor" in path.read_bytes()]
    assert not list(scene.base.rglob("owned"))


# What still works.


def test_a_remote_behind_a_granted_address_is_asked_by_our_own_client(scene: Scene) -> None:
    scene.remote(scene.url)
    assert contents(scene.fetch({"dvc": "one.csv.dvc"})) == [ONE]
    fetched = scene.fetch({"dvc": "data.dvc"}, data_hosts=("127.0.0.1",))
    assert [file.name for file in fetched.files] == ["a.csv", "b.csv"]
    part = scene.fetch({"dvc": "data/sub/b.csv"})
    assert [file.relative_to(scene.base).as_posix() for file in part.files] == ["fetched/b.csv"]
    assert contents(part) == [b"x\n2\n"]


def test_a_remote_in_a_granted_folder_is_read(scene: Scene) -> None:
    grants = {"data_folders": (str(scene.base / "remote"),)}
    assert contents(scene.fetch({"dvc": "one.csv.dvc"}, **grants)) == [ONE]
    assert contents(scene.fetch({"dvc": "data"}, **grants)) == [b"x\n1\n", b"x\n2\n"]


def test_the_operators_remote_is_laid_over_the_repositorys_own(scene: Scene) -> None:
    scene.remote(f"http://127.0.0.1:{scene.port}/evil")
    kept = scene.base / "kept"
    (scene.base / "remote").rename(kept)
    granted = {"store": {"url": str(kept)}}
    assert contents(scene.fetch({"dvc": "one.csv.dvc"}, dvc_remotes=granted)) == [ONE]
    assert contents(scene.fetch({"dvc": "data"}, dvc_remotes={"*": granted["store"]})) == [
        b"x\n1\n",
        b"x\n2\n",
    ]
    assert contents(scene.fetch({"dvc": "data/a.csv"}, dvc_remotes=granted)) == [b"x\n1\n"]
    assert scene.asked == []


def test_what_a_stage_made_is_found_in_the_lock_file(scene: Scene) -> None:
    scene.remote(scene.url)
    (scene.root / "one.csv.dvc").unlink()
    stage = {"cmd": "touch owned", "outs": [{"path": "one.csv", "hash": "md5", "md5": _md5_of(scene, "one")}]}
    (scene.root / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": {"make": stage}}))
    (scene.root / "dvc.yaml").write_text("stages: {make: {cmd: touch owned, outs: [one.csv]}}\n")
    assert contents(scene.fetch({"dvc": "one.csv"})) == [ONE]
    assert not list(scene.base.rglob("owned"))


def _md5_of(scene: Scene, name: str) -> str:
    found = [
        path for path in (scene.base / "remote").rglob("*") if path.is_file() and path.read_bytes() == ONE
    ]
    assert name == "one"
    return found[0].parent.name + found[0].name


def test_another_repository_is_read_through_a_mirror_of_our_own(scene: Scene, made: Path) -> None:
    run(made / "repo", "git", "update-server-info")
    shutil.copytree(made / "repo" / ".git", scene.base / "other.git")
    settings = {"dvc": "one.csv", "repo": f"http://127.0.0.1:{scene.port}/other.git", "rev": "main"}
    granted = scene.pull_from(scene.base / "remote")
    assert contents(scene.fetch(settings, dvc_remotes=granted)) == [ONE]
    never_read(scene, {**settings, "rev": "nowhere"}, "no branch or tag nowhere", dvc_remotes=granted)
    never_read(scene, settings, "does not grant the host", data_hosts=("example.org",), dvc_remotes=granted)
    never_read(scene, settings, "not a public address|not spoken", private=False, dvc_remotes=granted)


# What does not.


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s3://victims-bucket/store", r"does not grant the remote store \(s3\)"),
        ("ssh://root@intranet/srv", r"does not grant the remote store \(ssh\)"),
        ("remote://other/x", r"does not grant the remote store \(remote\)"),
        ("file:///", r"does not grant the remote store \(file\)"),
        ("../../remote", "does not grant"),
        ("/", "does not grant"),
        ("http://169.254.169.254/latest", "not a public address"),
        ("http://127.0.0.1:1/x", "not a public address"),
    ],
)
def test_a_foreign_remote_of_the_repository_is_not_used(scene: Scene, url: str, says: str) -> None:
    scene.remote(url)
    never_read(scene, {"dvc": "one.csv.dvc"}, says, private=False)


def test_an_address_outside_the_operators_list_gets_no_request(scene: Scene) -> None:
    scene.remote(scene.url)
    never_read(scene, {"dvc": "one.csv.dvc"}, "does not grant the host", data_hosts=("data.example.org",))
    assert scene.asked == []


def test_a_cache_that_the_repository_names_is_not_looked_into(scene: Scene) -> None:
    """Whoever knows a digest could otherwise read what another project keeps in its cache."""
    other = scene.base / "other-cache" / "files" / "md5"
    digest = file_md5(scene.base / "secret.csv")
    (other / digest[:2]).mkdir(parents=True)
    shutil.copy(scene.base / "secret.csv", other / digest[:2] / digest[2:])
    scene.remote(scene.url, f"[cache]\n    dir = {scene.base / 'other-cache'}\n")
    out = {"path": "stolen.csv", "hash": "md5", "md5": digest, "size": len(SECRET)}
    (scene.root / "stolen.csv.dvc").write_text(json.dumps({"outs": [out]}))
    never_read(scene, {"dvc": "stolen.csv.dvc"}, "status 404")
    granted = scene.pull_from(scene.base / "remote")
    never_read(scene, {"dvc": "stolen.csv.dvc"}, "stolen.csv", dvc_remotes=granted)


@pytest.mark.parametrize("hash_kind", ["", "md5"])
def test_an_import_from_a_path_of_the_machine_takes_nothing(scene: Scene, hash_kind: str) -> None:
    """`dvc import-url --no-download /path` writes such a file, and `dvc get` then reads that path."""
    out = {"path": "stolen.csv", "hash": hash_kind} if hash_kind else {"path": "stolen.csv"}
    document = {"deps": [{"path": str(scene.base / "secret.csv"), "size": 14}], "frozen": True, "outs": [out]}
    (scene.root / "stolen.csv.dvc").write_text(json.dumps(document))
    for named in ("stolen.csv.dvc", "stolen.csv"):
        granted = scene.pull_from(scene.base / "remote")
        never_read(scene, {"dvc": named}, "no digest", dvc_remotes=granted)
        scene.remote(scene.url)
        never_read(scene, {"dvc": named}, "no digest")


def test_folders_for_caches_that_the_repository_or_the_machine_has_are_not_touched(scene: Scene) -> None:
    """Such caches hold pickles: who can write there runs code as whoever opens them."""
    poisoned = scene.base / "poisoned"
    (poisoned / "repo").mkdir(parents=True)
    (poisoned / "cache.db").write_bytes(b"\x80\x04cposix\nsystem\n(S'touch owned'\ntR.")
    shared = Path("/var/tmp/dvc")
    before = sorted(shared.rglob("*")) if shared.exists() else None
    scene.remote(scene.url, f"    site_cache_dir = {poisoned}\n    analytics = true\n")
    granted = scene.pull_from(scene.base / "remote")
    env = {"DVC_SITE_CACHE_DIR": str(poisoned)}
    assert contents(scene.fetch({"dvc": "one.csv.dvc"}, dvc_remotes=granted, env=env)) == [ONE]
    assert sorted(path.name for path in poisoned.rglob("*")) == ["cache.db", "repo"]
    assert (sorted(shared.rglob("*")) if shared.exists() else None) == before
    assert (scene.base / "fetched" / ".dvc-private" / "site" / "repo").is_dir()


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("x.dvc", "cmd: touch owned\nouts:\n- path: x\n", "a command"),
        ("x.dvc", "outs:\n- path: /etc/hostname\n  md5: a\n", "outside the file's own folder"),
        ("x.dvc", "outs:\n- path: ../secret.csv\n", "outside the file's own folder"),
        ("x.dvc", "!!python/object/apply:os.system ['touch owned']\n", "can't be read as YAML"),
        ("x.dvc", "outs: &a [*a]\n", "no mapping"),
        ("x.dvc", "outs:\n- {path: x, hash: md5, md5: ../../../../secret.csv}\n", "no digest"),
        ("dvc.lock", "stages: {a: {outs: [{path: /etc/hostname, hash: md5, md5: a}]}}\n", "outside"),
        ("dvc.lock", "stages: {a: {wdir: .., outs: [{path: x}]}}\n", "no digest"),
    ],
)
def test_hostile_files_are_refused_and_run_nothing(scene: Scene, name: str, text: str, says: str) -> None:
    scene.remote(scene.url)
    (scene.root / name).write_text(text)
    never_read(scene, {"dvc": "x.dvc" if name == "x.dvc" else "x"}, says)


def test_files_that_are_links_out_of_the_checkout_are_refused(scene: Scene) -> None:
    (scene.root / "x.dvc").symlink_to(scene.base / "secret.csv")
    never_read(scene, {"dvc": "x.dvc"}, "link that leads to what the operator does not grant")
    (scene.root / "one.csv").symlink_to(scene.base / "secret.csv")
    never_read(scene, {"dvc": "one.csv.dvc"}, "link that leads to what the operator does not grant")
    (scene.root / ".dvc" / "config").unlink()
    (scene.root / ".dvc" / "config").symlink_to(scene.base / "secret.csv")
    never_read(scene, {"dvc": "data.dvc"}, "link that leads to what the operator does not grant")


@pytest.mark.parametrize("listed", ["../evil", "/evil", "a/../../evil", "a\nb", ""])
def test_a_folders_list_that_leads_outside_is_refused(scene: Scene, listed: str) -> None:
    objects = scene.base / "remote" / "files" / "md5"
    content = json.dumps([{"md5": _md5_of(scene, "one"), "relpath": listed}]).encode()
    (scene.base / "list").write_bytes(content)
    digest = file_md5(scene.base / "list")
    (objects / digest[:2]).mkdir(exist_ok=True)
    (objects / digest[:2] / f"{digest[2:]}.dir").write_bytes(content)
    out = {"path": "folder", "hash": "md5", "md5": f"{digest}.dir"}
    (scene.root / "folder.dvc").write_text(json.dumps({"outs": [out]}))
    scene.remote(scene.url)
    never_read(scene, {"dvc": "folder.dvc"}, "folder")
    assert not list(scene.base.rglob("evil"))


def test_an_object_that_is_not_what_its_digest_says_is_refused(scene: Scene) -> None:
    digest = _md5_of(scene, "one")
    path = scene.base / "remote" / "files" / "md5" / digest[:2] / digest[2:]
    path.chmod(0o644)
    path.write_bytes(SECRET)
    scene.remote(scene.url)
    never_read(scene, {"dvc": "one.csv.dvc"}, "something else than")
    with pytest.raises(EnvironmentFault, match=r"DVC can.t pull one\.csv"):
        scene.fetch({"dvc": "one.csv.dvc"}, dvc_remotes=scene.pull_from(scene.base / "remote"))


def test_a_size_that_is_a_lie_does_not_lift_the_cap(scene: Scene) -> None:
    for name in ("one.csv.dvc", "data.dvc"):
        text = (scene.root / name).read_text()
        (scene.root / name).write_text(text.replace("size: 8", "size: 1"))
    scene.remote(scene.url)
    never_read(scene, {"dvc": "one.csv.dvc"}, "5 bytes allowed", max_bytes=5)
    never_read(scene, {"dvc": "data"}, "5 bytes allowed", max_bytes=5)
    granted = scene.pull_from(scene.base / "remote")
    never_read(scene, {"dvc": "one.csv.dvc"}, "5 allowed", max_bytes=5, dvc_remotes=granted)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"repo": "git@example.org:a/b.git"}, "ssh is not spoken"),
        ({"repo": "ssh://example.org/a/b.git"}, "ssh is not spoken"),
        ({"repo": "ext::sh -c touch% owned"}, "git does not fetch"),
        ({"repo": "file:///etc"}, "file is not spoken"),
        ({"repo": "../other"}, "git does not fetch"),
        ({"repo": "--upload-pack=touch owned"}, "git does not fetch"),
        ({"repo": "https://127.0.0.1/x"}, "not a public address"),
        ({"rev": "HEAD~3"}, "commit of the run"),
        ({"remote": "evil"}, "no remote evil"),
    ],
)
def test_repositories_that_would_be_reached_with_the_runners_own_keys_are_refused(
    scene: Scene, settings: dict[str, str], says: str
) -> None:
    with pytest.raises(SpecError, match=says):
        scene.fetch({"dvc": "one.csv.dvc", **settings}, private=False)
    assert not list(scene.base.rglob("owned"))


@pytest.mark.parametrize("text", ["[core\nremote", "a = %(b)s", "\xff\x00", "[core]\n[core]\n"])
def test_a_broken_configuration_is_a_sentence(scene: Scene, text: str) -> None:
    scene.config(text)
    never_read(scene, {"dvc": "one.csv.dvc"}, r"\.dvc/config")
