"""What happens to the store when disks, processes and files fail."""

import hashlib
import itertools
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fiat.errors import EnvironmentFault
from fiat.run.model import Artifact, Result, Run, StepResult
from fiat.store.schema import SCHEMA, Schema
from fiat.store.sqlite_file import SqliteFile
from fiat.store.store import Store, open_store

NOW = datetime(2026, 11, 21, tzinfo=UTC)

WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from fiat.run.model import Result, Run, StepResult
from fiat.store.store import open_store

root, worker = Path(sys.argv[1]), sys.argv[2]
now = lambda: datetime.now(UTC)
store = open_store(root, now=now)
print("open", flush=True)
for turn in range(int(sys.argv[3])):
    run_id = f"{worker}-{turn}"
    steps = tuple(StepResult(name, "call", "waiting") for name in ("data", "train"))
    store.runs.add(Run(run_id, "x", "x", "", "", "", "", False, (), {"turn": turn}, "running", None, "", now(), steps=steps))
    for step in ("data", "train"):
        work = store.work.make(run_id, step, 1)
        (work / "out" / "deep").mkdir(parents=True)
        (work / "out" / "own").write_text(f"{run_id} {step}" * 2000)
        (work / "out" / "deep" / "same").write_text(f"the same for all {turn % 7}")
        artifact = store.artifacts.put(work / "out")
        fingerprint = f"{step}-{worker}-{turn}"
        code = {f"m{number}.py": "0" * 32 for number in range(50)}
        result = Result(fingerprint, step, "x", run_id, {"out": artifact}, {"code": code}, made_at=now())
        store.save_work(run_id, StepResult(step, "call", "ran", fingerprint=fingerprint), result)
        print("kept", fingerprint, flush=True)
        store.work.remove(run_id, step, 1)
    store.runs.finish(run_id, verdict="pass", reason="", state="done", ended_at=now())
print("end", flush=True)
"""


def open_here(root: Path) -> Store:
    return open_store(root, now=lambda: datetime.now(UTC))


def fill(store: Store, count: int = 3) -> list[Artifact]:
    """Some runs with results and artifacts."""
    kept = []
    for number in range(count):
        work = store.work.make("r", "s", number)
        (work / "out").write_bytes(b"%d" % number * 100)
        artifact = store.artifacts.put(work / "out")
        result = Result(
            f"{number:064x}", "s", "x", f"r{number}", {"out": artifact}, {"p": "v" * 900}, made_at=NOW
        )
        step = StepResult("s", "call", "ran", outputs={"out": artifact})
        store.results.add(result)
        store.runs.add(
            Run(f"r{number}", "x", "x", "", "", "", "", False, (), {}, "done", "pass", "", NOW, steps=(step,))
        )
        kept.append(artifact)
    return kept


def add_results_for_ever(store: Store) -> None:
    for number in itertools.count():
        code = {f"m{line}.py": f"{number:032x}" for line in range(300)}
        store.results.add(Result(f"f{number}", "s", "x", "r", {}, {"code": code}, made_at=NOW))


def examine(root: Path) -> list[Result]:
    """The store opens, its database is sound, and every object and every result's artifacts are what they say."""
    database = sqlite3.connect(root / "store.db")
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    fingerprints = [row[0] for row in database.execute("SELECT fingerprint FROM results")]
    database.close()
    for path in (root / "cache" / "files" / "md5").glob("*/*"):
        digest = path.parent.name + path.name
        assert hashlib.md5(path.read_bytes()).hexdigest() == digest.removesuffix(".dir")
    with open_here(root) as store:
        results = list(store.results.find_many(fingerprints).values())
        assert len(results) == len(fingerprints)
        for result in results:
            assert all(store.artifacts.verify(one.digest) for one in result.outputs.values())
            assert dict(result.parts)
        for run in store.runs.newest(limit=10_000):
            assert len(store.runs.find(run.id).steps) >= 1
    return results


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB of its own; only the superuser can make one, and CI must."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        reason = f"a small disk can't be made here: {made.stderr.strip()}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_said_and_what_was_kept_is_sound(small_disk: Path) -> None:
    root = small_disk / ".fiat"
    with open_here(root) as store:
        kept = fill(store)
        free = shutil.disk_usage(small_disk).free
        (small_disk / "ballast").write_bytes(b"x" * (free - 150_000))
        outside = small_disk.parent / "big"
        outside.write_bytes(os.urandom(400_000))
        for _ in range(3):
            with pytest.raises(EnvironmentFault, match=f"the disk is full: {small_disk}") as fault:
                store.artifacts.put(outside, move=False)
            assert "gc" in fault.value.hint
        assert all(store.artifacts.verify(one.digest) for one in kept)
        assert list((root / "tmp").iterdir()) == []
        with pytest.raises(EnvironmentFault, match=r"the disk is full: .*store\.db"):
            add_results_for_ever(store)
        assert store.results.find(f"{1:064x}") is not None
        (small_disk / "ballast").unlink()
        assert store.artifacts.put(outside, move=False).size_bytes == 400_000
        store.results.add(Result("after", "s", "x", "r", {"out": kept[0]}, {"p": 1}, made_at=NOW))
    assert "after" in {result.fingerprint for result in examine(root)}


