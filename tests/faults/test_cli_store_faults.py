"""What `fiat run` and its sisters say when the store's disk or files fail, and that nothing is wrong afterwards."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from chain_project import ChainProject, Ended, end, expected_files, make_project, make_spec

DISK_BYTES = 3 << 20
READING = (("runs",), ("show", "last"), ("logs", "last"), ("plan", "spec.yaml"), ("explain", "spec.yaml"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB of its own; only the superuser can make one, and CI must."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        reason = f"a small disk can't be made here: {made.stderr.strip()}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def project(tmp_path: Path) -> ChainProject:
    return make_project(tmp_path / "checkout")


def fill(disk: Path, left_bytes: int) -> Path:
    """Take all the room of a disk but so much."""
    ballast = disk / "ballast"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    ballast.write_bytes(b"x" * max(0, free - left_bytes))
    return ballast


def sentence(done: Ended, *parts: str) -> None:
    """It was said in a sentence with a next step, as text and as a document, and the exit code blames the machine."""
    assert done.code == 3, done.out + done.err
    assert done.err.startswith("error: "), done.err
    for part in parts:
        assert part in done.err
    if done.out:
        (error,) = done.document["error"]
        assert error["kind"] == "EnvironmentFault"
        assert error["message"]
        assert error["hint"]


def move(project: ChainProject, name: str, disk: Path) -> None:
    """Put a part of the store on another disk."""
    shutil.move(project.state / name, disk / name)
    (project.state / name).symlink_to(disk / name)


# What lies on the small disk, and what may be said when it is full: a step whose own writing failed fails itself.
PLACES: dict[str, tuple[tuple[str, ...], set[int]]] = {
    "everything": ((), {1, 3}),
    "database": (("store.db",), {3}),
    "artifacts": (("cache", "tmp"), {3}),
    "work": (("work",), {1, 3}),
    "logs": (("runs",), {0, 3}),
}


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_a_disk_that_fills_up_during_a_run_is_told_and_the_next_run_is_right(
    tmp_path: Path, small_disk: Path, place: str
) -> None:
    names, codes = PLACES[place]
    state = None if names else small_disk / "store"
    project = make_project(tmp_path / "checkout", state=state)
    first = project.finish(1)
    for name in names:
        move(project, name, small_disk)
    seen: list[int] = []
    # From no room at all to enough for nearly all of the run.
    for salt, left_bytes in enumerate((0, 30_000, 80_000, 150_000), start=2):
        ballast = fill(small_disk, left_bytes)
        began = time.monotonic()
        done = project.run(salt)
        assert time.monotonic() - began < 12
        seen.append(done.code)
        if done.code == 3:
            sentence(done, "the disk is full" if place != "database" else str(project.state))
        elif done.code == 1:
            (failed,) = (step for step in done.document["steps"] if step["state"] == "failed")
            assert "No space left" in failed["reason"] + project.fiat("logs", "last").out
        project.examine({first.document["run"]: 1})
        ballast.unlink()
        project.finish(salt)
    assert set(seen) - {0} <= codes
    assert seen[0] in codes
    assert project.finish(1).states == ["reused"] * 4


@pytest.mark.slow
def test_room_that_goes_and_comes_back_while_a_run_goes_on_makes_no_wrong_result(
    tmp_path: Path, small_disk: Path
) -> None:
    project = make_project(tmp_path / "checkout", state=small_disk / "store", spec=make_spec(sleep_s=0.05))
    over = threading.Event()

    def squeeze() -> None:
        while not over.wait(0.03):
            with suppress(OSError):  # the run took that room meanwhile
                fill(small_disk, 30_000)
            over.wait(0.03)
            (small_disk / "ballast").unlink(missing_ok=True)

    squeezer = threading.Thread(target=squeeze)
    squeezer.start()
    try:
        ended = [project.run(salt) for salt in range(6)]
    finally:
        over.set()
        squeezer.join()
    assert {done.code for done in ended} <= {0, 1, 3}
    for salt, done in enumerate(ended):
        assert done.code != 3 or done.err.startswith("error: ")
        project.finish(salt)


def test_a_write_that_ends_early_does_not_give_a_step_half_of_its_input(tmp_path: Path) -> None:
    """A limit on file sizes makes the kernel write the beginning and report so many bytes, as a full disk does."""
    steps = (
        'fiat: 1\nname: t\nsteps:\n  big: {run: "seq 100000 > {out.o}", out: {o: file}, code: [], with: {}}\n'
    )
    project = make_project(tmp_path / "checkout", spec=steps)
    words = ("run", "spec.yaml", "--compute", "local", "--json")
    assert project.fiat(*words).code == 0
    steps += '  size: {run: "wc -c < {big.o} > {out.o}", out: {o: file}, code: [], with: {}}\n'
    (project.root / "spec.yaml").write_text(steps)
    sentence(project.fiat(*words, before=("prlimit", "--fsize=300000")), "File too large")
    done = project.fiat(*words)
    assert done.states == ["reused", "ran"]
    digest = json.loads(project.fiat("show", "last", "--json").out)["steps"][1]["outputs"]["o"]["digest"]
    made = project.state / "cache" / "files" / "md5" / digest[:2] / digest[2:]
    assert made.read_text().strip() == str(len("".join(f"{number}\n" for number in range(1, 100_001))))


def test_a_read_only_store_can_be_read_and_is_not_written(tmp_path: Path, small_disk: Path) -> None:
    project = make_project(tmp_path / "checkout", state=small_disk / "store")
    project.finish(0)
    before = {path: path.read_bytes() for path in project.state.rglob("*") if path.is_file()}
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for salt in (0, 5):  # nothing to do, and everything
        sentence(project.run(salt), "read-only", str(project.state), "remount")
    sentence(project.fiat("gc", "--keep-runs", "0"), "read-only")
    for words in READING:
        assert project.fiat(*words).code == 0, words
    assert before == {path: path.read_bytes() for path in project.state.rglob("*") if path.is_file()}
    empty = ChainProject(project.root, small_disk / "other")
    sentence(empty.run(0), "read-only", str(small_disk))
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert project.finish(0).states == ["reused"] * 4
    assert project.finish(5).states == ["ran"] * 4


@pytest.mark.slow
def test_ray_is_not_started_for_a_store_that_cannot_be_written(tmp_path: Path, small_disk: Path) -> None:
    project = make_project(tmp_path / "checkout", state=small_disk / "store")
    project.finish(0)
    ballast = fill(small_disk, 0)
    words = ("run", "spec.yaml", "params.salt=7", "--compute", "ray", "--json")
    sentence(project.fiat(*words), "the disk is full")
    ballast.unlink()
    project.finish(7)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_goes_to_a_full_disk_is_told(project: ChainProject, unbuffered: str) -> None:
    project.finish(0)
    env = {**project.environment(), "PYTHONUNBUFFERED": unbuffered}
    for words in (("runs",), ("runs", "--json"), ("run", "spec.yaml", "--compute", "local", "--json")):
        for both in (False, True):
            with open("/dev/full", "w") as full:
                done = subprocess.run(
                    [sys.executable, "-m", "fiat", *words],
                    cwd=project.root,
                    env=env,
                    stdout=full,
                    stderr=full if both else subprocess.PIPE,
                    text=True,
                    check=False,
                )
            assert done.returncode == 3
            assert both or done.stderr.startswith("error: the machine refused: No space left on device\n")
            assert both or "Exception ignored" not in done.stderr
    project.finish(0)


def make_newer(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("UPDATE meta SET value = '999' WHERE key = 'schema_version'")
    database.commit()
    database.close()


def make_foreign(path: Path) -> None:
    path.unlink()
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE meta (other TEXT)")
    database.commit()
    database.close()


def cut(share: float) -> Callable[[Path], None]:
    return lambda path: os.truncate(path, int(path.stat().st_size * share))


def cut_a_page(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 4096)


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "newer": (make_newer, "has version 999, this Fiat knows versions up to"),
    "foreign": (make_foreign, "store"),
    "cut to its header": (cut(0.001), "store"),
    "cut in the middle": (cut(0.5), "the store is "),
    "cut by a page": (cut_a_page, "the store is cut"),
    "empty": (cut(0), "the store is cut"),
    "text": (lambda path: path.write_bytes(b"no database, only words\n" * 400) and None, "is not a database"),
    "zeros": (lambda path: path.write_bytes(bytes(20_000)) and None, "is not a database"),
    "noise": (
        lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(range(16, 240)) * 90) and None,
        "store.db",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_database_file_is_a_sentence_and_is_left_as_it_is(project: ChainProject, name: str) -> None:
    breaks, says = BROKEN[name]
    project.finish(0)
    path = project.state / "store.db"
    breaks(path)
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    sentence(project.run(1), says, "store.db")
    for words in (*READING, ("gc",)) if name in ("newer", "cut by a page") else (("runs",),):
        sentence(project.fiat(*words), says)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert [found.name for found in project.state.glob("store.db*") if found.stat().st_size] in (
        ["store.db"],
        [],
    )
    # The hint says: move it away. What is in the cache is then made again, or found there.
    path.rename(project.root / "broken.db")
    assert project.finish(0).states == ["ran"] * 4


def outputs(project: ChainProject) -> dict[str, str]:
    """Step to the digest of its output in the newest run."""
    steps = json.loads(project.fiat("show", "last", "--json").out)["steps"]
    return {step["name"]: step["outputs"]["o"]["digest"] for step in steps}


def in_cache(project: ChainProject, digest: str) -> Path:
    return project.state / "cache" / "files" / "md5" / digest[:2] / digest[2:]


def flip(path: Path) -> None:
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def shorten(path: Path) -> None:
    path.chmod(0o644)
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["numbers", "parts", "one of parts", "count"])
def test_a_damaged_artifact_is_detected_and_made_again(project: ChainProject, step: str) -> None:
    project.finish(0)
    made = outputs(project)
    path = in_cache(project, made[step.removeprefix("one of ")])
    if step == "one of parts":
        step = "parts"
        path = in_cache(project, json.loads(path.read_text())[1]["md5"])
    for harm in (flip, shorten, Path.unlink):
        harm(path)
        if harm is flip:
            planned = json.loads(project.fiat("plan", "spec.yaml", "params.salt=0", "--json").out)["steps"]
            assert {row["step"]: row["action"] for row in planned}[step] == "run"
        done = project.finish(0)
        for row in done.document["steps"]:
            assert row["state"] == ("ran" if row["name"] == step else "reused"), row
            assert row["name"] != step or "damaged or gone" in row["reason"]
        assert outputs(project) == made


@pytest.mark.slow
def test_damage_everywhere_at_once_is_made_good(project: ChainProject) -> None:
    project.finish(0)
    for place, path in enumerate(sorted((project.state / "cache").rglob("md5/*/*"))):
        (flip, shorten, Path.unlink)[place % 3](path)
    assert project.finish(0).states == ["ran"] * 4
    shutil.rmtree(project.state / "cache")
    assert project.finish(0).states == ["ran"] * 4
    for name in ("cache", "stats", "work", "runs", "tmp"):
        shutil.rmtree(project.state / name, ignore_errors=True)
    assert project.finish(0).states == ["ran"] * 4


@pytest.mark.slow
def test_garbage_collection_beside_a_run_takes_nothing_from_it(tmp_path: Path) -> None:
    project = make_project(tmp_path / "checkout", spec=make_spec(sleep_s=1.0))
    project.finish(1)
    process = project.start_run(2)
    collected = []
    while process.poll() is None:
        done = project.fiat("gc", "--keep-runs", "1", "--json")
        assert done.code == 0, done.err
        collected.append(done.document)
        assert collected[-1]["removed_results"] == 0 or not collected[-1]["in_use"]
    done = end(process)
    assert done.code == 0, done.err
    assert len(collected) >= 3
    assert any(report["in_use"] for report in collected)
    project.examine({done.document["run"]: 2})
    assert project.fiat("gc", "--keep-runs", "1").code == 0
    assert project.finish(2).states == ["reused"] * 4
    assert project.finish(1).states == ["ran"] * 4
    assert expected_files(1) != expected_files(2)
