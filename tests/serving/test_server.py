"""The server as a process: what it answers on every path."""

import gzip
import json
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from server_stage import RunningServer, request_of, started

from fiat.testing.sample_packages import make_package


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    package = make_package(tmp_path_factory.mktemp("packages"), 2)
    arguments = ["--model", "tiny", "1", package.digest, str(package.folder), "--body-bytes", "20000"]
    arguments += ["--model", "a name/with ä", "7", package.digest, str(package.folder)]
    with started(*arguments) as found:
        yield found


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models/tiny/ready", {"name": "tiny", "ready": True}),
        ("/v2/models/tiny/versions/1/ready", {"name": "tiny", "ready": True}),
        ("/v2/models/a%20name%2Fwith%20%C3%A4/ready", {"name": "a name/with ä", "ready": True}),
    ],
)
def test_it_says_what_is_alive_and_ready(server: RunningServer, path: str, expected: object) -> None:
    found = server.ask("GET", path)
    assert (found.status, found.json()) == (200, expected)


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_it_tells_its_own_metadata(server: RunningServer, path: str) -> None:
    found = server.ask("GET", path).json()
    assert found["name"] == "fiat"
    assert "binary_tensor_data" in found["extensions"]


@pytest.mark.parametrize("path", ["/v2/models/tiny", "/v2/models/tiny/versions/1"])
def test_it_tells_a_models_tensors_and_where_it_comes_from(server: RunningServer, path: str) -> None:
    found = server.ask("GET", path).json()
    assert (found["name"], found["versions"], found["platform"]) == ("tiny", ["1"], "onnx_onnxv1")
    assert found["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]
    assert found["parameters"]["digest"].endswith(".dir")


def test_it_predicts_and_names_model_version_and_request(server: RunningServer) -> None:
    found = server.infer([[1, 2, 3], [4, 9, 6]], id="mine")
    document = found.json()
    assert found.status == 200
    assert (document["model_name"], document["model_version"], document["id"]) == ("tiny", "1", "mine")
    assert document["outputs"][0]["data"] == [2, 4, 6, 8, 18, 12]
    assert document["outputs"][1] == {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["c", "b"]}
    assert found.headers["x-request-id"] == "mine"


def test_a_request_without_an_id_gets_one_of_its_own(server: RunningServer) -> None:
    first, second = (server.infer([[1, 2, 3]]).headers["x-request-id"] for _ in range(2))
    assert first
    assert first != second
    assert server.infer([[1, 2, 3]], headers={"x-request-id": "theirs"}).headers["x-request-id"] == "theirs"


def test_an_id_that_is_no_header_is_quoted_there(server: RunningServer) -> None:
    found = server.infer([[1, 2, 3]], id="a\r\nset-cookie: b ä")
    assert found.status == 200
    assert found.json()["id"] == "a\r\nset-cookie: b ä"
    assert "set-cookie" not in found.headers
    assert found.headers["x-request-id"].startswith("a%0D%0A")


def test_a_version_can_be_named_and_an_unknown_one_is_not_found(server: RunningServer) -> None:
    assert server.infer([[1, 2, 3]], version="1").status == 200
    found = server.infer([[1, 2, 3]], version="2")
    assert (found.status, found.json()) == (404, {"error": "model 'tiny' has no version '2'; it has 1"})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v2/models/other", 404),
        ("POST", "/v2/models/other/infer", 404),
        ("GET", "/v2/models/tiny/infer", 405),
        ("POST", "/v2/health/live", 405),
        ("DELETE", "/v2/models/tiny", 405),
        ("POST", "/v2/models/tiny/infer/more", 404),
        ("GET", "/v2/models/%ff/ready", 404),
        ("POST", "/v2/repository/models/tiny/load", 403),
        ("POST", "/v2/repository/models/tiny/unload", 403),
    ],
)
def test_every_refusal_is_an_error_in_json(
    server: RunningServer, method: str, path: str, status: int
) -> None:
    found = server.ask(method, path, "{}" if method == "POST" else None)
    assert found.status == status
    assert list(found.json()) == ["error"]
    assert found.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{", "no inference request"),
        ("[]", "no inference request"),
        (json.dumps({"inputs": []}), "x"),
        (json.dumps(request_of([[1, 2, 3]], "z")), "'z'"),
        (json.dumps(request_of([[1, 2]])), "x"),
        (json.dumps({"inputs": [{**request_of([[1, 2, 3]])["inputs"][0], "datatype": "FP64"}]}), "FP32"),
        (json.dumps({"inputs": [{**request_of([[1, 2, 3]])["inputs"][0], "shape": [10**12, 3]}]}), "x"),
        ('{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[NaN,1,2]}]}', "NaN"),
    ],
)
def test_what_a_client_gets_wrong_is_its_own_fault(server: RunningServer, body: str, words: str) -> None:
    found = server.ask("POST", "/v2/models/tiny/infer", body)
    assert found.status == 400
    assert words in found.json()["error"]


