"""The N-th system call that writes fails, for ever after too, or is the last one: no wrong result at any N."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from chain_project import ChainProject, make_project

SEED = int(os.environ.get("FIAT_TEST_SEED", "20261121"))
FAILURES, LASTING_FAILURES, KILLS = 40, 20, 24
ERRORS = ("ENOSPC", "EIO", "EDQUOT", "EROFS")
CALLS = (
    *("write", "pwrite64", "fsync", "fdatasync", "ftruncate", "openat", "mkdir", "rename", "link", "symlink"),
    *("unlink", "unlinkat", "rmdir", "chmod", "utimensat"),
)
# Both cores of a small machine.
AT_ONCE = 2
_CALL = re.compile(r"^(\w+)\(")


@dataclass(frozen=True)
class Moment:
    """One system call of an undisturbed run that changes something below the store.

    Attributes:
        call: its name.
        number: how many calls of that name there were up to it, counted from 1.
    """

    call: str
    number: int


@dataclass(frozen=True)
class Disturbed:
    """What became of one disturbed run.

    Attributes:
        fault: what strace was told.
        code: exit code, negative for a signal.
        out: standard output.
        err: standard error.
        hit: the first disturbed call, empty when none was.
    """

    fault: str
    code: int
    out: str
    err: str
    hit: str


@pytest.fixture(scope="module")
def room() -> Iterator[Path]:
    """A folder in memory where there is one: what is asked is how errors are answered, not how fast disks flush."""
    memory = Path("/dev/shm")
    folder = tempfile.mkdtemp(prefix="fiat-nth-", dir=memory if os.access(memory, os.W_OK) else None)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def moments(room: Path) -> list[Moment]:
    """Every such call of the run's main thread, in order."""
    project = make_project(room / "undisturbed")
    done, trace = traced(project, room / "trace", ["-e", f"trace={','.join(CALLS)}"])
    if done is None:
        reason = "strace is missing, or may not trace here"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}; CI must test failing system calls")
        pytest.skip(reason)
    assert done.returncode == 0, done.stderr
    counts: Counter[str] = Counter()
    found = []
    for line in trace:
        if match := _CALL.match(line):
            counts[match[1]] += 1
            if str(project.state) in line and (match[1] != "openat" or "O_CREAT" in line):
                found.append(Moment(match[1], counts[match[1]]))
    assert len(found) > 150
    assert {"pwrite64", "fsync", "fdatasync", "openat", "rename", "mkdir"} <= {
        moment.call for moment in found
    }
    return found


def traced(
    project: ChainProject, trace: Path, wanted: list[str]
) -> tuple["subprocess.CompletedProcess[str] | None", list[str]]:
    """Run the chain with its main thread (and no child) under strace; no process where strace can't be used."""
    if shutil.which("strace") is None:
        return None, []
    probe = subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False)
    if probe.returncode:
        return None, []
    before = ("strace", "-qq", "-y", "-s", "0", "-o", str(trace), *wanted)
    process = project.start_run(before=before)
    out, err = process.communicate(timeout=120)
    done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    assert trace.exists(), err
    return done, trace.read_text(errors="replace").splitlines()


def choose(moments: list[Moment], count: int, draw: random.Random) -> list[Moment]:
    """One of each kind of call, then as many early, middle and late ones."""
    kinds: dict[str, list[Moment]] = {}
    for moment in moments:
        kinds.setdefault(moment.call, []).append(moment)
    chosen = [draw.choice(group) for group in kinds.values()]
    third = len(moments) // 3
    parts = [moments[:third], moments[third : 2 * third], moments[2 * third :]]
    while len(chosen) < count:
        chosen.append(draw.choice(parts[len(chosen) % 3]))
    return chosen[:count]


def disturb(room: Path, number: int, moment: Moment, what: str) -> Disturbed:
    """Run with one fault, then undisturbed to the end; asserts that everything is right then."""
    project = make_project(room / str(number))
    fault = f"{moment.call}:{what.format(moment.number)}"
    try:
        done, trace = traced(
            project, project.root / "trace", ["-e", f"trace={moment.call}", "-e", f"inject={fault}"]
        )
        assert done is not None
        marks = ("(INJECTED)", "+++ killed")
        hit = next((line for line in trace if any(mark in line for mark in marks)), "")
        project.finish()
        return Disturbed(fault, done.returncode, done.stdout, done.stderr, hit)
    except AssertionError as error:
        raise AssertionError(f"seed {SEED}, {fault}: {error}") from error
    finally:
        shutil.rmtree(project.root)


def disturb_all(room: Path, chosen: list[Moment], whats: list[str]) -> list[Disturbed]:
    print(f"seed {SEED}; FIAT_TEST_SEED chooses another")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(disturb, [room] * len(chosen), range(len(chosen)), chosen, whats))


def check_answer(one: Disturbed) -> None:
    """A fault is survived, or told in a sentence with the right exit code; it is never a bug of ours."""
    said = f"seed {SEED}, {one.fault}, {one.hit}: {one.code}\n{one.out}\n{one.err}"
    assert one.code in (0, 1, 3), said
    assert "Traceback" not in one.err, said
    if one.fault.startswith("write:") and one.fault.endswith("+"):
        return  # not even the terminal takes a word then
    if one.code == 3:
        assert one.err.startswith("error: "), said
        if "write(1, " in one.hit:
            return  # it was the answer itself that standard output did not take
        errors = json.loads(one.out)["error"]
        assert errors[0]["message"], said
        assert errors[0]["hint"], said
    else:
        assert json.loads(one.out)["verdict"] == ("pass" if one.code == 0 else "error"), said


@pytest.mark.slow
def test_a_system_call_that_fails_once_is_told_and_the_next_run_is_right(
    room: Path, moments: list[Moment]
) -> None:
    draw = random.Random(SEED)
    chosen = choose(moments, FAILURES, draw)
    ended = disturb_all(room, chosen, [f"error={draw.choice(ERRORS)}:when={{}}" for _ in chosen])
    for one in ended:
        check_answer(one)
    assert sum(bool(one.hit) for one in ended) > 0.9 * len(ended)
    assert sum(one.code == 3 for one in ended) > 0.7 * len(ended)


@pytest.mark.slow
def test_a_disk_that_refuses_from_some_moment_on_is_told_and_the_next_run_is_right(
    room: Path, moments: list[Moment]
) -> None:
    draw = random.Random(SEED + 1)
    chosen = choose(moments, LASTING_FAILURES, draw)
    ended = disturb_all(room, chosen, [f"error={draw.choice(ERRORS)}:when={{}}+" for _ in chosen])
    for one in ended:
        check_answer(one)
    assert sum(bool(one.hit) for one in ended) > 0.9 * len(ended)
    assert sum(one.code == 3 for one in ended) > 0.7 * len(ended)


@pytest.mark.slow
def test_a_run_that_is_killed_in_the_middle_of_a_system_call_is_made_good_by_the_next(
    room: Path, moments: list[Moment]
) -> None:
    draw = random.Random(SEED + 2)
    chosen = choose(moments, KILLS, draw)
    ended = disturb_all(room, chosen, ["signal=KILL:when={}" for _ in chosen])
    assert sum(one.code == -9 for one in ended) > 0.9 * len(ended), [one.fault for one in ended if one.code]
