"""Requests are packed at once, in microseconds, without holding anything or waiting for anybody."""

import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from fiat.serving.log_buffer import Label, LabelLog, PredictionLog
from fiat.serving.log_pipe import LogPipe
from fiat.serving.log_run import RUN, columns_of
from fiat.serving.release import LogPlan
from tests.serving.log_stage import DIGEST

NOBODY = ("/nonexistent/writer",)


def entries(pipe: LogPipe, log: PredictionLog | None = None) -> list[list]:
    if log is not None:
        log.spill()
    data, found, start = bytes(pipe.waiting), [], 0
    while start < len(data):
        size = int.from_bytes(data[start : start + 4], "little")
        entry = msgspec.msgpack.decode(data[start + 4 : start + 4 + size])
        found.append(list(columns_of(entry)) if entry[0] == RUN else entry)
        start += 4 + size
    return found


def log_of(plan: LogPlan, **learned: object) -> tuple[PredictionLog, LogPipe]:
    pipe = LogPipe(NOBODY)
    log = PredictionLog(pipe, plan, clock=lambda: 12.5)
    if learned:
        log.learn(DIGEST, **learned)  # type: ignore[arg-type]
    return log, pipe


def test_an_offered_request_is_packed_whole_and_its_arrays_are_let_go_then() -> None:
    log, pipe = log_of(LogPlan(), inputs=["x"], features=["a", "b"], layout="matrix")
    given = np.array([[1.0, 2.0]], np.float32)
    held = sys.getrefcount(given)
    assert log.offer("r1", "7", DIGEST, {"x": given}, {"label": np.array(["cat"], object)}, 99)
    (entry,) = entries(pipe, log)
    assert sys.getrefcount(given) == held
    assert entry[1:6] == [[12_500_000], ["r1"], "7", DIGEST, [99]]
    assert np.frombuffer(entry[6][0][3], np.float32).tolist() == [1.0, 2.0]
    assert entry[7] == [("label", "O", [], ["cat"])]
    assert entry[8] == [1]


def test_requests_of_one_form_and_version_are_packed_together_and_others_apart() -> None:
    log, pipe = log_of(LogPlan(), inputs=["x"], features=["a", "b"], layout="matrix")

    def offer(request_id: str, rows: int, label: object, version: str = "7") -> None:
        given = {"x": np.full((rows, 2), rows, np.float32)}
        assert log.offer(request_id, version, DIGEST, given, {"label": np.array([label] * rows, object)}, 1)

    offer("r1", 1, "cat")
    offer("r2", 3, "dog")
    offer("\u00e9", 1, "cat")
    offer("r4", 1, "\u00e9")
    offer("r5", 2, b"\xff")
    offer("r6", 1, "cat")
    offer("r7", 1, "cat", "8")
    offer("r8", 1, "cat")
    found = entries(pipe, log)
    assert [(entry[2], entry[8]) for entry in found] == [
        (["r1", "r2", "\u00e9", "r4", "r5", "r6"], [1, 3, 1, 1, 2, 1]),
        (["r7"], [1]),
        (["r8"], [1]),
    ]
    assert np.frombuffer(found[0][6][0][3], np.float32).tolist() == [1, 1, *[3] * 6, *[1] * 4, *[2] * 4, 1, 1]
    assert found[0][7][0][3] == ["cat", "dog", "dog", "dog", "cat", "\u00e9", b"\xff", b"\xff", "cat"]
    assert pipe.gathered_bytes == 0


def test_an_answer_that_fits_no_row_of_its_request_takes_no_other_with_it() -> None:
    log, pipe = log_of(LogPlan(), inputs=["x"], features=["a"], layout="matrix")
    for request_id, answer in (
        ("r1", np.zeros(1)),
        ("odd", np.zeros(5)),
        ("flat", np.float64(1)),
        ("r2", np.zeros(1)),
    ):
        log.offer(request_id, "7", DIGEST, {"x": np.ones((1, 1))}, {"y": np.asarray(answer)}, 1)
    assert [entry[2] for entry in entries(pipe, log)] == [["r1"], ["odd"], ["flat"], ["r2"]]


def test_an_id_that_cannot_be_written_is_dropped_and_takes_no_other_with_it() -> None:
    log, pipe = log_of(LogPlan())
    for request_id in ("r1", "\ud800", "r2"):
        log.offer(request_id, "7", DIGEST, {}, {"y": np.zeros(1)}, 1)
    assert [entry[2] for entry in entries(pipe, log)] == [["r1", "r2"]]
    assert pipe.dropped == 1


