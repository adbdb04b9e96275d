"""Clients that nobody here wrote, against a server process: tritonclient, and callers of MLflow's forms."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from fiat.serving.tensors import DATATYPES
from fiat.testing.sample_packages import make_package
from tests.serving.client_stage import every_package, table_package
from tests.serving.server_stage import RunningServer, started

ROWS = np.float32([[1, 2, 3], [4, 9, 6]])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("packages")
    arguments = []
    for name, package in (
        ("tiny", make_package(folder, 2)),
        ("every", every_package(folder)),
        ("table", table_package(folder)),
    ):
        arguments += ["--model", name, "1", package.digest, str(package.folder)]
    with started(*arguments) as found:
        yield found


@pytest.fixture
def client(server: RunningServer) -> Iterator[InferenceServerClient]:
    found = InferenceServerClient(server.url.removeprefix("http://"))
    yield found
    found.close()


def given(name: str, array: Any, datatype: str, *, binary: bool) -> InferInput:
    item = InferInput(name, list(array.shape), datatype)
    item.set_data_from_numpy(array, binary_data=binary)
    return item


def texts(array: Any) -> list[Any]:
    """Texts of an answer: bytes when they came as bytes."""
    flat = [item.decode() if isinstance(item, bytes) else item for item in array.reshape(-1)]
    return np.array(flat, object).reshape(array.shape).tolist()  # type: ignore[no-any-return]


def test_tritonclient_finds_the_server_and_its_models_ready(client: InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    assert client.is_model_ready("tiny", "1")
    assert not client.is_model_ready("other")
    assert not client.is_model_ready("tiny", "2")


def test_tritonclient_reads_what_the_server_tells(client: InferenceServerClient) -> None:
    assert client.get_server_metadata()["name"] == "fiat"
    metadata = client.get_model_metadata("table", "1")
    assert metadata["inputs"] == [
        {"name": "age", "datatype": "FP64", "shape": [-1, 1]},
        {"name": "town", "datatype": "BYTES", "shape": [-1, 1]},
    ]
    assert [item["name"] for item in metadata["outputs"]] == ["scores", "place", "label", "probabilities"]
    assert client.get_model_config("every")["name"] == "every"
    states = {item["name"]: item["state"] for item in client.get_model_repository_index()}
    assert states == {"tiny": "READY", "every": "READY", "table": "READY"}
    with pytest.raises(InferenceServerException, match="git"):
        client.unload_model("tiny")


def test_tritonclient_s_statistics_grow(client: InferenceServerClient) -> None:
    def count() -> int:
        (found,) = client.get_inference_statistics("tiny")["model_stats"]
        return int(found["inference_stats"]["success"]["count"])

    before = count()
    client.infer("tiny", [given("x", ROWS, "FP32", binary=True)])
    assert count() == before + 1
    assert {item["name"] for item in client.get_inference_statistics()["model_stats"]} == {
        "tiny",
        "every",
        "table",
    }


@pytest.mark.parametrize("coding", [None, "gzip", "deflate"])
@pytest.mark.parametrize("ask", [True, False])
@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_predicts_in_both_modes_packed_or_not(
    client: InferenceServerClient, binary: bool, ask: bool, coding: str | None
) -> None:
    rows = np.tile(ROWS, (200, 1))
    found = client.infer(
        "tiny",
        [given("x", rows, "FP32", binary=binary)],
        outputs=[InferRequestedOutput("y", binary_data=binary)] if ask else None,
        request_id="mine",
        request_compression_algorithm=coding,
        response_compression_algorithm=coding,
    )
    np.testing.assert_array_equal(found.as_numpy("y"), rows * 2)
    assert found.get_response()["id"] == "mine"
    assert found.get_response()["model_version"] == "1"
    if ask:
        assert found.as_numpy("label") is None
    else:
        assert texts(found.as_numpy("label")) == ["c", "b"] * 200


@pytest.mark.parametrize("binary", [True, False])
def test_every_datatype_goes_there_and_back(client: InferenceServerClient, binary: bool) -> None:
    arrays: dict[str, Any] = {
        name: np.array([[0, 1], [1, 0]]).astype(dtype) for name, dtype in DATATYPES.items() if name != "BYTES"
    }
    arrays["BYTES"] = np.array([["a", ""], ["größe", "\n"]], object)
    # tritonclient does not write FP16 as JSON, so that one goes as bytes beside the others.
    inputs = [
        given(f"in_{name}", array, name, binary=binary or name == "FP16") for name, array in arrays.items()
    ]
    outputs = [InferRequestedOutput(f"out_{name}", binary_data=binary) for name in arrays]
    found = client.infer("every", inputs, outputs=outputs)
    for name, array in arrays.items():
        answer = found.as_numpy(f"out_{name}")
        if name == "BYTES":
            assert texts(answer) == array.tolist()
        else:
            assert answer.dtype == array.dtype
            np.testing.assert_array_equal(answer, array)


def test_modes_may_be_mixed_in_one_request(client: InferenceServerClient) -> None:
    inputs = [
        given("age", np.array([[3.5], [-2]]), "FP64", binary=True),
        given("town", np.array([["Köln"], ["Bonn"]], object), "BYTES", binary=False),
    ]
    outputs = [
        InferRequestedOutput("label", binary_data=False),
        InferRequestedOutput("place", binary_data=True),
        InferRequestedOutput("probabilities", binary_data=True),
    ]
    found = client.infer("table", inputs, outputs=outputs)
    assert texts(found.as_numpy("label")) == ["old", "young"]
    assert texts(found.as_numpy("place")) == [["Köln"] * 2, ["Bonn"] * 2]
    np.testing.assert_allclose(found.as_numpy("probabilities")[0], [0.9990889, 0.0009110512], rtol=1e-5)


@pytest.mark.parametrize("binary", [True, False])
def test_an_empty_batch_is_answered(client: InferenceServerClient, binary: bool) -> None:
    outputs = [InferRequestedOutput("y", binary_data=binary)]
    found = client.infer("tiny", [given("x", ROWS[:0], "FP32", binary=binary)], outputs=outputs)
    assert found.as_numpy("y").shape == (0, 3)


def test_numbers_that_are_not_finite_come_back_as_bytes_and_as_null_in_json(
    client: InferenceServerClient,
) -> None:
    rows = np.float32([[np.nan, np.inf, 1]])
    for binary, expected in ((True, [np.nan, np.inf, 2]), (False, [np.nan, np.nan, 2])):
        outputs = [InferRequestedOutput("y", binary_data=binary)]
        found = client.infer("tiny", [given("x", rows, "FP32", binary=True)], outputs=outputs)
        np.testing.assert_array_equal(found.as_numpy("y")[0].astype(np.float32), np.float32(expected))


def test_many_requests_of_tritonclient_at_once_are_all_answered(server: RunningServer) -> None:
    client = InferenceServerClient(server.url.removeprefix("http://"), concurrency=8)
    waiting = [
        client.async_infer("tiny", [given("x", ROWS * number, "FP32", binary=True)]) for number in range(100)
    ]
    for number, item in enumerate(waiting):
        np.testing.assert_array_equal(item.get_result().as_numpy("y"), ROWS * number * 2)
    client.close()


@pytest.mark.parametrize(
    ("name", "datatype", "rows", "words"),
    [
        ("z", "FP32", ROWS, "the model has no input 'z'; it takes 'x'"),
        ("x", "FP64", ROWS.astype(np.float64), "input 'x' has the datatype 'FP64', expected FP32"),
        ("x", "FP32", ROWS[:, :2].copy(), "expected [-1, 3]"),
    ],
)
def test_refusals_reach_tritonclient(
    client: InferenceServerClient, name: str, datatype: str, rows: Any, words: str
) -> None:
    for binary in (True, False):
        with pytest.raises(InferenceServerException) as caught:
            client.infer("tiny", [given(name, rows, datatype, binary=binary)])
        assert caught.value.status() == "400"
        assert words in caught.value.message()


def test_a_body_of_bytes_alone_is_answered_in_bytes(server: RunningServer) -> None:
    found = server.ask(
        "POST", "/v2/models/tiny/infer", ROWS.tobytes(), {"Inference-Header-Content-Length": "0"}
    )
    assert found.status == 200
    length = int(found.headers["inference-header-content-length"])
    first = json.loads(found.body[:length])["outputs"][0]
    size = first["parameters"]["binary_data_size"]
    assert first["name"] == "y"
    assert found.body[length : length + size] == (ROWS * 2).tobytes()


@pytest.fixture(scope="module")
def invoked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    package = table_package(tmp_path_factory.mktemp("packages"))
    with started("--model", "table", "1", package.digest, str(package.folder)) as found:
        yield found


FORMS: dict[str, tuple[str, str]] = {
    "dataframe_split": (
        json.dumps(
            {"dataframe_split": {"columns": ["town", "age"], "index": [0, 1], "data": [["a", 3], ["", -1]]}}
        ),
        "application/json",
    ),
    "dataframe_records": (
        json.dumps({"dataframe_records": [{"age": 3, "town": "a"}, {"age": -1, "town": None}]}),
        "application/json; charset=utf-8",
    ),
    "instances": (
        json.dumps({"instances": [{"age": [3], "town": ["a"]}, {"age": [-1], "town": [""]}]}),
        "application/json",
    ),
    "inputs": (json.dumps({"inputs": {"age": [3, -1], "town": ["a", None]}, "params": {}}), ""),
    "csv": ("age,town\n3,a\n-1,\n", "text/csv"),
}


@pytest.mark.parametrize("form", FORMS)
def test_mlflow_s_forms_are_answered_row_by_row(invoked: RunningServer, form: str) -> None:
    body, kind = FORMS[form]
    found = invoked.ask("POST", "/invocations", body, {"Content-Type": kind} if kind else {})
    assert found.status == 200
    rows = found.json()["predictions"]
    assert [row["label"] for row in rows] == ["old", "young"]
    assert [row["place"] for row in rows] == [["a", "a"], ["", ""]]
    assert [row["scores"] for row in rows] == [[3, -3], [-1, 1]]


def test_mlflow_s_callers_are_refused_in_mlflow_s_words(invoked: RunningServer) -> None:
    found = invoked.ask(
        "POST", "/invocations", '{"dataframe_records": [{"age": 3}]}', {"Content-Type": "application/json"}
    )
    assert found.status == 400
    assert found.json()["error_code"] == "BAD_REQUEST"
    assert "lacks the column 'town'" in found.json()["message"]
    assert invoked.ask("POST", "/invocations", "<a/>", {"Content-Type": "text/xml"}).status == 415
