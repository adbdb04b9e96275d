"""Processes that stand still, run side by side, or have another clock: every result is right all the same."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from fiat.builtin.job_child import Supervisor

sys.path.insert(0, str(Path(__file__).parent))
from chain_project import ChainProject, end, make_project, make_spec

HOUR_S = 3600
# Only the wall clock: waiting and timeouts go by the other clocks.
CLOCK = """\
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    const char *off = getenv("CLOCK_OFF_S");
    if (!failed && off && clock == CLOCK_REALTIME) now->tv_sec += atol(off);
    return failed;
}
"""


@pytest.fixture
def sleepy(tmp_path: Path) -> ChainProject:
    """The chain with steps that take a while."""
    return make_project(tmp_path / "checkout", spec=make_spec(sleep_s=0.5))


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["numbers", "parts", "count"])
def test_a_frozen_run_goes_on_where_it_stood_and_others_pass_it(sleepy: ChainProject, step: str) -> None:
    process = sleepy.start_run(1)
    wait_until(lambda: list(sleepy.state.glob(f"runs/*/{step}.log")))
    time.sleep(0.1)  # within the step's sleep
    process.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
        # The same work, done by another while it stands still, and collected garbage beside it.
        passed = sleepy.finish(1)
        assert sleepy.fiat("gc", "--keep-runs", "1").code == 0
    finally:
        process.send_signal(signal.SIGCONT)
    done = end(process)
    assert done.code == 0, done.out + done.err
    assert done.document["metrics"] == passed.document["metrics"]
    sleepy.examine({passed.document["run"]: 1, done.document["run"]: 1})
    assert sleepy.finish(1).states == ["reused"] * 4


@pytest.mark.slow
def test_a_run_frozen_at_any_moment_ends_well_and_keeps_nobody_waiting_for_ever(sleepy: ChainProject) -> None:
    process = sleepy.start_run(1)
    stops = 0
    while process.poll() is None and stops < 25:
        time.sleep(0.07)
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.05)
        process.send_signal(signal.SIGCONT)
        stops += 1
    done = end(process)
    assert stops > 8
    assert done.code == 0, done.out + done.err
    sleepy.examine({done.document["run"]: 1})


@pytest.mark.slow
def test_two_runs_of_one_spec_at_once_both_end_well_with_the_same_results(tmp_path: Path) -> None:
    project = make_project(tmp_path / "checkout", spec=make_spec(sleep_s=0.1))
    for salt in (1, 2):
        pair = [project.start_run(salt), project.start_run(salt)]
        ended = [end(process) for process in pair]
        assert [done.code for done in ended] == [0, 0], [done.err for done in ended]
        project.examine({done.document["run"]: salt for done in ended})
    assert project.finish(1).states == ["reused"] * 4


@pytest.mark.slow
def test_four_runs_of_different_specs_on_one_store_at_once_end_well(tmp_path: Path) -> None:
    projects = [
        make_project(
            tmp_path / f"checkout{place}", state=tmp_path / "store", spec=make_spec(name=f"c{place}")
        )
        for place in range(4)
    ]
    ended = [end(process) for process in [project.start_run(place) for place, project in enumerate(projects)]]
    assert [done.code for done in ended] == [0] * 4, [done.err for done in ended]
    for place, (project, done) in enumerate(zip(projects, ended, strict=True)):
        project.examine({done.document["run"]: place})
        assert project.finish(place).states == ["reused"] * 4
    assert len({done.document["run"] for done in ended}) == 4


def test_a_wish_to_end_that_comes_with_the_start_is_heard(tmp_path: Path) -> None:
    supervisor = Supervisor()
    try:
        for number in range(40):
            child = supervisor.start(
                {
                    "argv": ["sleep", "60"],
                    "cwd": "/",
                    "env": {"PATH": os.defpath},
                    "log": str(tmp_path / f"{number}.log"),
                }
            )
            child.cancel()
            answer = child.wait(10)
            child.close()
            assert answer is not None, f"start {number} hangs"
            assert answer["state"] == "cancelled"
    finally:
        supervisor.close()


@pytest.fixture
def reader(tmp_path: Path) -> ChainProject:
    """One step that copies a file of the checkout."""
    spec = (
        "fiat: 1\nname: reader\nsteps:\n"
        '  copy: {run: "cat words.txt > {out.o}", out: {o: file}, code: [words.txt]}\n'
    )
    return make_project(tmp_path / "checkout", spec=spec)


def read_words(project: ChainProject, *, before: tuple[str, ...] = ()) -> tuple[str, bytes]:
    """(state of the step, what it made)."""
    done = project.fiat("run", "spec.yaml", "--compute", "local", "--json", before=before)
    assert done.code == 0, done.out + done.err
    shown = project.fiat("show", done.document["run"], "--json").document
    digest = shown["steps"][0]["outputs"]["o"]["digest"]
    return done.states[0], (project.state / "cache/files/md5" / digest[:2] / digest[2:]).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment_ns",
    [
        pytest.param(lambda: time.time_ns() + HOUR_S * 10**9, id="an hour ahead"),
        pytest.param(lambda: time.time_ns() - HOUR_S * 10**9, id="an hour ago"),
        pytest.param(lambda: 0, id="1970"),
        pytest.param(lambda: -86_400 * 10**9, id="before 1970"),
        pytest.param(lambda: 2**33 * 10**9, id="beyond 32 bits"),
    ],
)
def test_an_edit_that_keeps_size_and_times_is_seen_whatever_the_times_say(
    reader: ChainProject, moment_ns: Callable[[], int]
) -> None:
    words = reader.root / "words.txt"
    moment = moment_ns()
    seen = []
    for text in (b"first\n", b"other\n"):
        words.write_bytes(text)
        os.utime(words, ns=(moment, moment))
        assert read_words(reader) == ("ran", text)
        assert read_words(reader) == ("reused", text)
        seen.append(words.stat().st_mtime_ns)
    assert len(set(seen)) == 1
    words.write_bytes(b"first\n")  # back to what it was: its result is still there
    os.utime(words, ns=(moment, moment))
    assert read_words(reader) == ("reused", b"first\n")


@pytest.fixture
def shifted(tmp_path: Path) -> Callable[[int], tuple[str, ...]]:
    """Gives the words that run a program with its wall clock so many seconds off."""
    compiler = shutil.which("cc")
    if compiler is None:
        reason = "there is no C compiler to make a clock with"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}; CI must test other clocks")
        pytest.skip(reason)
    source, library = tmp_path / "clock.c", tmp_path / "clock.so"
    source.write_text(CLOCK)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)

    def words(seconds: int) -> tuple[str, ...]:
        return ("env", f"LD_PRELOAD={library}", f"CLOCK_OFF_S={seconds}")

    told = subprocess.run(
        [*words(-HOUR_S), sys.executable, "-c", "import time; print(time.time())"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert abs(float(told.stdout) + HOUR_S - time.time()) < 60
    return words


@pytest.mark.slow
def test_a_clock_that_jumps_between_runs_changes_no_result_and_hides_no_edit(
    reader: ChainProject, shifted: Callable[[int], tuple[str, ...]]
) -> None:
    words = reader.root / "words.txt"
    for number, seconds in enumerate((0, HOUR_S, -HOUR_S, HOUR_S, 0, -HOUR_S)):
        text = b"%5d\n" % number
        words.write_bytes(text)
        os.utime(words, ns=(10**18, 10**18))
        assert read_words(reader, before=shifted(seconds)) == ("ran", text)
        assert read_words(reader, before=shifted(-seconds)) == ("reused", text)
    assert len(reader.fiat("runs", "--json").document["runs"]) == 12


@pytest.mark.slow
def test_clocks_an_hour_apart_on_one_store_at_once_lose_nothing(
    sleepy: ChainProject, shifted: Callable[[int], tuple[str, ...]]
) -> None:
    processes = [sleepy.start_run(1, before=shifted(seconds)) for seconds in (-HOUR_S, HOUR_S)]
    ended = [end(process) for process in processes]
    assert [done.code for done in ended] == [0, 0], [done.err for done in ended]
    sleepy.examine({done.document["run"]: 1 for done in ended})
    # Collecting by a clock that is ahead takes old things, but nothing that a kept run needs.
    assert sleepy.fiat("gc", "--keep-runs", "1", before=shifted(HOUR_S)).code == 0
    assert sleepy.finish(1).states == ["reused"] * 4
    assert sleepy.fiat("runs", before=shifted(-HOUR_S)).code == 0