def test_packed_bodies_are_unpacked_whatever_the_content_type(server: RunningServer) -> None:
    body = json.dumps(request_of([[1, 2, 3]])).encode()
    raw = zlib.compressobj(wbits=-15)
    for coding, packed in (
        ("gzip", gzip.compress(body)),
        ("gzip", gzip.compress(body[:20]) + gzip.compress(body[20:])),
        ("deflate", zlib.compress(body)),
        ("deflate", raw.compress(body) + raw.flush()),
        ("identity", body),
    ):
        headers = {"Content-Encoding": coding, "Content-Type": "text/plain"}
        found = server.ask("POST", "/v2/models/tiny/infer", packed, headers)
        assert found.json()["outputs"][0]["data"] == [2, 4, 6], coding


@pytest.mark.parametrize(("coding", "status"), [("gzip", 400), ("deflate", 400), ("br", 415)])
def test_a_damaged_or_unknown_coding_is_refused(server: RunningServer, coding: str, status: int) -> None:
    found = server.ask("POST", "/v2/models/tiny/infer", b"\0\1\2", {"Content-Encoding": coding})
    assert (found.status, list(found.json())) == (status, ["error"])


def test_a_body_that_unpacks_to_more_than_the_limit_is_refused(server: RunningServer) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) > 20_000
    for packed in (bomb, gzip.compress(b" " * 50_000)):
        found = server.ask("POST", "/v2/models/tiny/infer", packed, {"Content-Encoding": "gzip"})
        assert (found.status, list(found.json())) == (413, ["error"])