def test_nothing_of_a_request_is_held_and_what_is_packed_counts_against_the_room() -> None:
    log, pipe = log_of(LogPlan(), inputs=["x"], features=["a"], layout="matrix")
    given = np.zeros((1, 1)), np.zeros((1 << 16, 1)), np.array([["y" * 1000]], object)
    held = [sys.getrefcount(array) for array in given]
    for number in range(100):
        for array in given:
            log.offer(str(number), "7", DIGEST, {"x": array}, {}, 1)
    del array
    assert [sys.getrefcount(array) for array in given] == held
    log, pipe = log_of(LogPlan(), inputs=["x"], features=["a"], layout="matrix")
    for number in range(100):
        log.offer(str(number), "7", DIGEST, {"x": given[2]}, {}, 1)
    assert 90_000 < pipe.gathered_bytes < 110_000


def test_memory_that_waits_is_bounded_however_many_versions_answer() -> None:
    pipe = LogPipe(NOBODY, most_bytes=1 << 16)
    log = PredictionLog(pipe, LogPlan())
    for number in range(10_000):
        log.offer(str(number), "7", f"digest{number % 5}", {}, {"y": np.zeros(8)}, 1)
    assert log.dropped > 5_000
    log.spill()
    assert len(pipe.waiting) < (1 << 16) + 5 * (1 << 13)


def test_an_array_of_another_type_or_shape_is_written_as_it_is_among_others() -> None:
    log, pipe = log_of(LogPlan(), inputs=["x"], features=["a", "b"], layout="matrix")
    given = [
        np.ones((1, 2), np.float32),
        np.ones((1, 2)),
        np.ones((1, 3), np.float32),
        np.ones((2, 2), np.int8),
    ]
    for number, array in enumerate([*given, given[0]]):
        log.offer(str(number), "7", DIGEST, {"x": array}, {"y": np.zeros(len(array))}, 1)
    log.offer("lacks", "7", DIGEST, {"z": given[0]}, {"y": np.zeros(1)}, 1)
    found = entries(pipe, log)
    assert [(entry[2], [list(part[1:3]) for part in entry[6]]) for entry in found] == [
        (["0"], [["f", [2]]]),
        (["1"], [["d", [2]]]),
        (["2"], [["f", [3]]]),
        (["3"], [["b", [2]]]),
        (["4"], [["f", [2]]]),
        (["lacks"], []),
    ]


def test_a_request_costs_microseconds() -> None:
    log, pipe = log_of(LogPlan(), inputs=["x"], features=[f"f{n}" for n in range(64)], layout="matrix")
    inputs = {"x": np.zeros((1, 64), np.float32)}
    outputs = {"label": np.array(["cat"], object), "probabilities": np.zeros((1, 10), np.float32)}
    best = 1e9
    for _ in range(20):
        log.spill()
        pipe.waiting.clear()
        started = time.perf_counter()
        for _ in range(100):
            log.offer("0f3a-77", "1", DIGEST, inputs, outputs, 500)
        best = min(best, (time.perf_counter() - started) / 100)
    assert best < 20e-6  # 1 us on a machine with nothing else to do


def test_a_sample_depends_on_the_request_id_alone_and_has_the_size_that_was_asked_for() -> None:
    log, _ = log_of(LogPlan(sample_ratio=0.3))
    other, _ = log_of(LogPlan(sample_ratio=0.3))
    more, _ = log_of(LogPlan(sample_ratio=0.6))
    ids = [f"request-{n}" for n in range(20_000)]
    chosen = [log.is_sampled(item) for item in ids]
    assert chosen == [other.is_sampled(item) for item in ids]
    assert 0.28 < sum(chosen) / len(ids) < 0.32
    assert all(more.is_sampled(item) for item, kept in zip(ids, chosen, strict=True) if kept)


@pytest.mark.parametrize(("ratio", "kept"), [(0.0, 0), (1.0, 50)])
def test_a_ratio_of_nothing_keeps_nothing_and_one_of_all_keeps_all(ratio: float, kept: int) -> None:
    log, pipe = log_of(LogPlan(sample_ratio=ratio))
    for number in range(50):
        assert log.offer(str(number), "1", DIGEST, {}, {"y": np.zeros(1)}, 1)
    assert sum(len(entry[2]) for entry in entries(pipe, log)) == kept


def test_redacted_columns_of_a_matrix_do_not_leave_the_process() -> None:
    log, pipe = log_of(LogPlan(redact=("b",)), inputs=["x"], features=["a", "b", "c"], layout="matrix")
    secret = 1234.5
    log.offer("r", "1", DIGEST, {"x": np.array([[1.0, secret, 3.0]])}, {"y": np.zeros(1)}, 1)
    pipe.flush()
    packed = b"".join(bytes(data) for data, _, _ in pipe._blocks)
    assert np.float64(3.0).tobytes() in packed
    assert np.float64(secret).tobytes() not in packed


