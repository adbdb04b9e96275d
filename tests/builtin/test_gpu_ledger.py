import fcntl
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from fiat.builtin import job_tree
from fiat.builtin.gpu_claim import SILENCE_S, Claim, joined
from fiat.builtin.gpu_ledger import SETTING, GpuLedger, boot_clock, ledger_folder
from fiat.errors import EnvironmentFault
from fiat.testing.compute_jobs import wait_for

ROOT = Path(__file__).parents[2]


def claim(name: str, count: int = 1, share: float = 1.0, *, priority: int = 0, since: float = 0.0) -> Claim:
    pid = os.getpid()
    return Claim(name, "run", name, pid, job_tree.start_ticks(pid), share, count, ("a", "b"), priority, since)


@pytest.fixture
def ledger(tmp_path: Path) -> GpuLedger:
    return GpuLedger(tmp_path / "gpus")


def held(ledger: GpuLedger) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.step, one.keys) for one in ledger.look()[0]]


def waiting(ledger: GpuLedger) -> list[str]:
    return [one.step for one in ledger.look()[1]]


# Enters, takes if it can, says so, and sits there.
_OTHER = """
import os, sys, time
from pathlib import Path
from fiat.builtin.gpu_claim import Claim
from fiat.builtin.gpu_ledger import GpuLedger
from fiat.builtin.job_tree import start_ticks
pid = os.getpid()
ledger = GpuLedger(Path(sys.argv[1]))
made, fd = ledger.enter(Claim("other", "run2", "other", pid, start_ticks(pid), 1.0, int(sys.argv[2]), ("a", "b")))
print("took" if ledger.take(made, fd, 1.0) else "waits", made.id, flush=True)
time.sleep(100)
"""


