import os
import subprocess
import time
from pathlib import Path

from fiat.builtin.sandbox_limits import DiskMeter, Usage


def measured(meter: DiskMeter, pids: tuple[int, ...] = ()) -> int:
    """A complete look."""
    while meter.look(pids) == 0 or meter.busy:
        time.sleep(0.001)
    return meter.look(pids)


def test_what_is_on_disk_counts_once_and_as_it_is_stored(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(os.urandom(1 << 20))
    os.link(tmp_path / "a" / "b" / "file", tmp_path / "again")
    (tmp_path / "link").symlink_to("/usr/bin/env")
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.truncate(1 << 30)
    inner = str(tmp_path / "a")
    found = measured(DiskMeter([str(tmp_path), inner]))
    assert 1 << 20 <= found < (1 << 20) + 100_000


def test_a_deleted_file_counts_as_long_as_it_is_open(tmp_path: Path) -> None:
    with (tmp_path / "gone").open("wb") as file:
        file.write(os.urandom(1 << 20))
        file.flush()
        (tmp_path / "gone").unlink()
        assert measured(DiskMeter([str(tmp_path)]), (os.getpid(),)) >= 1 << 20


def test_a_large_folder_is_measured_piece_by_piece_and_never_for_long(tmp_path: Path) -> None:
    for index in range(40):
        (tmp_path / str(index)).mkdir()
        for name in range(100):
            (tmp_path / str(index) / str(name)).write_text("x")
    meter = DiskMeter([str(tmp_path)])
    longest = 0.0
    for _ in range(10_000):
        started = time.monotonic()
        found = meter.look(())
        longest = max(longest, time.monotonic() - started)
        if not meter.busy:
            break
    assert found >= 4000 * 4096
    assert longest < 0.5  # 20 ms on a quiet machine
    (tmp_path / "new").write_bytes(os.urandom(1 << 20))
    assert meter.look(()) == found  # it rests fifty times as long as it took


def test_a_folder_that_vanishes_while_it_is_measured_is_nothing(tmp_path: Path) -> None:
    meter = DiskMeter([str(tmp_path / "gone"), str(tmp_path)])
    (tmp_path / "file").write_text("x")
    assert measured(meter) >= 4096
    assert meter.hidden == ""


def test_what_can_t_be_measured_is_said(tmp_path: Path) -> None:
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        for _ in range(30):
            os.mkdir("d" * 200)  # noqa: PTH102 (the path is too long for a path)
            os.chdir("d" * 200)
    finally:
        os.chdir(here)
    usage = Usage({"limits": {"disk_bytes": 1 << 30, "folders": [str(tmp_path)]}})
    assert (
        usage.exceeded([]) == "hid folders nested too deeply from the measure of its limit of 1 GiB on disk"
    )


def test_without_limits_only_memory_is_looked_at() -> None:
    usage = Usage({})
    assert usage.exceeded([os.getpid()]) == ""
    assert usage.peak_bytes > 1 << 20
    assert usage.why_it_failed() == ""
    assert Usage({"memory_bytes": 1}).exceeded([os.getpid()]).endswith("more than its limit of 1 bytes")


def test_the_sandbox_s_own_processes_do_not_count() -> None:
    usage = Usage({"limits": {"processes": 1}})
    # A process with one thread, which the one that runs the tests need not be.
    with subprocess.Popen(["sleep", "60"]) as quiet:
        assert usage.exceeded([quiet.pid] * 3, own=2) == ""
        assert usage.exceeded([quiet.pid] * 4, own=2) == "had 2 processes at a time, more than its limit of 1"
        quiet.kill()
