"""A spec with a probe gate: the packaged model is started and asked before it is released."""

import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from test_release import commit, fiat, git, states

pytestmark = pytest.mark.slow

SPEC = """\
fiat: 1
name: small
data:
  people:
    source: {path: people.csv}
    label: rich
    drop: [id]
    split: {train: 3, test: 1, key: id}
transform:
  - {columns: [age], apply: [{impute: median}, standardize]}
  - {columns: [city], apply: [{one_hot: {unknown: error}}]}
  - {columns: [city, kind], apply: [cross, {one_hot: {unknown: error}}]}
train: {call: "model:train"}
evaluate: {metrics: [accuracy]}
gates:
  - {probe: {p99_ms: 5000, load_s: 60, memory: 4GiB, size: SIZE, duration: 300ms, rows: 2}}
  - {metric: accuracy, min: 0.6}
deploy: {shelf: {to: directory, path: models}}
"""
MODEL = """\
from sklearn.linear_model import LogisticRegression


def train(data):
    return LogisticRegression().fit(data.train.features, data.train.codes)
"""


def people() -> str:
    """A label that depends on age; some ages missing; of nine pairs of city and kind only three are there."""
    chance = random.Random(0)
    lines = ["id,age,city,kind,rich"]
    for number in range(400):
        age, place = chance.randrange(20, 60), chance.randrange(3)
        rich = "yes" if age + chance.gauss(0, 3) > 40 else "no"
        told = "" if number % 9 == 0 else str(age)
        lines.append(f"{number},{told},{('Ulm', 'Bonn', 'Köln')[place]},{'xyz'[place]},{rich}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    git(root, "init", "-q", "-b", "main")
    (root / ".gitignore").write_text("models/\n.fiat/\n")
    (root / "people.csv").write_text(people())
    (root / "model.py").write_text(MODEL)
    (root / "spec.yaml").write_text(SPEC.replace("SIZE", "1MiB"))
    commit(root, "start")
    return root


@pytest.fixture(scope="module")
def passed(project: Path) -> Any:
    return fiat(project, "run", "spec.yaml")


def test_the_probe_comes_last_and_its_gate_stands_where_the_spec_has_it(project: Path, passed: Any) -> None:
    assert passed["verdict"] == "pass", passed
    assert list(states(passed))[-3:] == ["package", "gates.0", "deploy.shelf"]
    assert [gate["name"].split()[0] for gate in passed["gates"]] == ["probe", "accuracy"]
    assert "rows answered" in passed["gates"][0]["reason"]
    assert passed["metrics"]["probe_p99_ms"] > 0
    assert (project / "models" / "small" / "model.onnx").exists()


def test_the_package_knows_a_row_that_its_transforms_take_and_what_it_learned_from(
    project: Path, passed: Any
) -> None:
    folder = project / "models" / "small"
    warmup = json.loads((folder / "warmup.json").read_text())
    made_up = {item["name"]: item["data"][0] for item in warmup["inputs"]}
    # Not every pair of a frequent city and a frequent kind is one that training saw.
    assert (made_up["city"], made_up["kind"]) in {("Ulm", "x"), ("Bonn", "y"), ("Köln", "z")}
    profiles = {item["split"]: item for item in json.loads((folder / "profile.json").read_text())["profiles"]}
    assert [column["name"] for column in profiles["train"]["columns"]] == ["age", "city", "kind"]
    assert [column["name"] for column in profiles["test"]["columns"]] == ["label", "prediction", "score"]
    assert json.loads((folder / "manifest.json").read_text())["scores"] == "probabilities"


def test_run_again_the_probe_is_reused_and_its_gate_told_again(project: Path, passed: Any) -> None:
    again = fiat(project, "run", "spec.yaml")
    assert states(again)["gates.0"] == "reused"
    assert again["gates"] == passed["gates"]


def test_a_probe_that_refuses_fails_the_run_and_nothing_is_deployed(project: Path, passed: Any) -> None:
    before = (project / "models" / "small" / "manifest.json").read_bytes()
    (project / "spec.yaml").write_text(SPEC.replace("SIZE", "100B"))
    commit(project, "smaller")
    refused = fiat(project, "run", "spec.yaml", code=1)
    assert refused["verdict"] == "fail"
    assert "size of" in refused["gates"][0]["reason"]
    assert "is above 100 bytes" in refused["gates"][0]["reason"]
    assert [name for name, state in states(refused).items() if state == "ran"] == ["gates.0"]
    assert states(refused)["deploy.shelf"] == "skipped"
    assert (project / "models" / "small" / "manifest.json").read_bytes() == before
