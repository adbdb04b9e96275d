"""From raw data to a served graph: what is refused, what is compared with what, and what the graph takes."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pyarrow.csv as arrow_csv
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from checkout import Done, ExampleCheckout, make_checkout

SHARED = Path(__file__).parents[3] / "shared" / "data"
needs_taxi = pytest.mark.skipif(
    not (SHARED / "chicago-taxi").is_dir(), reason="needs ../shared/data/chicago-taxi beside the repository"
)
needs_adult = pytest.mark.skipif(
    not (SHARED / "adult").is_dir(), reason="needs ../shared/data/adult beside the repository"
)
SPEC = """\
fiat: 1
name: small
data:
  people:
    source: {path: people.csv}
    label: rich
    drop: [id]
    split: {train: 3, test: 1, key: id}
    checks:
      - sql: "select * from train where age > 120"
      - drift: {against: previous, max: 0.2}
transform:
  - {columns: [age], apply: [{impute: median}, standardize]}
  - {columns: [city], apply: [lower, strip, one_hot]}
train: {call: "model:train"}
evaluate: {metrics: [accuracy]}
gates: [{metric: accuracy, min: 0.6}, {parity: {max_abs: 1.0e-5}}]
"""
MODEL = """\
from sklearn.linear_model import LogisticRegression


def train(data):
    return LogisticRegression().fit(data.train.features, data.train.codes)
