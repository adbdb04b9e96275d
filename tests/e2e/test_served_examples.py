"""Our examples as services: asked with raw columns, rolled out, back and out again under load, with no failed request."""

import json
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import triton_to_np_dtype

sys.path.insert(0, str(Path(__file__).parent))
from checkout import make_checkout
from served_stage import Served, under_load

from fiat.data.dataset import open_dataset
from fiat.evaluate.folder import read_evaluation
from fiat.evaluate.rows import ClassRows

pytestmark = pytest.mark.slow
TAXI = Path(__file__).parents[3] / "shared" / "data" / "chicago-taxi" / "data.csv"
N_ROWS = 256
ENDED = ("serving", "failed", "broken")
PLACE = "production:digits"
QUICK = "specs/digits/quick.yaml"
QUICK_TEXT = """\
fiat: 1
defaults: [spec]
deploy:
  production:
    to: service
    rollout:
      steps: [25, 100]
      hold: 1s
      min_requests: 50
      abort_on: {error_ratio: 0.01, p95_ratio: 50, disagreement: 0.1}
monitor: {drift: {max: 0.1, window: 500}}
"""
SPOILT = QUICK_TEXT + "params: {epochs: 1, lr: 1e-6}\ngates: []\n"
BETTER = QUICK_TEXT + "params: {epochs: 20}\n"