@contextmanager
def another_process(ledger: GpuLedger, count: int) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    process = subprocess.Popen(
        [sys.executable, "-c", _OTHER, str(ledger.folder), str(count)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().split()
    finally:
        process.kill()
        process.communicate()


def test_nothing_is_made_by_looking(ledger: GpuLedger) -> None:
    assert ledger.look() == ((), ())
    assert not ledger.folder.exists()


def test_a_claim_waits_until_it_is_its_turn(ledger: GpuLedger) -> None:
    both, both_fd = ledger.enter(claim("both", 2, since=1))
    one, one_fd = ledger.enter(claim("one", since=2))
    assert waiting(ledger) == ["both", "one"]
    assert ledger.take(one, one_fd, 3) is None
    taken = ledger.take(both, both_fd, 3)
    assert taken is not None
    assert taken.keys == ("a", "b")
    assert (held(ledger), waiting(ledger)) == ([("both", ("a", "b"))], ["one"])
    ledger.leave(both, both_fd)
    assert (held(ledger), waiting(ledger)) == ([], ["one"])
    assert ledger.take(one, one_fd, 3) is not None


def test_a_process_that_is_killed_gives_back_what_it_had(ledger: GpuLedger) -> None:
    with another_process(ledger, 2) as (process, said):
        assert said[0] == "took"
        mine, fd = ledger.enter(claim("mine"))
        assert ledger.take(mine, fd, 1) is None
        assert held(ledger) == [("other", ("a", "b"))]
        process.kill()
        process.wait()
        assert ledger.take(mine, fd, 1) is not None
        assert held(ledger) == [("mine", ("a",))]
    assert sorted(path.name for path in ledger.folder.iterdir()) == sorted([mine.id, "lock"])


def test_one_that_is_killed_while_it_waits_is_in_nobodys_way(ledger: GpuLedger) -> None:
    mine, fd = ledger.enter(claim("mine"))
    assert ledger.take(mine, fd, 1) is not None
    later, later_fd = ledger.enter(claim("later", since=boot_clock()))
    with another_process(ledger, 2) as (process, said):
        assert said[0] == "waits"
        assert waiting(ledger) == ["other", "later"]
        assert ledger.take(later, later_fd, 2) is None
        process.kill()
        process.wait()
        assert waiting(ledger) == ["later"]
        assert ledger.take(later, later_fd, 2) is not None


def test_one_that_is_stopped_while_it_waits_keeps_nothing_from_others(ledger: GpuLedger) -> None:
    mine, fd = ledger.enter(claim("mine"))
    assert ledger.take(mine, fd, 1) is not None
    later, later_fd = ledger.enter(claim("later", since=boot_clock()))
    with another_process(ledger, 2) as (process, _):
        process.send_signal(signal.SIGSTOP)
        wait_for(lambda: job_tree.is_stopped(process.pid, job_tree.start_ticks(process.pid)), "it is stopped")
        assert ledger.take(later, later_fd, 2) is not None
        assert waiting(ledger) == ["other"]


def test_one_that_could_not_begin_is_passed_until_it_can(ledger: GpuLedger) -> None:
    early, early_fd = ledger.enter(claim("early", 2, since=1))
    late, late_fd = ledger.enter(claim("late", 2, since=2))
    early = ledger.say(early, early_fd, ready=False)
    assert waiting(ledger) == ["early", "late"]
    assert ledger.take(late, late_fd, 3) is not None
    ledger.leave(late, late_fd)
    last, last_fd = ledger.enter(claim("last", since=3))
    early = ledger.say(early, early_fd, ready=True)
    assert ledger.take(last, last_fd, 4) is None
    assert ledger.take(early, early_fd, 4) is not None


def test_what_works_on_behalf_of_a_claim_keeps_it_when_its_owner_is_killed(ledger: GpuLedger) -> None:
    with another_process(ledger, 2) as (process, said), joined(ledger.folder / said[1]) as fd:
        assert fd is not None
        process.kill()
        process.wait()
        assert held(ledger) == [("other", ("a", "b"))]
    assert held(ledger) == []


def test_a_claim_that_has_ended_can_not_be_joined(ledger: GpuLedger) -> None:
    mine, fd = ledger.enter(claim("mine"))
    path = ledger.folder / mine.id
    with joined(path) as joined_fd:
        assert joined_fd is not None
    ledger.leave(mine, fd)
    with joined(path) as joined_fd:
        assert joined_fd is None
    path.write_text("{}")  # a file of the same name that is another
    path.unlink()


def test_a_claim_that_was_killed_before_it_said_anything_is_removed(ledger: GpuLedger) -> None:
    ledger.enter(claim("mine"))
    (ledger.folder / "half.x.claim").write_bytes(b"")
    (ledger.folder / "odd.x.claim").write_bytes(b'{"id": 3')
    assert waiting(ledger) == ["mine"]
    assert len(list(ledger.folder.iterdir())) == 2


def test_a_claim_of_a_later_version_that_says_more_is_understood(ledger: GpuLedger) -> None:
    mine, fd = ledger.enter(claim("mine"))
    later, later_fd = ledger.enter(claim("later"))
    line = {**asdict(later), "keys": ["a", "b"], "colour": "red"}
    os.pwrite(later_fd, json.dumps(line).encode() + b"\n", 0)
    assert held(ledger) == [("later", ("a", "b"))]
    assert ledger.take(mine, fd, 1) is None


def test_one_that_has_not_asked_for_long_is_passed_until_it_asks_again(ledger: GpuLedger) -> None:
    early, early_fd = ledger.enter(claim("early", 2))
    late, late_fd = ledger.enter(claim("late", 1, since=1))
    assert ledger.take(late, late_fd, SILENCE_S - 1) is None
    assert ledger.take(late, late_fd, SILENCE_S) is not None
    assert ledger.take(early, early_fd, SILENCE_S) is None
    assert [one.seen for one in ledger.look()[1]] == [SILENCE_S]
    last, last_fd = ledger.enter(claim("last", 1, since=2))
    assert ledger.take(last, last_fd, SILENCE_S + 1) is None


def test_a_claim_that_somebody_removes_ends_the_wait(ledger: GpuLedger) -> None:
    mine, fd = ledger.enter(claim("mine"))
    (ledger.folder / mine.id).unlink()
    with pytest.raises(EnvironmentFault, match=f"somebody removed {mine.id}"):
        ledger.take(mine, fd, 1)


def test_a_living_claim_that_nobody_understands_gives_no_gpu_away(ledger: GpuLedger) -> None:
    mine, fd = ledger.enter(claim("mine"))
    _, other_fd = ledger.enter(claim("other"))
    os.pwrite(other_fd, b'{"id": 3}\n', 0)
    with pytest.raises(
        EnvironmentFault, match=r"other\.\w+\.claim is no claim that this version of Fiat knows"
    ):
        ledger.take(mine, fd, 1)
    os.close(other_fd)
    assert ledger.take(mine, fd, 1) is not None


def test_who_keeps_the_ledger_locked_is_named(ledger: GpuLedger) -> None:
    ledger.enter(claim("mine"))
    with (ledger.folder / "lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(EnvironmentFault, match=rf"process {os.getpid()} has held it for 0\.05 s"):
            GpuLedger(ledger.folder, patience_s=0.05).look()


def test_a_ledger_that_can_not_be_reached_is_told_also_by_a_look(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFault, match="Not a directory"):
        GpuLedger(tmp_path / "file" / "gpus").look()


@pytest.mark.parametrize("folder", ["gpus", "../gpus", "~/gpus"])
def test_a_folder_that_is_another_wherever_a_command_is_called_is_refused(folder: str) -> None:
    with pytest.raises(EnvironmentFault, match=f"{SETTING} is {re.escape(folder)}") as caught:
        ledger_folder({SETTING: folder})
    assert "whole path" in caught.value.hint


@pytest.mark.parametrize("kind", ["link", "nowhere", "open", "file", "foreign"])
def test_a_folder_that_is_not_ours_alone_is_refused(ledger: GpuLedger, kind: str) -> None:
    if kind == "link":
        (ledger.folder.parent / "real").mkdir(mode=0o700)
        ledger.folder.symlink_to("real")
    elif kind == "nowhere":
        ledger.folder.symlink_to("nowhere")
    elif kind == "open":
        ledger.folder.mkdir()
        ledger.folder.chmod(0o777)
    elif kind == "foreign":
        if os.getuid():
            pytest.skip("only root can make what another user owns")
        ledger.folder.mkdir(mode=0o700)
        os.chown(ledger.folder, 65534, 65534)
    else:
        ledger.folder.write_text("")
    with pytest.raises(EnvironmentFault) as caught:
        ledger.enter(claim("mine"))
    assert str(ledger.folder) in caught.value.message
    assert SETTING in caught.value.hint


def test_its_files_are_for_this_user_only(ledger: GpuLedger) -> None:
    ledger.enter(claim("mine"))
    assert ledger.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in ledger.folder.iterdir()} == {0o600}


def test_all_processes_of_a_user_have_one_ledger_and_a_setting_names_another() -> None:
    assert ledger_folder({"XDG_RUNTIME_DIR": "/run/user/1"}) == ledger_folder({})
    assert str(os.getuid()) in ledger_folder({}).name
    assert ledger_folder({SETTING: "/x"}) == Path("/x")


def test_a_claim_is_told_as_it_was_made(ledger: GpuLedger) -> None:
    made = replace(claim("mine", 2, 0.25, priority=3, since=1.5), run="r" * 50)
    mine, fd = ledger.enter(made)
    assert ledger.look() == ((), (mine,))
    assert mine == replace(made, id=mine.id)
    taken = ledger.take(mine, fd, 7.25)
    assert ledger.look() == ((taken,), ())
    assert taken == replace(mine, keys=("a", "b"), taken=7.25)