"""


def people(seed: int, n_rows: int = 400, *, older: int = 0, oldest: int = 0) -> str:
    """A CSV whose label depends on age; some values missing; `oldest` rows of the train split with an impossible age."""
    chance = random.Random(seed)
    lines = ["id,age,city,rich"]
    for number in range(n_rows):
        age = chance.randrange(20, 60) + older
        rich = "yes" if age + chance.gauss(0, 3) > 40 + older else "no"
        shown = "" if chance.random() < 0.05 else str(300 if number < oldest else age)
        lines.append(f"{seed}-{number},{shown},{chance.choice(['Rome', 'Oslo', 'Lima', ''])},{rich}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def checkout(tmp_path: Path) -> ExampleCheckout:
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name, text in (("spec.yaml", SPEC), ("model.py", MODEL), ("people.csv", people(1))):
        (folder / name).write_text(text)
    return make_checkout(folder)


def run(checkout: ExampleCheckout, *overrides: str) -> Done:
    return checkout.fiat("run", "spec.yaml", *overrides, "--json", "--compute", "local")


def states(done: Done) -> dict[str, str]:
    return {step["name"]: step["state"] for step in done.document["steps"]}


def session(checkout: ExampleCheckout, done: Done) -> ort.InferenceSession:
    path = checkout.folder / done.document["model"]["path"] / "model.onnx"
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.slow
def test_the_served_graph_takes_raw_columns_and_nothing_is_done_again(checkout: ExampleCheckout) -> None:
    done = run(checkout)
    assert done.code == 0, done.err + done.out
    assert [gate["state"] for gate in done.document["gates"]] == ["pass", "pass", "pass"]
    graph = session(checkout, done)
    assert [(item.name, item.type, item.shape[1:]) for item in graph.get_inputs()] == [
        ("age", "tensor(double)", [1]),
        ("city", "tensor(string)", [1]),
    ]

    def rich(age: float, city: str) -> list[float]:
        feed = {"age": np.array([[age]], float), "city": np.array([[city]], object)}
        return [float(value) for value in graph.run(["probabilities"], feed)[0][0]]  # type: ignore[index]

    assert rich(25, "Rome")[0] > 0.9 > rich(25, "Rome")[1]
    assert rich(58, "Rome")[1] > 0.9
    assert rich(30, " ROME  ") == rich(30, "Rome")  # lower and strip are in the graph
    assert rich(30, "Paris") != rich(30, "Rome")
    assert all(np.isfinite(rich(float("nan"), "")))
    again = run(checkout)
    assert set(states(again).values()) == {"reused"}
    assert again.document["model"] == done.document["model"]


@pytest.mark.slow
def test_data_that_do_not_hold_stop_everything_that_reads_them_with_exit_code_1(
    checkout: ExampleCheckout,
) -> None:
    (checkout.folder / "people.csv").write_text(people(1, oldest=20))
    done = run(checkout)
    assert done.code == 1
    assert done.document["verdict"] == "fail"
    found = states(done)
    assert (found["data.people"], found["check.people"]) == ("ran", "ran")
    assert {found[name] for name in ("transform", "train", "export", "evaluate", "package")} == {"skipped"}
    (gate,) = done.document["gates"]
    assert gate["state"] == "fail"
    assert gate["key"] == "data.people.checks[0].sql"
    assert "rows" in gate["reason"]
    assert "of train" in gate["reason"]
    again = run(checkout)
    assert (again.code, states(again)["check.people"]) == (1, "reused")

    (checkout.folder / "spec.yaml").write_text(
        SPEC.replace('age > 120"\n', 'age > 120"\n        severity: warn\n')
    )
    warned = run(checkout)
    assert warned.code == 0, warned.out
    assert warned.document["verdict"] == "warn"
    assert states(warned)["data.people"] == "reused"
    assert warned.document["model"] is not None


@pytest.mark.slow
def test_drift_is_measured_against_the_accepted_data_before_and_going_back_is_no_drift(
    checkout: ExampleCheckout,
) -> None:
    first = run(checkout)
    assert first.code == 0, first.out
    (checkout.folder / "people.csv").write_text(people(2, older=30))
    drifted = run(checkout)
    assert drifted.code == 1
    assert "age" in drifted.document["gates"][0]["reason"]
    assert run(checkout).code == 1  # refused data don't become what the next ones are measured by
    (checkout.folder / "people.csv").write_text(people(3))
    alike = run(checkout)
    assert alike.code == 0, alike.out
    (checkout.folder / "people.csv").write_text(people(1))
    back = run(checkout)
    assert back.code == 0
    assert set(states(back).values()) == {"reused"}
    assert back.document["model"] == first.document["model"]


@pytest.mark.slow
def test_transforms_are_in_front_of_a_model_of_any_language_and_of_a_graph_of_the_users_own(
    checkout: ExampleCheckout,
) -> None:
    (checkout.folder / "graphs.py").write_text(
        "import numpy as np\n"
        "from onnx import TensorProto, helper, numpy_helper\n\n\n"
        "def halve(columns, factor):\n"
        "    assert columns['age'].shape[1] == 1\n"
        "    take = helper.make_tensor_value_info('age', TensorProto.DOUBLE, [None, 1])\n"
        "    give = helper.make_tensor_value_info('halved', TensorProto.DOUBLE, [None, 1])\n"
        "    known = helper.make_node('IsNaN', ['age'], ['gone'])\n"
        "    zero = numpy_helper.from_array(np.float64(0), 'zero')\n"
        "    by = numpy_helper.from_array(np.float64(factor), 'by')\n"
        "    filled = helper.make_node('Where', ['gone', 'zero', 'age'], ['filled'])\n"
        "    times = helper.make_node('Mul', ['filled', 'by'], ['halved'])\n"
        "    graph = helper.make_graph([known, filled, times], 'halve', [take], [give], [zero, by])\n"
        "    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 20)], ir_version=9)\n"
    )
    (checkout.folder / "train.py").write_text(
        "import sys, onnx, numpy as np\n"
        "from onnx import TensorProto, helper, numpy_helper\n"
        "from fiat.data.dataset import open_dataset\n"
        "from pathlib import Path\n"
        "data = open_dataset(Path(sys.argv[1]))\n"
        "rows = data.train.features\n"
        "assert rows.shape[1] == 7, rows.shape\n"
        "x = np.c_[rows, np.ones(len(rows))]\n"
        "w = np.linalg.lstsq(x, data.train.codes, rcond=None)[0].astype(np.float32)\n"
        "take = helper.make_tensor_value_info('features', TensorProto.FLOAT, [None, 7])\n"
        "give = helper.make_tensor_value_info('score', TensorProto.FLOAT, [None, 1])\n"
        "node = helper.make_node('Gemm', ['features', 'w', 'b'], ['linear'])\n"
        "bound = helper.make_node('Clip', ['linear', 'low', 'high'], ['score'])\n"
        "store = [numpy_helper.from_array(w[:7].reshape(7, 1), 'w'), numpy_helper.from_array(w[7:], 'b'),\n"
        "         numpy_helper.from_array(np.float32(0), 'low'), numpy_helper.from_array(np.float32(1), 'high')]\n"
        "graph = helper.make_graph([node, bound], 'm', [take], [give], store)\n"
        "onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=9), sys.argv[2])\n"
    )
    spec = SPEC.replace(
        'train: {call: "model:train"}',
        "  - {columns: [age], call: 'graphs:halve', with: {factor: 0.5}}\n"
        'train: {run: "python train.py {data.people} {out.model}", code: [train.py]}',
    )
    (checkout.folder / "spec.yaml").write_text(spec)
    done = run(checkout)
    assert done.code == 0, done.err + done.out
    assert states(done)["transform.2"] == "ran"
    assert [item.name for item in session(checkout, done).get_inputs()] == ["age", "city"]
    assert done.document["metrics"]["accuracy"] > 0.8


@pytest.mark.slow
def test_the_same_refusal_and_the_same_model_come_from_ray(checkout: ExampleCheckout) -> None:
    local = run(checkout).document
    env = {"FIAT_STORE": str(checkout.folder / ".fiat-ray"), "FIAT_COMPUTE": "ray"}
    done = checkout.fiat("run", "spec.yaml", "--json", env=env)
    assert done.code == 0, done.err + done.out
    assert done.document["metrics"] == local["metrics"]
    (checkout.folder / "people.csv").write_text(people(1, oldest=20))
    refused = checkout.fiat("run", "spec.yaml", "--json", env=env)
    assert (refused.code, refused.document["verdict"]) == (1, "fail")


@needs_taxi
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_taxi_passes_its_gates_and_serves_raw_trips_with_values_missing(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "checkout", "taxi")
    source = f"data.trips.source.path={SHARED}/chicago-taxi/data.csv"
    done = checkout.fiat("run", "specs/taxi", source, "--json", "--compute", "local", timeout_s=580)
    assert done.code == 0, done.err + done.out
    assert done.document["verdict"] == "pass", done.document["gates"]
    assert done.document["metrics"]["roc_auc"] > 0.93
    graph = session(checkout, done)
    names = {item.name: item.type for item in graph.get_inputs()}
    assert names["company"] == "tensor(string)"
    assert names["fare"] == "tensor(double)"
    assert not {"tips", "big_tip"} & set(names)
    table = arrow_csv.read_csv(SHARED / "chicago-taxi" / "data.csv").slice(0, 500)
    feed: dict[str, Any] = {}
    for name, kind in names.items():
        values = table.column(name)
        texts = ["" if value is None else str(value) for value in values.to_pylist()]
        feed[name] = (
            np.array(texts, object).reshape(-1, 1)
            if kind == "tensor(string)"
            else np.array([np.nan if text == "" else float(text) for text in texts]).reshape(-1, 1)
        )
    scores = graph.run(["probabilities"], feed)[0]
    tips, fares = (np.array(table.column(name).to_pylist(), float) for name in ("tips", "fare"))
    agree = (np.asarray(scores)[:, 1] > 0.5) == (tips > 0.2 * fares)
    assert agree.mean() > 0.85
    report = checkout.folder / "report.html"
    page = checkout.fiat("data", "check", "specs/taxi", source, "--html", str(report))
    assert page.code == 0, page.err + page.out
    assert "no anomalies" in page.out
    assert "trip_miles" in report.read_text("utf-8")


@needs_adult
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_adult_is_judged_by_sex_and_race(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "checkout", "adult")
    source = f"data.people.source.path={SHARED}/adult/adult.data"
    done = checkout.fiat(
        "run", "specs/adult", source, "params.max_iter=60", "--json", "--compute", "local", timeout_s=580
    )
    assert done.code == 0, done.err + done.out
    names = [gate["name"] for gate in done.document["gates"]]
    assert {"accuracy by sex >= 0.8", "accuracy by race >= 0.8"} <= set(names)
    shown = checkout.fiat("data", "describe", "specs/adult", source, "--json")
    profiles = json.loads(shown.out)["profiles"]
    assert {item["slice"] for item in profiles} >= {"", "sex=Female", "race=Black", "sex=Male,race=White"}
    whole = next(item for item in profiles if item["split"] == "train" and not item["slice"])
    missing = {column["name"]: column["n_missing"] for column in whole["columns"]}
    assert missing["occupation"] > 1000  # `?` is a missing value
    assert missing["age"] == 0


def test_refused_data_are_no_bug_and_need_no_git(tmp_path: Path) -> None:
    """A check alone, without a model: the shortest spec that only looks at data."""
    (tmp_path / "d.csv").write_text("a,b\n1,x\n2,y\n3,y\n")
    (tmp_path / "spec.yaml").write_text(
        "fiat: 1\nname: look\ndata: {d: {source: {path: d.csv}, checks: [{rows: {min: 5}}]}}\n"
    )
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("FIAT_", "RAY_"))}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("fiat")), "run", "spec.yaml", "--compute", "local"],
        cwd=tmp_path,
        env=kept,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "data d" in done.stdout
    assert "3 rows" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
