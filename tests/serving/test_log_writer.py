"""The writer as the process that it is: files that can be read at any moment, nothing lost when a server dies."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import numpy as np
import psutil
import pyarrow as pa
import pytest

from fiat.serving.log_buffer import Label
from fiat.serving.log_files import LogFiles, Retention, prune, write_rows
from fiat.serving.log_pipe import LogPipe
from fiat.serving.release import LogPlan
from tests.serving.log_stage import DIGEST, matrix_log, offer, open_log, rows, until


def test_requests_come_back_as_rows_with_everything_that_was_said(tmp_path: Path) -> None:
    log = matrix_log(tmp_path)
    for number in range(10):
        assert offer(log, f"r{number}", n_rows=3)
    log.labels.offer([Label("r1", "dog", row=2), Label("r2", 4)])
    log.pipe.close()
    assert log.pipe.dropped == 0
    found = rows(tmp_path / "predictions")
    assert found.schema.names == [
        *("time", "request_id", "row", "version", "digest"),
        *("f0", "f1", "f2", "f3", "prediction", "score", "latency_us"),
    ]
    assert found.column("request_id").to_pylist() == [f"r{n}" for n in range(10) for _ in range(3)]
    assert found.column("row").to_pylist() == [0, 1, 2] * 10
    assert found.column("f0").to_pylist() == [0.0, 1.0, 2.0] * 10
    assert set(found.column("prediction").to_pylist()) == {"cat"}
    assert set(found.column("score").to_pylist()) == {0.75}
    assert found.schema.field("time").type == pa.timestamp("us", "UTC")
    labels = rows(tmp_path / "labels")
    assert labels.select(["request_id", "row", "label", "number"]).to_pylist() == [
        {"request_id": "r1", "row": 2, "label": "dog", "number": None},
        {"request_id": "r2", "row": 0, "label": "4", "number": 4.0},
    ]


def test_texts_times_and_tensors_of_raw_columns_are_written_as_they_were_sent(tmp_path: Path) -> None:
    log = open_log(tmp_path, 0, LogPlan())
    names = ["city", "time", "picture"]
    log.predictions.learn(DIGEST, inputs=names, features=names, layout="raw")
    inputs = {
        "city": np.array([["Köln"], [b"Bonn"]], object),
        "time": np.array([[1.5], [np.nan]]),
        "picture": np.arange(8, dtype=np.uint8).reshape(2, 2, 2),
    }
    log.predictions.offer("r", "1", DIGEST, inputs, {"y": np.array([[2.5], [3.5]], np.float32)}, 7)
    log.pipe.close()
    found = rows(tmp_path / "predictions")
    assert found.column("city").to_pylist() == ["Köln", "Bonn"]
    assert found.column("input.time").to_pylist()[0] == 1.5  # `time` is the log's own column
    assert found.schema.field("input.time").metadata == {b"fiat_feature": b"time"}
    assert found.column("picture").to_pylist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert found.column("prediction").to_pylist() == [2.5, 3.5]
    assert found.column("score").null_count == 2


def test_a_file_can_be_read_while_it_grows(tmp_path: Path) -> None:
    log = matrix_log(tmp_path)
    counts: list[int] = []
    deadline = time.monotonic() + 8
    number = 0
    while time.monotonic() < deadline and len(set(counts)) < 3:
        offer(log, f"r{number}")
        number += 1
        log.pipe.flush()
        counts.append(rows(tmp_path / "predictions").num_rows)
        time.sleep(0.02)
    assert len(set(counts)) >= 3, counts
    assert counts == sorted(counts)
    assert len(list((tmp_path / "predictions").glob("*.parquet"))) == 1
    log.pipe.close()
    assert rows(tmp_path / "predictions").num_rows == number


def test_a_server_that_is_killed_loses_only_what_was_not_in_the_pipe(tmp_path: Path) -> None:
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from tests.serving.log_stage import matrix_log, offer
log = matrix_log(Path({str(tmp_path)!r}))
for number in range(500):
    offer(log, str(number))
log.pipe.flush()
offer(log, "in the buffer only")
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    assert until(lambda: rows(tmp_path / "predictions").num_rows >= 500)
    found = rows(tmp_path / "predictions").column("request_id").to_pylist()
    assert found == [str(number) for number in range(500)]
    assert not list((tmp_path / "predictions").glob("unfinished.*"))


def test_a_writer_that_dies_is_started_again_and_what_it_lost_is_counted(tmp_path: Path) -> None:
    log = matrix_log(tmp_path)
    offer(log, "before")
    log.pipe.flush()
    first = log.pipe.pid
    assert first is not None
    assert until(lambda: psutil.Process(first).nice() == 10)
    os.kill(first, signal.SIGKILL)

    def is_back() -> bool:
        log.pipe.flush()
        return log.pipe.pid not in (None, first)

    assert until(is_back)
    assert log.pipe.dropped == 1
    for number in range(20):
        assert offer(log, f"after {number}")
    log.pipe.close()
    # The new writer knows the model although it was learned before.
    found = rows(tmp_path / "predictions")
    assert found.column("request_id").to_pylist() == [f"after {number}" for number in range(20)]
    assert "f3" in found.schema.names
    assert log.pipe.dropped == 1


def test_a_writer_that_cannot_start_is_not_tried_without_a_pause() -> None:
    moments = [0.0]
    pipe = LogPipe((sys.executable, "-c", "raise SystemExit(1)"), clock=lambda: moments[0])
    started: set[int] = set()
    for _ in range(40):
        pipe.flush()
        if pipe.pid:
            started.add(pipe.pid)
            until(lambda: pipe.pid is None)
        moments[0] += 0.5  # 20 seconds of a server
    assert 2 <= len(started) <= 6
    pipe.close(0.1)


def test_a_writer_that_stands_still_never_makes_the_server_wait(tmp_path: Path) -> None:
    log = matrix_log(tmp_path, features=64)
    log.pipe.flush()
    pid = log.pipe.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        longest = 0.0
        for number in range(90_000):
            started = time.perf_counter()
            offered = offer(log, str(number), features=64)
            longest = max(longest, time.perf_counter() - started)
            if not offered:
                break
        assert log.pipe.dropped == 1
        assert longest < 0.25
    finally:
        os.kill(pid, signal.SIGCONT)
    log.pipe.close(20.0)
    kept = rows(tmp_path / "predictions").num_rows
    assert kept == number
    assert log.pipe.dropped == 1


def test_versions_have_files_of_their_own_and_hours_begin_their_names(tmp_path: Path) -> None:
    log = matrix_log(tmp_path)
    other = "f" * 32 + ".dir"
    log.predictions.learn(other, inputs=["features"], features=["f0", "f1", "f2", "f3"], layout="matrix")
    offer(log, "a")
    log.predictions.offer("b", "2", other, {"features": np.zeros((1, 4))}, {"y": np.zeros(1)}, 1)
    log.pipe.close()
    names = sorted(path.name for path in (tmp_path / "predictions").iterdir())
    assert [name[14:22] for name in names] == [DIGEST[:8], other[:8]]
    assert all(name[:13] == time.strftime("%Y-%m-%dT%H", time.gmtime()) for name in names)


def test_old_files_and_those_beyond_the_size_are_deleted_and_the_newest_stay(tmp_path: Path) -> None:
    def file(name: str, age_s: float, size: int = 1000) -> Path:
        path = tmp_path / name
        path.write_bytes(b"x" * size)
        os.utime(path, (time.time() - age_s,) * 2)
        return path

    old = file("2026-01-01T01-aaaaaaaa-0.1.parquet", 5000)
    middle = file("2026-01-01T02-aaaaaaaa-0.2.parquet", 50)
    new = file("2026-01-01T03-aaaaaaaa-0.3.parquet", 5)
    dead = file("unfinished.2026-01-01T03-aaaaaaaa-0.3", 5000)
    foreign = file("notes.txt", 5000)
    prune(tmp_path, Retention(1 << 20, keep_s=1000), time.time())
    assert not old.exists()
    assert not dead.exists()
    assert middle.exists()
    prune(tmp_path, Retention(1500, None), time.time())
    assert not middle.exists()
    assert new.exists()
    assert foreign.exists()


def test_a_disk_that_refuses_costs_rows_but_not_the_writer(tmp_path: Path) -> None:
    blocked = tmp_path / "predictions"
    blocked.write_text("a file where the folder should be")
    files = LogFiles(blocked, 0, Retention(1 << 20))
    table = pa.table({"row": [0, 1]})
    files.add("aaaaaaaa", table, 2)
    files.write(time.time(), everything=True)
    assert files.n_written == 0
    blocked.unlink()
    files.add("aaaaaaaa", table, 2)
    files.write(time.time(), everything=True)
    assert files.n_written == 2


def test_a_file_that_cannot_take_its_name_leaves_no_draft(tmp_path: Path) -> None:
    taken = tmp_path / "x.parquet"
    (taken / "in the way").mkdir(parents=True)
    with pytest.raises(OSError):
        write_rows(taken, pa.table({"a": [1]}))
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]


def test_other_programs_read_the_log(tmp_path: Path) -> None:
    log = matrix_log(tmp_path)
    for number in range(3000):
        offer(log, str(number))
        if number % 500 == 0:
            log.pipe.flush()
    log.pipe.close()
    question = "select count(*), count(distinct request_id), max(f3) from read_parquet(?)"
    answer = duckdb.execute(question, [f"{tmp_path}/predictions/*.parquet"]).fetchall()
    assert answer == [(3000, 3000, 3.0)]
