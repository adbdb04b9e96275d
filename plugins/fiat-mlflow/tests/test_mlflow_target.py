import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fiat.errors import EnvironmentFault, SpecError, Stalled, Waiting
from fiat.ports.deploy import DeployRequest, DeployTarget
from fiat.profile.document import write_profile
from fiat.profile.measure import profile_batches
from fiat.profile.model import DataProfile
from fiat.serving.answers import Answerer
from fiat.serving.tensors import added_outputs, read_model_info
from fiat.testing.deploy_suite import DeploySuite
from fiat.testing.sample_columns import make_column_package
from fiat.testing.sample_packages import make_package
from fiat_mlflow.model_folder import _plan, column_types
from fiat_mlflow.scorer import Scorer, _input, _load_pyfunc
from fiat_mlflow.target import MlflowTarget

Ask = Callable[..., DeployRequest]


class TestConformance(DeploySuite):
    @pytest.fixture
    def target(self) -> DeployTarget:
        return MlflowTarget(lock_wait_s=0.05)

    @pytest.fixture
    def settings(self) -> Mapping[str, object]:
        return {"path": "models"}

    @pytest.fixture
    def stride(self) -> int:
        return 25


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Makes requests: a limit of the sample model, and settings."""
    packages = {limit: make_column_package(tmp_path / "packages", limit) for limit in (30, 40)}
    root = tmp_path / "root"
    root.mkdir()

    def make(limit: int, *, generation: int = 0, **settings: object) -> DeployRequest:
        package = packages[limit]
        return DeployRequest(
            "registry",
            {"path": "models", "model": "guests", **settings},
            package.folder,
            package.digest,
            root,
            generation,
            commit="feed" * 10,
            allow_private_hosts=True,
        )

    return make


def test_the_same_package_gives_the_same_bytes(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    folders = []
    for root in (ask(30).root, tmp_path / "elsewhere"):
        MlflowTarget().apply(replace(ask(30), root=root))
        folders.append(root / "models" / "guests")
    one, other = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in folders
    )
    assert one == other
    assert Path("MLmodel") in one


def test_a_changed_file_is_found_and_mended(ask: Ask) -> None:
    target = MlflowTarget()
    target.apply(ask(30))
    plan = ask(30).root / "models" / "guests" / "plan.json"
    plan.write_text(plan.read_text().replace("yes", "YES"))
    state = target.state(ask(30))
    assert state.phase == "broken"
    assert state.faults == ("plan.json is gone or was changed",)
    plan.unlink()
    assert target.observe(ask(30)) is None
    target.apply(ask(30))
    assert target.state(ask(30)).phase == "serving"


def test_the_scorer_answers_what_the_server_answers(ask: Ask) -> None:
    MlflowTarget().apply(ask(30))
    scorer = _load_pyfunc(str(ask(30).root / "models" / "guests" / "package"))
    table = pd.DataFrame({"city": ["Ulm", None, "Bonn"], "age": [31.0, np.nan, 12.0]}, index=[7, 8, 9])
    found = scorer.predict(table)
    assert list(found.columns) == ["scores", "label", "probabilities"]
    assert list(found.index) == [7, 8, 9]
    scores = np.array([[-1.5, 1.5], [30, -30], [18, -18]], np.float32)
    expected = Answerer(read_model_info(ask(30).package)).add({"scores": scores})
    assert found["label"].tolist() == expected["label"].tolist() == ["yes", "no", "no"]
    np.testing.assert_allclose(np.stack(found["probabilities"]), expected["probabilities"], rtol=1e-6)
    assert len(scorer.predict(pd.DataFrame({"city": ["Ulm"] * 3000, "age": np.arange(3000) % 90}))) == 3000
    assert scorer.predict(table.head(0)).empty


@pytest.mark.parametrize("kind", ["unknown", "logits", "probabilities"])
@pytest.mark.parametrize("width", [1, 3])
def test_labels_and_probabilities_follow_the_servers_rules(tmp_path: Path, kind: str, width: int) -> None:
    package = make_package(tmp_path, 1)
    info = read_model_info(package.folder)
    labels = ("a", "b", "c")[: max(2, width)]
    output = replace(info.outputs[0], shape=(-1, width))
    info = replace(info, outputs=(output,), labels=labels, scores=kind)  # type: ignore[arg-type]
    with_added = replace(info, added=added_outputs(info.outputs, labels, info.scores))
    values = np.random.default_rng(0).normal(size=(50, width)).astype(np.float32)
    values[3] = np.nan
    if width == 3:
        values[:20] = np.exp(values[:20]) / np.exp(values[:20]).sum(axis=1, keepdims=True)
    expected = Answerer(with_added).add({"y": values})
    scorer = object.__new__(Scorer)
    scorer._plan = _plan(with_added)
    found = scorer._meaning({"y": values})
    assert found.keys() == expected.keys() - {"y"}
    for name, array in found.items():
        np.testing.assert_array_equal(array, expected[name])


def test_columns_have_the_types_that_mlflow_would_infer_from_the_training_rows(
    ask: Ask, tmp_path: Path
) -> None:
    info = read_model_info(ask(30).package)
    expected = {}
    for ages, age in (([1, 2], "long"), ([1, None], "double"), ([True, False], "boolean"), ([0.5], "double")):
        table = pa.table({"age": ages, "city": ["Ulm"] * len(ages)})
        write_profile(tmp_path, DataProfile((profile_batches(table.to_batches(), split="train"),)))
        expected[age] = column_types(tmp_path, info)
        assert expected[age] == {"age": age, "city": "string"}
    times = pa.array([datetime(2026, 1, 2, tzinfo=UTC)])
    table = pa.table({"age": [1.5], "city": times})
    write_profile(tmp_path, DataProfile((profile_batches(table.to_batches(), split="train"),)))
    assert column_types(tmp_path, info) == {"age": "double", "city": "datetime"}
    assert column_types(ask(30).package, info) == {"age": "double", "city": "string"}


def test_times_become_the_texts_that_the_graph_takes(ask: Ask) -> None:
    item = {"name": "city", "column": "city", "dtype": "string", "shape": [-1, 1]}
    times = pd.Series(pd.to_datetime(["2026-01-02T03:04:05", None]))
    assert _input(times, item).tolist() == [["2026-01-02T03:04:05"], [""]]
    zoned = times.dt.tz_localize("Europe/Berlin")
    assert _input(zoned, item).tolist() == [["2026-01-02T02:04:05Z"], [""]]


# With MLflow itself, in an environment of its own: it pins other versions of Arrow than Fiat.


def mlflow_python() -> str:
    """A Python that has MLflow, pandas and onnxruntime: FIAT_MLFLOW_PYTHON, or that of tests/setup_peers.sh."""
    found = os.environ.get("FIAT_MLFLOW_PYTHON") or str(
        Path(sys.prefix) / "peers" / "mlflow" / "bin" / "python"
    )
    if Path(found).is_file():
        return found
    reason = f"MLflow is not there: run tests/setup_peers.sh, or set FIAT_MLFLOW_PYTHON (looked at {found})"
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; CI must test the target with it")
    pytest.skip(reason)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A tracking server with SQLite and artifacts of its own."""
    folder = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    command = [mlflow_python(), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with (folder / "server.log").open("wb") as log:
        env = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder, start_new_session=True, env=env
        )
    uri = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while not _is_up(uri):
            assert process.poll() is None, (folder / "server.log").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield uri
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _is_up(uri: str) -> bool:
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def in_mlflow(code: str, *arguments: str, tracking: str = "") -> Any:
    """Run a program with MLflow; it prints JSON on its last line."""
    env = {**os.environ, "MLFLOW_TRACKING_URI": tracking, "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [mlflow_python(), "-c", code, *arguments], capture_output=True, text=True, env=env, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


PREDICT = """
import json, sys
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
table = pd.DataFrame({"age": [31.0, None, 12.0], "city": ["Ulm", None, "Bonn"]})
found = model.predict(table)
print(json.dumps({
    "labels": found["label"].tolist(), "yes": [row[1] for row in found["probabilities"]],
    "inputs": model.metadata.get_input_schema().to_dict(), "outputs": model.metadata.get_output_schema().to_dict(),
    "metadata": model.metadata.metadata,
}))
"""


@pytest.mark.slow
def test_pyfunc_loads_the_folder_and_predicts_with_raw_columns(ask: Ask) -> None:
    MlflowTarget().apply(ask(30))
    found = in_mlflow(PREDICT, str(ask(30).root / "models" / "guests"))
    assert found["labels"] == ["yes", "no", "no"]
    assert found["yes"][0] == pytest.approx(1 / (1 + np.exp(-3)), rel=1e-5)
    assert [(item["name"], item["type"]) for item in found["inputs"]] == [
        ("age", "double"),
        ("city", "string"),
    ]
    assert [item["name"] for item in found["outputs"]] == ["scores", "label", "probabilities"]
    assert found["metadata"]["fiat.digest"] == ask(30).digest
    assert found["metadata"]["fiat.commit"].startswith("c0ffee")


@pytest.mark.slow
def test_a_model_of_a_matrix_takes_its_columns_by_name(tmp_path: Path) -> None:
    package = make_package(tmp_path / "packages", 3)
    (tmp_path / "root").mkdir()
    request = DeployRequest("r", {"model": "tiny"}, package.folder, package.digest, tmp_path / "root")
    MlflowTarget().apply(request)
    code = (
        "import json, sys, mlflow, pandas as pd; model = mlflow.pyfunc.load_model(sys.argv[1]);"
        "found = model.predict(pd.DataFrame({'r': [3.0], 'q': [2.0], 'p': [1.0]}));"
        "print(json.dumps([found['y'].tolist(), found['label'].tolist()]))"
    )
    assert in_mlflow(code, str(tmp_path / "root" / "mlflow" / "tiny")) == [[[3.0, 6.0, 9.0]], ["c"]]


def ask_server(uri: str, verb: str, said: Mapping[str, object] | None = None) -> Any:
    """What the tracking server itself says."""
    body = None if said is None else json.dumps(said).encode()
    asked = urllib.request.Request(
        f"{uri}/api/2.0/mlflow/{verb}", body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.loads(answer.read())


def look(uri: str, name: str) -> dict[str, Any]:
    """Versions of a registered model, and the runs of its experiment."""
    asked = urllib.parse.quote(f"name='{name}'")
    versions = ask_server(uri, f"model-versions/search?filter={asked}")["model_versions"]
    experiment = ask_server(uri, f"experiments/get-by-name?experiment_name={name}")["experiment"]
    runs = ask_server(uri, "runs/search", {"experiment_ids": [experiment["experiment_id"]]})["runs"]
    run = next(run for run in runs if run["info"]["run_id"] == versions[0]["run_id"])
    history = ask_server(uri, f"metrics/get-history?run_id={run['info']['run_id']}&metric_key=accuracy")
    champion = ask_server(uri, f"registered-models/alias?name={name}&alias=champion")["model_version"]
    return {
        "versions": sorted(str(item["version"]) for item in versions),
        "tags": {item["key"]: item["value"] for item in versions[0]["tags"]},
        "champion": str(champion["version"]),
        "runs": len(runs),
        "status": run["info"]["status"],
        "params": {item["key"]: item["value"] for item in run["data"]["params"]},
        "metrics": [(item["key"], item["value"]) for item in history["metrics"]],
    }


@pytest.mark.slow
def test_a_release_is_a_registered_version_with_tags_alias_run_and_a_model_that_loads(
    ask: Ask, tracking: str
) -> None:
    target = MlflowTarget()
    request = ask(30, uri=tracking, register_as="guests-one")
    assert target.observe(request) is None
    target.apply(request)
    target.apply(request)
    assert target.observe(request) == request.digest
    found = look(tracking, "guests-one")
    assert found == {
        "versions": ["1"],
        "tags": {"fiat.digest": request.digest, "fiat.commit": "feed" * 10},
        "champion": "1",
        "runs": 1,
        "status": "FINISHED",
        "params": {"limit": "30"},
        "metrics": [("accuracy", 0.9)],
    }
    assert in_mlflow(PREDICT, "models:/guests-one@champion", tracking=tracking)["labels"] == [
        "yes",
        "no",
        "no",
    ]


@pytest.mark.slow
def test_going_back_moves_the_alias_and_one_that_somebody_moved_is_found_and_mended(
    ask: Ask, tracking: str
) -> None:
    target = MlflowTarget()
    for generation, limit in enumerate((30, 40, 30), start=1):
        target.apply(ask(limit, generation=generation, uri=tracking, register_as="guests-two"))
    found = look(tracking, "guests-two")
    assert (found["versions"], found["champion"]) == (["1", "2"], "1")
    request = ask(30, uri=tracking, register_as="guests-two")
    assert target.state(request).sentence.endswith("registered as guests-two version 1")
    with pytest.raises(Stalled):
        target.apply(ask(40, generation=2, uri=tracking, register_as="guests-two"))
    moved = {"name": "guests-two", "alias": "champion", "version": "2"}
    ask_server(tracking, "registered-models/alias", moved)
    assert target.state(request).faults == ("alias champion of guests-two names version 2",)
    target.apply(request)
    assert target.state(request).phase == "serving"


@pytest.mark.slow
def test_killed_at_any_step_there_is_one_version_and_one_run(ask: Ask, tracking: str) -> None:
    code = (
        "import sys, json, os, signal; from pathlib import Path;"
        "from fiat.ports.deploy import DeployRequest; from fiat_mlflow.target import MlflowTarget;"
        "from fiat.builtin.http_client import HttpClient\n"
        "given = json.loads(sys.argv[1]); left = given['calls']\n"
        "send = HttpClient.send\n"
        "def counted(self, *args):\n"
        "    global left\n"
        "    answer = send(self, *args)\n"
        "    left -= 1\n"
        "    if left == 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return answer\n"
        "HttpClient.send = counted\n"
        "MlflowTarget().apply(DeployRequest('registry', given['settings'], Path(given['package']),"
        "given['digest'], Path(given['root']), commit='feed' * 10, allow_private_hosts=True))"
    )
    request = ask(30, uri=tracking, register_as="guests-four")
    given = {"settings": dict(request.settings), "package": str(request.package), "digest": request.digest}
    endings = []
    for calls in (3, 5, 12, 20, 21):
        argument = json.dumps({**given, "root": str(request.root), "calls": calls})
        endings.append(subprocess.run([sys.executable, "-c", code, argument]).returncode)
    assert endings[0] == -signal.SIGKILL
    MlflowTarget().apply(request)
    found = look(tracking, "guests-four")
    assert (found["versions"], found["champion"], found["runs"]) == (["1"], "1", 1)
    assert (found["status"], found["metrics"]) == ("FINISHED", [("accuracy", 0.9)])


def test_a_server_that_is_away_is_waited_for_and_the_link_stays(ask: Ask) -> None:
    target = MlflowTarget()
    target.apply(ask(30))
    uri = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Waiting, match="can't be reached"):
        target.apply(ask(40, uri=uri))
    assert target.observe(ask(30)) == ask(30).digest
    assert "can't be asked" in target.state(ask(30, uri=uri)).faults[0]


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("sqlite:///mlflow.db", "is not an address"),
        ("http://user:word@example.org", "holds credentials"),
        ("https://example.org", "does not grant the host"),
    ],
)
def test_addresses_that_may_not_be_asked_are_refused(ask: Ask, uri: str, words: str) -> None:
    with pytest.raises(SpecError, match=words) as caught:
        MlflowTarget().apply(replace(ask(30, uri=uri), confined=True))
    assert "word@" not in str(caught.value)


def test_a_token_goes_to_the_server_and_nowhere_else(ask: Ask, tmp_path: Path) -> None:
    seen: list[str] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.headers["Authorization"])
            self.send_response(401)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Refusing)
    Thread(target=server.serve_forever, daemon=True).start()
    request = replace(
        ask(30, uri=f"http://127.0.0.1:{server.server_port}"), env={"MLFLOW_TRACKING_TOKEN": "s3cret"}
    )
    with pytest.raises(EnvironmentFault, match="answers 401") as caught:
        MlflowTarget().apply(request)
    server.shutdown()
    server.server_close()
    assert seen == ["Bearer s3cret"]
    assert "s3cret" not in f"{caught.value} {caught.value.hint}"
    assert not any(b"s3cret" in path.read_bytes() for path in request.root.rglob("*") if path.is_file())


def test_without_the_package_files_nothing_is_left_half_made(ask: Ask) -> None:
    request = ask(30)
    request.package.chmod(0o755)
    shutil.rmtree(request.package)
    with pytest.raises(EnvironmentFault):
        MlflowTarget().apply(request)
    assert not (request.root / "models" / "guests").exists()