def test_an_answer_is_packed_for_who_asks_and_only_when_it_is_long(server: RunningServer) -> None:
    long = server.infer([[1, 2, 3]] * 200, headers={"Accept-Encoding": "gzip;q=0, deflate"})
    assert long.headers["content-encoding"] == "deflate"
    assert json.loads(zlib.decompress(long.body))["outputs"][0]["shape"] == [200, 3]
    short = server.infer([[1, 2, 3]], headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in short.headers
    assert server.infer([[1, 2, 3]] * 200, headers={"Accept-Encoding": "br, gzip;q=0"}).json()


def test_an_empty_batch_is_answered_with_no_rows(server: RunningServer) -> None:
    body = json.dumps({"inputs": [{"name": "x", "shape": [0, 3], "datatype": "FP32", "data": []}]})
    found = server.ask("POST", "/v2/models/tiny/infer", body)
    assert found.status == 200
    full = server.infer([[1, 2, 3]]).json()["outputs"]
    expected = [(item["name"], item["datatype"], [0, *item["shape"][1:]]) for item in full]
    assert [(item["name"], item["datatype"], item["shape"]) for item in found.json()["outputs"]] == expected


def test_the_index_lists_every_version(server: RunningServer) -> None:
    expected = [
        {"name": "tiny", "version": "1", "state": "READY", "reason": ""},
        {"name": "a name/with ä", "version": "7", "state": "READY", "reason": ""},
    ]
    assert server.ask("POST", "/v2/repository/index").json() == expected
    assert server.ask("POST", "/v2/repository/index", '{"ready": true}').json() == expected
    assert server.ask("POST", "/v2/repository/index", "[1]").status == 400


def test_statistics_and_metrics_count_what_was_answered(server: RunningServer) -> None:
    def rows() -> int:
        (found,) = server.ask("GET", "/v2/models/tiny/stats").json()["model_stats"]
        return int(found["inference_count"])

    before = rows()
    server.infer([[1, 2, 3]] * 5)
    server.infer([[1, 2]])
    assert rows() == before + 5
    assert {item["name"] for item in server.ask("GET", "/v2/models/stats").json()["model_stats"]} == {
        "tiny",
        "a name/with ä",
    }
    text = server.ask("GET", "/metrics").body.decode()
    line = next(line for line in text.splitlines() if line.startswith('fiat_rows_total{model="tiny"'))
    assert line.split()[-1] == str(before + 5)
    assert 'fiat_predictions_total{model="tiny",version="1"' in text
    assert 'le="+Inf"' in text


def test_the_configuration_says_that_requests_are_joined(server: RunningServer) -> None:
    found = server.ask("GET", "/v2/models/tiny/config").json()
    assert found["max_batch_size"] == 64
    assert found["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": [3]}]


def test_head_is_answered_without_a_body(server: RunningServer) -> None:
    found = server.ask("HEAD", "/v2/health/ready")
    assert (found.status, found.body) == (200, b"")


def test_mlflow_callers_find_their_paths(tmp_path: Path) -> None:
    package = make_package(tmp_path, 3)
    with started("--model", "tiny", "1", "", str(package.folder)) as server:
        assert [server.ask("GET", path).status for path in ("/ping", "/health", "/version")] == [200] * 3
        body = json.dumps({"dataframe_split": {"columns": ["p", "q", "r"], "data": [[1, 2, 3]]}})
        found = server.ask("POST", "/invocations", body, {"Content-Type": "application/json"})
        (row,) = found.json()["predictions"]
        assert (row["y"], row["label"]) == ([3, 6, 9], "c")
        assert found.headers["fiat-version"] == "1"
        wrong = server.ask("POST", "/invocations", "{}")
        assert (wrong.status, list(wrong.json())) == (400, ["error_code", "message"])


def test_a_large_request_lets_small_ones_be_answered_meanwhile(tmp_path: Path) -> None:
    package = make_package(tmp_path, 2)
    n_rows = 400_000
    item = {"name": "x", "shape": [n_rows, 3], "datatype": "FP32", "data": [1] * (3 * n_rows)}
    body = json.dumps({"inputs": [item]})
    with started("--model", "tiny", "1", "", str(package.folder)) as server:
        n_answered, is_done = 0, threading.Event()

        def ask_on() -> None:
            nonlocal n_answered
            while not is_done.is_set():
                assert server.infer([[1, 0, 0]]).status == 200
                n_answered += 1

        asking = threading.Thread(target=ask_on)
        asking.start()
        found = server.ask("POST", "/v2/models/tiny/infer", body)
        meanwhile = n_answered
        is_done.set()
        asking.join()
        assert found.status == 200
        outputs = {item["name"]: item for item in found.json()["outputs"]}
        assert outputs["y"]["shape"] == [n_rows, 3]
        assert set(outputs["y"]["data"]) == {2.0}
        assert meanwhile > 10
        metrics = server.ask("GET", "/metrics").body.decode()
        counted = [
            line.split()[-1] for line in metrics.splitlines() if line.startswith("fiat_predictions_total{")
        ]
        assert sum(map(int, counted)) == n_rows + n_answered