def test_a_matrix_without_the_columns_that_are_kept_is_written_without_it() -> None:
    log, pipe = log_of(LogPlan(redact=("b",)), inputs=["x"], features=["a", "b", "c"], layout="matrix")
    for request_id, width in (("r1", 3), ("narrow", 1), ("r2", 3)):
        log.offer(request_id, "1", DIGEST, {"x": np.ones((1, width))}, {"y": np.zeros(1)}, 1)
    found = entries(pipe, log)
    assert [(entry[2], [part[2] for part in entry[6]]) for entry in found] == [
        (["r1"], [[2]]),
        (["narrow"], []),
        (["r2"], [[2]]),
    ]


def test_one_that_is_alone_and_cannot_be_written_costs_the_next_ones_nothing() -> None:
    log, pipe = log_of(LogPlan(redact=("b",)), inputs=["x"], features=["a", "b", "c"], layout="matrix")
    for request_id, width in (("\ud800", 1), ("r1", 3), ("r2", 3)):
        log.offer(request_id, "1", DIGEST, {"x": np.ones((1, width))}, {"y": np.zeros(1)}, 1)
    (entry,) = entries(pipe, log)
    assert (entry[2], [part[2] for part in entry[6]]) == (["r1", "r2"], [[2]])
    assert pipe.dropped == 1


def test_redacted_columns_with_inputs_of_their_own_do_not_leave_the_process() -> None:
    log, pipe = log_of(
        LogPlan(redact=("name",)), inputs=["age", "name"], features=["age", "name"], layout="raw"
    )
    given = {
        "age": np.array([[30.0]]),
        "name": np.array([["Ada"]], object),
        "unknown": np.array(["Ada"], object),
    }
    log.offer("r", "1", DIGEST, given, {"y": np.zeros(1)}, 1)
    (entry,) = entries(pipe, log)
    assert [item[0] for item in entry[6]] == ["age"]


def test_answers_can_be_redacted_too() -> None:
    log, pipe = log_of(LogPlan(redact=("label",)))
    log.offer("r", "1", DIGEST, {}, {"label": np.array(["cat"], object), "probabilities": np.ones((1, 1))}, 1)
    assert [item[0] for item in entries(pipe, log)[0][7]] == ["probabilities"]


def test_inputs_of_a_version_that_is_not_known_are_not_written() -> None:
    log, pipe = log_of(LogPlan(redact=("age",)))
    log.offer("r", "1", DIGEST, {"age": np.array([30.0])}, {"y": np.array([2.0])}, 1)
    assert entries(pipe, log)[0][6] == []


def test_a_full_buffer_drops_and_counts_and_takes_no_time() -> None:
    pipe = LogPipe(NOBODY, most_bytes=4096)
    log = PredictionLog(pipe, LogPlan())
    kept = sum(log.offer(str(n), "1", DIGEST, {}, {"y": np.zeros(1)}, 1) for n in range(1000))
    assert 0 < kept < 1000
    assert log.dropped == 1000 - kept
    log.spill()
    assert len(pipe.waiting) < 4096 + 200
    assert len(entries(pipe)[0][2]) == kept


def test_labels_are_taken_all_or_none() -> None:
    pipe = LogPipe(NOBODY, most_bytes=300)
    labels = LabelLog(pipe, clock=lambda: 3.0)
    assert labels.offer([Label("r1", "cat"), Label("r1", 4.5, row=2)])
    assert entries(pipe) == [[2, 3_000_000, [["r1", 0, "cat"], ["r1", 2, 4.5]]]]
    assert labels.offer([Label("x" * 300, 1.0)])  # the last that fits
    assert not labels.offer([Label("r2", True), Label("r3", False)])
    assert pipe.dropped == 2


def test_a_server_does_not_load_arrow_for_its_log(tmp_path: Path) -> None:
    code = (
        "import fiat.serving.log_buffer, sys; print([n for n in ('pyarrow', 'polars') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "[]"


def test_what_cannot_be_packed_leaves_nothing_half_packed() -> None:
    _, pipe = log_of(LogPlan())
    labels = LabelLog(pipe, clock=lambda: 1.0)
    assert labels.offer([Label("a", "x")])
    with pytest.raises(OverflowError):
        labels.offer([Label("b", "x", 10**30)])
    assert labels.offer([Label("c", "x")])
    assert [entry[2] for entry in entries(pipe)] == [[["a", 0, "x"]], [["c", 0, "x"]]]
