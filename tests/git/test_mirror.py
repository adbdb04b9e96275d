"""The mirror on real repositories: over files, and over HTTP where the conversation is what is tested."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fiat.errors import EnvironmentFault, FiatError, SpecError, SpecErrors, Stalled, Waiting
from fiat.git.mirror import Mirror
from fiat.git.mirror_lock import writing
from fiat.git.objects import TooLarge, Unreadable
from fiat.git.remote import Remote

sys.path.insert(0, str(Path(__file__).parent))
from git_repository import Repository
from git_server import GitServer, serving

MAIN = "refs/heads/main"
SEED = int(os.environ.get("FIAT_TEST_SEED", "20241125"))


@pytest.fixture
def upstream(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "upstream")


@pytest.fixture
def mirror(tmp_path: Path, upstream: Repository) -> Mirror:
    return Mirror(tmp_path / "mirror", Remote(f"file://{upstream.folder}", protocols=frozenset({"file"})))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with serving(tmp_path / "served") as served:
        served.create("acme/models")
        yield served


def over_http(server: GitServer, folder: Path, token: str = "") -> Mirror:
    remote = Remote(server.url("acme/models"), token=token, protocols=frozenset({"http"}))
    return Mirror(folder, remote)


# What the remote has.


def test_what_the_remote_has_is_told_and_brought_over(mirror: Mirror, upstream: Repository) -> None:
    first = upstream.commit({"a.txt": "1"})
    upstream.git("tag", "-a", "v1", "-m", "first")
    upstream.git("update-ref", "refs/pull/7/head", first)
    upstream.git("update-ref", "refs/secret/x", first)
    everything = {MAIN: first, "refs/tags/v1": first, "refs/pull/7/head": first}
    assert mirror.heads() == everything
    assert mirror.heads(pulls=False) == {MAIN: first, "refs/tags/v1": first}
    assert mirror.fetch() == frozenset()
    assert mirror.commit_of(MAIN) == first
    assert mirror.commit_of("refs/tags/v1") == first
    assert mirror.commit_of("refs/pull/7/head") == ""
    assert mirror.fetch(["refs/pull/7/head"]) == frozenset()
    assert mirror.commit_of("refs/pull/7/head") == first


def test_an_empty_repository_is_no_fault(mirror: Mirror) -> None:
    assert mirror.heads() == {}
    assert mirror.fetch() == frozenset()
    assert mirror.fetch([MAIN]) == {MAIN}


def test_branches_that_went_moved_or_became_folders_are_so_here_too(
    mirror: Mirror, upstream: Repository
) -> None:
    first = upstream.commit({"a.txt": "1"})
    upstream.git("branch", "old")
    upstream.git("branch", "topic")
    upstream.commit({"a.txt": "2"})
    mirror.fetch()
    upstream.git("branch", "-D", "old", "topic")
    upstream.git("branch", "topic/one", first)
    upstream.git("reset", "-q", "--hard", first)
    other = upstream.commit({"a.txt": "3"})
    mirror.fetch()
    assert mirror.commit_of("refs/heads/old") == ""
    assert mirror.commit_of("refs/heads/topic") == ""
    assert mirror.commit_of("refs/heads/topic/one") == first
    assert mirror.commit_of(MAIN) == other


def test_what_the_remote_does_not_have_is_named_and_no_longer_believed(
    mirror: Mirror, upstream: Repository
) -> None:
    first = upstream.commit({})
    upstream.git("branch", "topic")
    mirror.fetch()
    upstream.git("branch", "-D", "topic")
    nowhere = "f" * 40
    missing = mirror.fetch([MAIN, "refs/heads/topic", "refs/heads/never"], [nowhere])
    assert missing == {"refs/heads/topic", "refs/heads/never", nowhere}
    assert mirror.commit_of("refs/heads/topic") == ""
    assert mirror.commit_of(MAIN) == first


def test_a_single_commit_is_fetched_by_its_name(server: GitServer, tmp_path: Path) -> None:
    work = Repository(tmp_path / "work")
    first = work.commit({"a": "1"})
    work.git("push", "-q", server.url("acme/models"), "main")
    gone = work.commit({"a": "2"})
    work.git("push", "-q", server.url("acme/models"), "main")
    work.git("push", "-q", "--force", server.url("acme/models"), f"{first}:main")
    mirror = over_http(server, tmp_path / "mirror")
    mirror.fetch()
    assert not mirror.has(gone)
    assert mirror.fetch((), [gone]) == frozenset()
    assert mirror.has(gone)
    assert not mirror.on_branch(gone, MAIN)
    asked = len(server.asked)
    assert mirror.fetch((), [gone, first]) == frozenset()
    assert len(server.asked) == asked


def test_a_repository_of_sha256_is_mirrored(tmp_path: Path) -> None:
    folder = tmp_path / "upstream"
    folder.mkdir()
    upstream = Repository(folder)
    upstream.git("init", "-q", "-b", "main", "--object-format=sha256")
    commit = upstream.commit({"a.txt": "1"})
    assert len(commit) == 64
    mirror = Mirror(tmp_path / "mirror", Remote(f"file://{folder}", protocols=frozenset({"file"})))
    mirror.fetch()
    assert mirror.commit_of(MAIN) == commit
    assert list(mirror.files(commit)) == ["a.txt"]


# What we have.


def test_commits_are_compared(mirror: Mirror, upstream: Repository) -> None:
    base = upstream.commit({"a.txt": "1", "b.txt": "1", "c/d.txt": "1"})
    upstream.git("checkout", "-q", "-b", "topic")
    (upstream.folder / "b.txt").unlink()
    (upstream.folder / "c/d.txt").unlink()
    (upstream.folder / "c/d.txt").symlink_to("../a.txt")
    topic = upstream.commit({"a.txt": "2", "new\nline é.txt": "x"})
    upstream.git("checkout", "-q", "main")
    main = upstream.commit({"z.txt": "1"})
    back = upstream.git("rev-parse", "HEAD^{tree}")
    upstream.commit({"z.txt": "2"})
    again = upstream.commit({"z.txt": "1"})
    mirror.fetch()
    assert mirror.merge_base(topic, again) == base
    assert mirror.about(main).tree == mirror.about(again).tree == back
    assert mirror.changed(main, again) == {}
    assert mirror.is_ancestor(base, topic)
    assert not mirror.is_ancestor(topic, main)
    assert not mirror.is_ancestor("f" * 40, main)
    edits = mirror.changed(base, topic)
    kinds = {path: (edit.before is not None, edit.after is not None) for path, edit in edits.items()}
    assert kinds == {
        "a.txt": (True, True),
        "b.txt": (True, False),
        "c/d.txt": (True, True),
        "new\nline é.txt": (False, True),
    }
    after = edits["c/d.txt"].after
    assert after is not None
    assert after.is_link
    many = mirror.changed_since([base, main, "f" * 40, topic], topic)
    assert many == {base: edits, main: mirror.changed(main, topic), topic: {}}


def test_files_are_listed_with_their_modes_and_read(mirror: Mirror, upstream: Repository) -> None:
    upstream.write({"run.sh": "#!/bin/sh\n", "data.txt": "x" * 100})
    (upstream.folder / "run.sh").chmod(0o755)
    (upstream.folder / "link").symlink_to("data.txt")
    commit = upstream.commit({b"caf\xe9".decode("utf-8", "surrogateescape"): "latin"})
    mirror.fetch()
    files = mirror.files(commit)
    assert {path: blob.mode for path, blob in files.items()} == {
        "run.sh": "100755",
        "data.txt": "100644",
        "link": "120000",
        "caf\udce9": "100644",
    }
    assert mirror.read(files["run.sh"].oid, 100) == b"#!/bin/sh\n"
    with mirror.objects() as objects:
        with pytest.raises(TooLarge) as caught:
            objects.read(files["data.txt"].oid, 99)
        assert caught.value.size_bytes == 100
        with pytest.raises(SpecError, match="is a commit, not a blob"):
            objects.read(commit, 1000)
        assert objects.read(files["data.txt"].oid, 100) == b"x" * 100
        assert objects.link(files["link"].oid) == "data.txt"


def test_many_objects_are_asked_for_ahead_and_come_in_order(mirror: Mirror, upstream: Repository) -> None:
    upstream.write({f"{number:03}": f"{number} " * (number * 50) for number in range(400)})
    commit = upstream.commit({"large": "x" * 300_000})
    mirror.fetch()
    blobs = mirror.files(commit)
    with mirror.objects() as objects:
        objects.expect(blob.oid for blob in blobs.values())
        for path, blob in blobs.items():
            if path == "large":
                with pytest.raises(TooLarge):
                    objects.read(blob.oid, 250_000)
            else:
                assert objects.read(blob.oid, 250_000).decode() == f"{int(path)} " * (int(path) * 50)
        objects.keep([blob.oid for blob in blobs.values()], 1000)
        assert objects.read(blobs["001"].oid, 1000) == b"1 " * 50
        assert objects.read(blobs["001"].oid, 1000) == b"1 " * 50
        assert len(objects.read(blobs["large"].oid, 300_000)) == 300_000
        with pytest.raises(TooLarge):
            objects.read(blobs["002"].oid, 10)
        objects.expect([blobs["300"].oid, blobs["301"].oid])
        with pytest.raises(ValueError, match="another order"):
            objects.read(blobs["301"].oid, 100)


def test_a_commit_says_who_and_why_in_hostile_words(mirror: Mirror, upstream: Repository) -> None:
    upstream.commit({"a": "1"})
    first = upstream.git("rev-parse", "HEAD")
    words = "</script> $(id)\n\n\x1b[31m [skip ci] \u202e\n"
    upstream.git(
        "commit",
        "-q",
        "--allow-empty",
        "-F",
        "-",
        "--author",
        "admin <root@example.org>",
        given=words.encode(),
    )
    commit = upstream.git("rev-parse", "HEAD")
    mirror.fetch()
    about = mirror.about(commit)
    assert about.parents == (first,)
    assert about.author == "admin <root@example.org>"
    assert about.message.rstrip() == words.rstrip()
    assert about.tree == upstream.git("rev-parse", f"{commit}^{{tree}}")


def test_a_commit_that_is_not_here_is_said_so(mirror: Mirror, upstream: Repository) -> None:
    known = upstream.commit({})
    mirror.fetch()
    unknown = "f" * 40
    for ask in (
        lambda: mirror.files(unknown),
        lambda: mirror.changed(known, unknown),
        lambda: mirror.changed(unknown, known),
        lambda: mirror.spec_files(unknown, ["**"]),
    ):
        with pytest.raises(EnvironmentFault, match="has no commit"):
            ask()
    assert not (mirror.folder / "damaged").exists()
    assert mirror.merge_base(known, unknown) == ""


def test_specs_are_listed_by_pattern(mirror: Mirror, upstream: Repository) -> None:
    commit = upstream.commit(
        {"spec.yaml": "", "a/b/spec.yaml": "", "a/other.yaml": "", "my specs/spec.yaml": ""}
    )
    mirror.fetch()
    assert mirror.spec_files(commit, ["**/spec.yaml"]) == ("a/b/spec.yaml", "my specs/spec.yaml", "spec.yaml")
    assert mirror.spec_files(commit, ["a/*.yaml"]) == ("a/other.yaml",)
    assert mirror.spec_files(commit, []) == ()
    large = upstream.commit({"a/big.yaml": "#" * (256 * 1024 + 1)})
    mirror.fetch()
    with pytest.raises(SpecErrors, match=r"a/big.yaml: the file has 262,145 bytes"):
        mirror.spec_files(large, ["**/*.yaml"])
    assert mirror.spec_files(large, ["**/spec.yaml"])


def test_what_nobody_needs_is_forgotten_and_the_rest_is_kept(mirror: Mirror, upstream: Repository) -> None:
    main = upstream.commit({"a": "1"})
    upstream.git("checkout", "-q", "--detach")
    ours = upstream.commit({"a": "2"})
    theirs = upstream.commit({"a": "3"})
    upstream.git("update-ref", "refs/pull/1/head", ours)
    upstream.git("update-ref", "refs/pull/2/head", theirs)
    mirror.fetch(["refs/heads/*", "refs/pull/1/head", "refs/pull/2/head"])
    mirror.tidy(keep=[theirs])
    assert mirror.commit_of("refs/pull/1/head") == ""
    assert mirror.commit_of("refs/pull/2/head") == theirs
    assert mirror.commit_of(MAIN) == main
    assert list(mirror.files(ours)) == ["a"]  # unreachable things stay for two weeks
    assert mirror.fetch() == frozenset()


# Conversations that fail.


def test_the_token_is_shown_to_the_remote_and_asked_for_each_time(server: GitServer, tmp_path: Path) -> None:
    server.token = "t0ken-one"
    tokens = iter(["t0ken-one", "t0ken-two", "t0ken-one"])
    remote = Remote(server.url("acme/models"), protocols=frozenset({"http"}))
    mirror = Mirror(tmp_path / "mirror", remote, token=lambda: next(tokens))
    assert mirror.heads() == {}
    server.token = "t0ken-two"
    assert mirror.heads() == {}
    with pytest.raises(Stalled, match="refuses our credential"):
        mirror.heads()


@pytest.mark.parametrize(
    ("fail", "kind", "words"),
    [
        (401, Stalled, "refuses our credential"),
        (403, Stalled, "refuses our credential"),
        (404, Stalled, "no such repository"),
        (301, Stalled, "sends us elsewhere"),
        (429, Waiting, "429"),
        (500, Waiting, "500"),
        (503, Waiting, "503"),
        (1, Waiting, "failed"),
        (2, Waiting, "failed"),
    ],
)
def test_a_failed_conversation_says_whether_to_wait_or_to_act(
    server: GitServer, tmp_path: Path, fail: int, kind: type[FiatError], words: str
) -> None:
    mirror = over_http(server, tmp_path / "mirror", token="t0ken-secret")
    mirror.fetch()
    server.fail = fail
    for talk in (mirror.heads, mirror.fetch):
        with pytest.raises(kind, match=words) as caught:
            talk()
        assert "t0ken-secret" not in str(caught.value)
    server.fail = 0
    assert mirror.fetch() == frozenset()


def test_a_remote_that_repeats_our_token_does_not_get_it_into_an_error(
    server: GitServer, tmp_path: Path
) -> None:
    server.fail, server.echo = 403, True
    mirror = over_http(server, tmp_path / "mirror", token="t0ken-secret")
    with pytest.raises(Stalled) as caught:
        mirror.heads()
    basic = server.asked[-1].headers["authorization"].removeprefix("Basic ")
    assert "you said" in str(caught.value)
    assert basic not in str(caught.value)
    assert "t0ken-secret" not in str(caught.value)


def test_a_remote_that_says_nothing_is_left_in_time(server: GitServer, tmp_path: Path) -> None:
    mirror = over_http(server, tmp_path / "mirror")
    mirror.fetch()
    server.pause_s = 30
    started = time.monotonic()
    with pytest.raises(Waiting, match="took longer than 1 s"):
        mirror.fetch(timeout_s=1)
    assert time.monotonic() - started < 5
    server.pause_s = 0


def test_nobody_there_is_a_reason_to_wait(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "mirror", Remote("https://127.0.0.1:9/a"))
    with pytest.raises(Waiting):
        mirror.heads()
    with pytest.raises(Waiting):
        mirror.fetch()


# Several at once, and killed ones.


def test_threads_that_fetch_at_once_all_get_their_commits(tmp_path: Path, upstream: Repository) -> None:
    commits = [upstream.commit({"a": str(number)}) for number in range(4)]
    for number, commit in enumerate(commits):
        upstream.git("update-ref", f"refs/pull/{number}/head", commit)
    remote = Remote(f"file://{upstream.folder}", protocols=frozenset({"file"}))

    def fetch(number: int) -> bool:
        mirror = Mirror(tmp_path / "mirror", remote)
        mirror.fetch([f"refs/pull/{number}/head", "refs/heads/*"])
        return mirror.has(commits[number])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(fetch, range(4)))


def test_somebody_who_writes_all_the_time_is_not_waited_for_for_ever(
    mirror: Mirror, upstream: Repository
) -> None:
    upstream.commit({})
    mirror.fetch()
    with writing(mirror.folder / "lock", timeout_s=1), pytest.raises(Waiting, match="another fetch"):
        mirror.fetch(timeout_s=0.2)


FETCH = """
import sys
from pathlib import Path
from fiat.git.mirror import Mirror
from fiat.git.remote import Remote
mirror = Mirror(Path(sys.argv[1]), Remote(sys.argv[2], protocols=frozenset({"http", "file"})))
print("ready", flush=True)
mirror.fetch()
print("done", flush=True)
"""


@pytest.mark.slow
def test_a_fetch_killed_at_any_moment_leaves_a_mirror_that_goes_on(
    tmp_path: Path, upstream: Repository
) -> None:
    draw = random.Random(SEED)
    folder, undone = tmp_path / "mirror", 0
    url = f"file://{upstream.folder}"
    for number in range(12):
        commit = upstream.commit({f"{number}/{name}": draw.randbytes(40_000) for name in range(20)})
        process = subprocess.Popen(
            [sys.executable, "-c", FETCH, str(folder), url], stdout=subprocess.PIPE, start_new_session=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(draw.random() * 0.15)
        process.send_signal(signal.SIGKILL)
        process.wait()
        undone += process.stdout.read() != b"done\n"
        process.stdout.close()
        if number % 3 == 2:
            mirror = Mirror(folder, Remote(url, protocols=frozenset({"file"})))
            assert mirror.fetch() == frozenset(), SEED
            assert mirror.commit_of(MAIN) == commit
            assert len(mirror.files(commit)) == 20 * (number + 1)
    assert undone >= 4, f"with seed {SEED} hardly a fetch was killed"


def test_while_the_git_of_a_killed_process_lives_nobody_else_writes(
    server: GitServer, tmp_path: Path
) -> None:
    work = Repository(tmp_path / "work")
    commit = work.commit({"a": "1"})
    work.git("push", "-q", server.url("acme/models"), "main")
    folder = tmp_path / "mirror"
    over_http(server, folder).fetch()
    server.pause_s = 2
    process = subprocess.Popen(
        [sys.executable, "-c", FETCH, str(folder), server.url("acme/models")], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    asked = len(server.asked)
    while len(server.asked) == asked:
        time.sleep(0.02)
    process.kill()
    process.wait()
    process.stdout.close()
    with pytest.raises(Waiting, match="another fetch"):
        over_http(server, folder).fetch(timeout_s=0.1)
    server.pause_s = 0
    mirror = over_http(server, folder)
    assert mirror.fetch(timeout_s=30) == frozenset()
    assert mirror.commit_of(MAIN) == commit


def test_locks_and_half_packs_of_a_killed_git_are_swept(mirror: Mirror, upstream: Repository) -> None:
    upstream.commit({"a": "1"})
    mirror.fetch()
    git_dir = mirror.folder / "git"
    left = [
        "packed-refs.lock",
        "config.lock",
        "HEAD.lock",
        "refs/heads/main.lock",
        "objects/pack/tmp_pack_abc",
    ]
    left += ["objects/tmp_objdir-incoming-x/pack/y", "objects/12/tmp_obj_x", "shallow.lock"]
    for name in left:
        (git_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (git_dir / name).touch()
    second = upstream.commit({"a": "2"})
    assert mirror.fetch() == frozenset()
    assert mirror.commit_of(MAIN) == second
    assert [name for name in left if (git_dir / name).exists()] == []


# Damage.


def _packs(git_dir: Path) -> list[Path]:
    subprocess.run(["git", "--git-dir", str(git_dir), "repack", "-adq"], check=True)
    return [path for path in git_dir.glob("objects/pack/*") if path.suffix in (".pack", ".idx")]


def _truncate(git_dir: Path) -> None:
    for path in _packs(git_dir):
        path.chmod(0o600)
        os.truncate(path, path.stat().st_size // 2)


def _empty(git_dir: Path) -> None:
    for path in git_dir.glob("objects/??/*"):
        path.chmod(0o600)
        os.truncate(path, 0)


def _remove_packs(git_dir: Path) -> None:
    for path in _packs(git_dir):
        path.unlink()


def _flip(git_dir: Path) -> None:
    for path in _packs(git_dir):
        if path.suffix == ".pack":
            path.chmod(0o600)
            raw = bytearray(path.read_bytes())
            for place in range(20, len(raw) - 20, 7):
                raw[place] ^= 0xFF
            path.write_bytes(raw)


def _empty_ref(git_dir: Path) -> None:
    (git_dir / "refs/heads").mkdir(parents=True, exist_ok=True)
    (git_dir / "refs/heads/main").write_text("")


def _no_head(git_dir: Path) -> None:
    (git_dir / "HEAD").unlink()


def _bad_config(git_dir: Path) -> None:
    (git_dir / "config").write_text("[core\n")


@pytest.mark.parametrize("harm", [_truncate, _empty, _remove_packs, _flip, _empty_ref, _no_head, _bad_config])
def test_a_damaged_mirror_is_made_anew_by_reading_and_fetching(
    mirror: Mirror, upstream: Repository, harm: object
) -> None:
    upstream.commit({"a": "1", "b": "1" * 5000})
    commit = upstream.commit({"a": "2"})
    mirror.fetch()
    harm(mirror.folder / "git")  # type: ignore[operator]
    for _ in range(2):
        try:
            with mirror.objects() as objects:
                for blob in mirror.files(commit).values():
                    objects.read(blob.oid, 10_000)
        except EnvironmentFault:
            mirror.fetch()
    files = mirror.files(commit)
    assert {path: len(mirror.read(blob.oid, 10_000)) for path, blob in files.items()} == {"a": 1, "b": 5000}
    newer = upstream.commit({"a": "3"})
    mirror.fetch()
    assert mirror.commit_of(MAIN) == newer
    assert not (mirror.folder / "damaged").exists()
    assert sorted(path.name for path in mirror.folder.iterdir()) == ["git", "home", "lock"]


def test_what_is_damaged_is_read_on_while_it_can_not_be_fetched(mirror: Mirror, upstream: Repository) -> None:
    commit = upstream.commit({"a": "1"})
    mirror.fetch()
    with pytest.raises(Unreadable), mirror.objects() as objects:
        objects.read("e" * 40, 10)
    hidden = upstream.folder.rename(upstream.folder.with_name("away"))
    with pytest.raises(FiatError):
        mirror.fetch()
    assert list(mirror.files(commit)) == ["a"]
    hidden.rename(upstream.folder)
    assert mirror.fetch() == frozenset()
    assert not (mirror.folder / "damaged").exists()


def test_reading_goes_on_while_others_fetch(mirror: Mirror, upstream: Repository) -> None:
    commit = upstream.commit({str(number): str(number) for number in range(50)})
    mirror.fetch()
    stop = threading.Event()
    faults: list[BaseException] = []

    def read() -> None:
        while not stop.is_set():
            try:
                with mirror.objects() as objects:
                    for blob in mirror.files(commit).values():
                        objects.read(blob.oid, 100)
            except BaseException as error:
                faults.append(error)
                return

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(5):
        upstream.commit({"a": str(number)})
        mirror.fetch()
    mirror.tidy(keep=())
    stop.set()
    thread.join()
    assert faults == []