def test_a_disk_that_was_full_from_the_beginning_is_said(small_disk: Path) -> None:
    (small_disk / ".fiat").mkdir()
    with pytest.raises(OSError, match="No space left"), (small_disk / "ballast").open("wb") as file:
        file.write(b"x" * 3_000_000)
    with pytest.raises(EnvironmentFault, match="the disk is full"):
        open_here(small_disk / ".fiat")
    (small_disk / "ballast").unlink()
    open_here(small_disk / ".fiat").close()
    examine(small_disk / ".fiat")


def test_a_read_only_store_can_be_read_and_says_that_it_cannot_be_written(
    small_disk: Path, tmp_path: Path
) -> None:
    root = small_disk / ".fiat"
    with open_here(root) as store:
        kept = fill(store)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    (tmp_path / "new").write_text("new")
    with open_here(root) as store:
        assert store.runs.find("last").spec == "x"
        assert store.results.find(f"{1:064x}") is not None
        assert all(store.artifacts.check(one.digest) for one in kept)
        store.artifacts.materialize(kept[0].digest, tmp_path / "there")
        with pytest.raises(EnvironmentFault, match=r"can't be written: .*store\.db is read-only") as fault:
            store.results.drop(f"{1:064x}")
        assert "remount" in fault.value.hint
        with pytest.raises(EnvironmentFault, match=f"the disk is read-only: {root}"):
            store.artifacts.put(tmp_path / "new", move=False)
        with pytest.raises(EnvironmentFault, match=f"the disk is read-only: {root}"):
            store.work.make("r", "s", 1)
        with pytest.raises(EnvironmentFault, match=f"the disk is read-only: {root}"):
            store.log_path("r", "s")
    with pytest.raises(EnvironmentFault, match=f"the disk is read-only: {small_disk}"):
        open_here(small_disk / "other" / ".fiat")
    assert before == {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_store_from_a_newer_version_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    root = tmp_path / ".fiat"
    with open_here(root) as store:
        fill(store)
    (root / "store.db").unlink()
    SqliteFile(root / "store.db", Schema(SCHEMA.version + 1, SCHEMA.tables)).close()
    before = {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()
    }
    with pytest.raises(
        EnvironmentFault, match=rf"version {SCHEMA.version + 1}, .* versions up to {SCHEMA.version}"
    ):
        open_here(root)
    assert before == {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()
    }


def use(root: Path) -> None:
    """Whatever a command may do with a store."""
    with open_here(root) as store:
        for run in store.runs.newest():
            store.runs.find(run.id)
            store.metrics.of_steps(run.id)
        for number in range(40):
            if found := store.results.find(f"{number:064x}"):
                dict(found.parts)
                assert found.outputs == {
                    "out": Artifact(hashlib.md5(b"%d" % number * 100).hexdigest(), len(b"%d" % number) * 100)
                }
        store.results.last("x", "s")
        store.releases.last("x")


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.3, 0.5, 0.9, 0.999])
def test_a_cut_database_file_is_a_sentence(tmp_path: Path, share: float) -> None:
    root = tmp_path / ".fiat"
    with open_here(root) as store:
        fill(store, 40)
    path = root / "store.db"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(EnvironmentFault, match=r"store\.db") as fault:
        use(root)
    assert "restore a backup of it, or move it away" in fault.value.hint
    assert fault.value.exit_code == 3
    path.rename(tmp_path / "damaged.db")
    use(root)


