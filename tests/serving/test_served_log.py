"""Requests that a server writes down, and labels that come later."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent))
from server_stage import Service, started, wait_for

from fiat.serving.answer_log import AnswerLogs
from fiat.serving.release import LogPlan
from fiat.testing.sample_packages import make_package


def rows_of(folder: Path) -> list[dict[str, object]]:
    return [row for path in sorted(folder.rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_requests_and_labels_are_written_down_with_what_may_be_kept(tmp_path: Path) -> None:
    service = Service(tmp_path / "service")
    digest = service.add(make_package(tmp_path, 2))
    service.write(("1", digest, 100), log=LogPlan(redact=("q",)))
    with started("--release", str(service.manifest)) as server:
        for place in range(5):
            assert server.infer([[place, 7, 9], [1, 2, 3]], id=f"r{place}").status == 200
        labels = {"labels": [{"id": "r0", "label": "c"}, {"id": "r0", "row": 1, "label": "b"}]}
        found = server.ask("POST", "/fiat/labels", json.dumps(labels))
        assert (found.status, found.json()) == (200, {"labels": 2})
        assert server.ask("POST", "/fiat/labels", '{"labels": [{"id": ""}]}').status == 400
        for row in (-1, 2**31, 10**30):
            wrong = {"labels": [{"id": "r0", "label": "c", "row": row}]}
            assert server.ask("POST", "/fiat/labels", json.dumps(wrong)).status == 400
        counts = wait_for(service.worker)
        assert counts.log_dropped == 0
    rows = rows_of(service.folder / "predictions")
    assert [(row["request_id"], row["row"], row["p"]) for row in rows] == [
        (f"r{place}", row, value) for place in range(5) for row, value in ((0, float(place)), (1, 1.0))
    ]
    assert {row["version"] for row in rows} == {"1"}
    assert "q" not in rows[0]
    kept = rows_of(service.folder / "labels")
    assert sorted((row["request_id"], row["row"], row["label"]) for row in kept) == [
        ("r0", 0, "c"),
        ("r0", 1, "b"),
    ]


def test_labels_have_no_place_where_nothing_is_written_down(tmp_path: Path) -> None:
    package = make_package(tmp_path, 2)
    with started("--model", "tiny", "1", "", str(package.folder)) as server:
        found = server.ask("POST", "/fiat/labels", '{"labels": [{"id": "a", "label": 1}]}')
        assert (found.status, list(found.json())) == (404, ["error"])


def test_a_server_without_a_manifest_writes_where_it_is_told(tmp_path: Path) -> None:
    package = make_package(tmp_path, 2)
    arguments = ["--log", str(tmp_path / "log"), "--model", "tiny", "1", package.digest, str(package.folder)]
    with started(*arguments) as server:
        assert server.infer([[1, 2, 3]], id="mine").status == 200
    assert [row["request_id"] for row in rows_of(tmp_path / "log" / "tiny" / "predictions")] == ["mine"]


def test_requests_do_not_wait_for_a_log_that_ends(tmp_path: Path) -> None:
    logs = AnswerLogs(0, lambda: 1.0)
    logs.follow("tiny", LogPlan(), tmp_path / "service")
    logs.flush()
    log = logs.of("tiny")
    assert log is not None
    assert log.predictions.offer("mine", "1", "d.dir", {}, {"y": np.ones((1, 1), np.float32)}, 9)
    started_s = time.perf_counter()
    logs.follow("tiny", LogPlan(max_bytes=1 << 29), tmp_path / "service")
    logs.follow("tiny", None, tmp_path / "service")
    # Starting Python alone takes the writer longer than this.
    assert time.perf_counter() - started_s < 0.1
    logs.close()
    assert logs.dropped("tiny") == 0
    assert [row["request_id"] for row in rows_of(tmp_path / "service" / "predictions")] == ["mine"]