@dataclass(frozen=True)
class Deployed:
    """A model that is served, and what its evaluation recorded.

    Attributes:
        name: of the model.
        url: of the server.
        columns: raw columns of the first rows of the test split, the label too.
        rows: what was recorded of them.
    """

    name: str
    url: str
    columns: dict[str, list[Any]]
    rows: ClassRows

    @property
    def labels(self) -> list[object]:
        """The class that was recorded for each row."""
        return [self.rows.classes[code] for code in self.rows.predicted]

    @property
    def probabilities(self) -> np.ndarray[Any, Any]:
        """That were recorded, `(n_rows, n_classes)`."""
        assert self.rows.scores is not None
        return self.rows.scores

    @property
    def infer_url(self) -> str:
        return f"{self.url}/v2/models/{self.name}/infer"

    @property
    def metadata(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/v2/models/{self.name}", timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found

    @property
    def commit(self) -> str:
        return str(self.metadata["parameters"]["commit"])

    @property
    def bodies(self) -> list[str]:
        """Scans as requests of one row."""
        pixels = [values for name, values in self.columns.items() if name != "digit"]
        return [
            json.dumps({"inputs": [{"name": "features", "shape": [1, 64], "datatype": "FP32", "data": row}]})
            for row in zip(*pixels, strict=True)
        ]

    def asked(self, body: str) -> dict[str, Any]:
        """What the model answers to a JSON body."""
        request = urllib.request.Request(self.infer_url, data=body.encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    found = Served(make_checkout(tmp_path_factory.mktemp("served") / "checkout", "digits", "taxi"))
    try:
        yield found
    finally:
        found.end()


@pytest.fixture(scope="module")
def digits(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    run = served.run("specs/digits/service.yaml")
    return deployed(served, run, "digits", "data.scans", tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def taxi(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    if not TAXI.is_file():
        pytest.skip("needs ../shared/data/chicago-taxi beside the repository")
    run = served.run("specs/taxi/service.yaml", f"data.trips.source.path={TAXI}")
    return deployed(served, run, "taxi", "data.trips", tmp_path_factory.mktemp("taxi"))


def deployed(served: Served, run: dict[str, Any], model: str, data: str, to: Path) -> Deployed:
    artifacts = served.artifacts(run, {data: "dataset", "evaluate": "evaluation"}, to)
    split = open_dataset(artifacts[data]).split("test").table()
    rows = read_evaluation(artifacts["evaluate"]).rows
    assert isinstance(rows, ClassRows)
    assert rows.n_rows == split.num_rows
    url = served.sight(f"production:{model}")["state"]["url"]
    return Deployed(model, url, split.slice(0, N_ROWS).to_pydict(), rows.take(np.arange(N_ROWS)))


def tensor(item: dict[str, Any], columns: dict[str, list[Any]]) -> np.ndarray[Any, Any]:
    """The array for an input of a served model, from raw columns."""
    if item["name"] == "features":  # one matrix of all columns
        return np.array([values for name, values in columns.items() if name != "digit"], np.float32).T.copy()
    if item["datatype"] == "BYTES":
        return np.array([[value or ""] for value in columns[item["name"]]], object)
    kind = triton_to_np_dtype(item["datatype"])
    return np.array([[np.nan if value is None else value] for value in columns[item["name"]]], kind)


def ask(model: Deployed, *, binary: bool) -> dict[str, Any]:
    """Answers to the rows from tritonclient, output name to array."""
    client = InferenceServerClient(model.url.removeprefix("http://"))
    try:
        metadata = client.get_model_metadata(model.name)
        inputs = []
        for item in metadata["inputs"]:
            array = tensor(item, model.columns)
            inputs.append(InferInput(item["name"], list(array.shape), item["datatype"]))
            # JSON has no NaN, and tritonclient does not write null: such columns go as bytes beside the others.
            missing = item["datatype"] != "BYTES" and bool(np.isnan(array).any())
            inputs[-1].set_data_from_numpy(array, binary_data=binary or missing)
        names = [item["name"] for item in metadata["outputs"]]
        outputs = [InferRequestedOutput(name, binary_data=binary) for name in names]
        answer = client.infer(model.name, inputs, outputs=outputs)
        return {name: answer.as_numpy(name) for name in names}
    finally:
        client.close()


@pytest.mark.parametrize("binary", [True, False])
def test_digits_answer_scans_with_digits_and_probabilities_as_recorded(
    served: Served, digits: Deployed, binary: bool
) -> None:
    assert digits.commit == served.git("rev-parse", "HEAD")
    answers = ask(digits, binary=binary)
    assert answers["label"].tolist() == digits.labels
    np.testing.assert_allclose(answers["probabilities"], digits.probabilities, atol=1e-6)


@pytest.mark.parametrize("binary", [True, False])
def test_taxi_answers_raw_trips_with_values_missing_as_recorded(taxi: Deployed, binary: bool) -> None:
    assert None in taxi.columns["company"]
    assert None in taxi.columns["pickup_census_tract"]
    kinds = {item["name"]: (item["datatype"], item["shape"]) for item in taxi.metadata["inputs"]}
    assert kinds["company"] == ("BYTES", [-1, 1])
    assert kinds["fare"] == ("FP64", [-1, 1])
    assert not {"tips", "big_tip"} & set(kinds)
    answers = ask(taxi, binary=binary)
    np.testing.assert_allclose(answers["probabilities"], taxi.probabilities, atol=1e-6)
    labels = [item.decode() if isinstance(item, bytes) else item for item in answers["label"].tolist()]
    assert labels == taxi.labels


def test_taxi_takes_null_for_what_is_missing(taxi: Deployed) -> None:
    inputs = [
        {key: item[key] for key in ("name", "datatype")}
        | {"shape": [N_ROWS, 1], "data": taxi.columns[item["name"]]}
        for item in taxi.metadata["inputs"]
    ]
    answers = {item["name"]: item for item in taxi.asked(json.dumps({"inputs": inputs}))["outputs"]}
    found = np.array(answers["probabilities"]["data"]).reshape(N_ROWS, 2)
    np.testing.assert_allclose(found, taxi.probabilities, atol=1e-6)


def test_a_worse_model_goes_back_by_itself_under_load_and_its_commit_is_held(
    served: Served, digits: Deployed, tmp_path: Path
) -> None:
    good = digits.commit
    served.commit(QUICK, SPOILT, "a learning rate that learns nothing")
    with under_load(digits.infer_url, digits.bodies, tmp_path) as load:
        assert served.run(QUICK)["metrics"]["accuracy"] < 0.6
        found = served.wait(PLACE, lambda sight: sight["state"]["phase"] in ENDED)
    load.assert_whole()
    assert set(load.answers) == {"1", "2"}  # some were answered by the worse one, before it went back
    assert found["state"]["phase"] == "failed"
    assert "disagreement" in found["state"]["reason"]
    assert digits.commit == good
    assert {digits.asked(body)["model_version"] for body in digits.bodies} == {"1"}

    steps = {step["name"]: step for step in served.run(QUICK)["steps"]}
    assert steps["deploy.production"]["state"] == "skipped"
    assert "disagreement" in steps["deploy.production"]["reason"]
    assert "is held by the rollout: disagreement" in served.fiat("status", PLACE, code=None).out
    assert digits.commit == good


def test_a_good_model_gets_all_traffic_under_load_and_a_revert_restores_the_earlier_one_without_training(
    served: Served, digits: Deployed, tmp_path: Path
) -> None:
    served.commit(QUICK, QUICK_TEXT, "learns as before")
    commit = served.commit(QUICK, BETTER, "fewer epochs")
    with under_load(digits.infer_url, digits.bodies, tmp_path) as load:
        assert served.run(QUICK)["verdict"] == "pass"
        served.wait(PLACE, lambda sight: sight["state"]["phase"] in ENDED)
        assert digits.commit == commit
        newer = {digits.asked(body)["model_version"] for body in digits.bodies}

        served.git("revert", "--no-edit", "HEAD")
        states = {step["name"]: step["state"] for step in served.run(QUICK)["steps"]}
        assert (states["train"], states["deploy.production"]) == ("reused", "ran")
        assert digits.asked(digits.bodies[0])["model_version"] == "1"
    load.assert_whole()
    assert newer == {"3"}
    assert set(load.answers) == {"1", "3"}


def test_status_why_and_monitor_tell_what_is_served(served: Served, digits: Deployed) -> None:
    (sight,) = served.fiat("status", PLACE, "--json").document
    assert sight["state"]["phase"] == "serving"
    assert sight["deployment"]["commit"] == served.git("rev-parse", "HEAD")
    assert sight["deployment"]["digest"] == digits.metadata["parameters"]["digest"]
    assert digits.url in served.fiat("status", PLACE).out
    told = served.fiat("why", digits.url).out
    assert sight["deployment"]["commit"][:12] in told
    assert "epochs=30, lr=0.003" in told
    assert "accuracy >= 0.95" in told
    # The same rows again and again are no sample of what was learned, so that they may alarm with right.
    watched = served.fiat("monitor", PLACE, "--json", code=None).document
    (traffic,) = watched["traffic"]
    assert (traffic["version"], traffic["failed"], traffic["refused"]) == ("1", 0, 0)
    assert traffic["requests"] > 200
    window = watched["windows"][0]
    assert window["n_requests"] == 500
    assert {"p00", "p77", "prediction"} <= {column["name"] for column in window["columns"]}


def test_stop_ends_every_process(served: Served, digits: Deployed) -> None:
    assert served.processes()
    for place in ("production:digits", "production:taxi") if TAXI.is_file() else ("production:digits",):
        served.fiat("stop", place)
    assert served.processes() == []