@pytest.mark.parametrize(
    "content", [b"not a database at all" * 99, b"\0" * 5000, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_file_that_is_no_database_is_a_sentence_and_stays(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".fiat").mkdir()
    (tmp_path / ".fiat" / "store.db").write_bytes(content)
    with pytest.raises(EnvironmentFault, match="is not a database") as fault:
        open_here(tmp_path / ".fiat")
    assert "move it away" in fault.value.hint
    assert (tmp_path / ".fiat" / "store.db").read_bytes() == content


@pytest.mark.parametrize("seed", range(40))
def test_a_flipped_byte_in_the_database_is_a_sentence_or_changes_nothing(tmp_path: Path, seed: int) -> None:
    root = tmp_path / ".fiat"
    with open_here(root) as store:
        fill(store, 40)
    chance = random.Random(seed)
    content = bytearray((root / "store.db").read_bytes())
    for _ in range(chance.choice([1, 1, 20])):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    (root / "store.db").write_bytes(content)
    fault = None
    try:
        use(root)
    except EnvironmentFault as error:
        fault = error
    assert fault is None or ("store.db" in fault.message and fault.hint)


def test_a_damaged_artifact_is_found_and_made_again(tmp_path: Path) -> None:
    root = tmp_path / ".fiat"
    with open_here(root) as store:
        kept = fill(store)[1]
        path = store.artifacts.object_path(kept.digest)
        path.chmod(0o644)
        content = bytearray(path.read_bytes())
        content[50] ^= 4
        path.write_bytes(content)
    with open_here(root) as store:
        assert not store.artifacts.check(kept.digest)
        store.results.drop(f"{1:064x}")
        assert fill_again(store, 1) == kept
        assert store.artifacts.verify(kept.digest)
    examine(root)


def fill_again(store: Store, number: int) -> Artifact:
    work = store.work.make("again", "s", 1)
    (work / "out").write_bytes(b"%d" % number * 100)
    return store.artifacts.put(work / "out")


def start_writer(root: Path, name: str, turns: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, str(root), name, str(turns)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def said(writer: "subprocess.Popen[str]") -> list[str]:
    output, _ = writer.communicate(timeout=120)
    return [line.split()[1] for line in output.splitlines() if line.startswith("kept ")]


@pytest.mark.slow
def test_a_writer_that_is_killed_at_any_moment_leaves_nothing_half_done(tmp_path: Path) -> None:
    seed = int(os.environ.get("FIAT_TEST_SEED", "20261121"))
    chance = random.Random(seed)
    root = tmp_path / ".fiat"
    acknowledged: set[str] = set()
    for turn in range(20):
        writer = start_writer(root, f"w{turn}", 100_000)
        # From before the store is open to well within the work.
        time.sleep(chance.uniform(0.05, 0.6))
        writer.send_signal(signal.SIGKILL)
        acknowledged.update(said(writer))
        if (root / "store.db").exists():
            found = {result.fingerprint for result in examine(root)}
            assert acknowledged <= found, f"seed {seed}, turn {turn}"
    assert len(acknowledged) > 20
    with open_here(root) as store:
        ended = store.runs.mark_crashed(lambda pid, host: False)
        assert ended
        assert store.runs.newest(state="running") == []
        abandoned = store.work.abandoned()
        assert abandoned


@pytest.mark.slow
@pytest.mark.parametrize("n_processes", [4])
def test_processes_that_write_at_once_lose_nothing(tmp_path: Path, n_processes: int) -> None:
    root = tmp_path / ".fiat"
    writers = [start_writer(root, f"w{number}", 15) for number in range(n_processes)]
    acknowledged = [fingerprint for writer in writers for fingerprint in said(writer)]
    assert [writer.returncode for writer in writers] == [0] * n_processes
    assert len(acknowledged) == n_processes * 15 * 2
    assert {result.fingerprint for result in examine(root)} == set(acknowledged)
    with open_here(root) as store:
        assert len(store.runs.newest(limit=1000)) == n_processes * 15
        assert store.runs.newest(state="running") == []
        assert store.runs.mark_crashed(lambda pid, host: False) == []


def test_a_store_that_another_process_holds_is_waited_for(tmp_path: Path) -> None:
    root = tmp_path / ".fiat"
    with open_here(root) as store:
        other = sqlite3.connect(root / "store.db", isolation_level=None, check_same_thread=False)
        other.execute("BEGIN EXCLUSIVE")
        waiter = threading.Timer(0.5, other.execute, ["COMMIT"])
        started = time.monotonic()
        waiter.start()
        store.results.add(Result("f", "s", "x", "r", {}, {}, made_at=NOW))
        assert time.monotonic() - started > 0.4
        waiter.join()
        other.close()
        assert store.results.find("f") is not None
