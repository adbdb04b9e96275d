"""Every example is valid, plans without running code, and does its job end to end."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from checkout import ROOT, ExampleCheckout, lay_faces, make_checkout

EXAMPLES = sorted(path.parent.name for path in (ROOT / "specs").glob("*/spec.yaml"))
FASHION = ROOT.parent / "shared" / "data" / "fashion-mnist"
# Nothing listens there: whoever needs Ray with this address fails.
NO_RAY = {"RAY_ADDRESS": "127.0.0.1:1"}


@pytest.fixture
def checkout(tmp_path: Path) -> ExampleCheckout:
    made = make_checkout(tmp_path / "checkout", *EXAMPLES)
    lay_faces(made)
    return made


def test_the_three_examples_are_there() -> None:
    assert {"digits", "faces", "fashion", "wine"} <= set(EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_valid_and_its_plan_runs_none_of_its_code(
    checkout: ExampleCheckout, example: str
) -> None:
    folder = checkout.folder / "specs" / example
    canary = checkout.folder / "canary"
    for source in folder.glob("*.py"):
        source.write_text(f"open({str(canary)!r}, 'w').close()\n{source.read_text()}")
    valid = checkout.fiat("validate", f"specs/{example}")
    planned = checkout.fiat("plan", f"specs/{example}", "--json")
    assert valid.code == 0, valid.err
    assert planned.code == 0, planned.err
    names = [step["step"] for step in planned.document["steps"]]
    assert names[0].startswith("data.")
    assert {"train", "export", "evaluate", "gates", "package", "deploy.shelf"} <= set(names)
    assert not canary.exists()
    assert not list(folder.rglob("__pycache__"))


def test_fashion_is_planned_with_a_search_whose_best_the_training_takes(checkout: ExampleCheckout) -> None:
    planned = checkout.fiat("plan", "specs/fashion/tune.yaml", "--json")
    assert planned.code == 0, planned.err
    names = [step["step"] for step in planned.document["steps"]]
    assert names.index("data.images") < names.index("tune") < names.index("train") < names.index("export")


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_has_a_readme_of_a_screen(example: str) -> None:
    text = (ROOT / "specs" / example / "README.md").read_text("utf-8")
    assert f"fiat run specs/{example}" in text
    assert 10 <= len(text.splitlines()) <= 30


@pytest.mark.slow
@pytest.mark.parametrize("example", ["digits", "wine"])
def test_an_example_passes_and_running_it_again_reuses_all_of_it_without_ray(
    checkout: ExampleCheckout, example: str
) -> None:
    first = checkout.fiat("run", f"specs/{example}", "--json")
    assert first.code == 0, first.err
    run = first.document
    assert run["verdict"] == "pass", run["gates"]
    assert {step["state"] for step in run["steps"]} <= {"ran", "skipped"}
    assert (checkout.folder / run["model"]["path"] / "model.onnx").is_file()
    assert list((checkout.folder / "models").rglob("model.onnx"))

    again = checkout.fiat("run", f"specs/{example}", "--json", env=NO_RAY)
    assert again.code == 0, again.err
    assert {step["state"] for step in again.document["steps"]} <= {"reused", "skipped"}
    assert again.document["verdict"] == "pass"
    assert again.document["model"] == run["model"]
    assert again.document["metrics"] == run["metrics"]
    assert again.document["run"] != run["run"]


@pytest.mark.slow
def test_the_document_of_a_run_has_the_shape_that_scripts_rely_on(checkout: ExampleCheckout) -> None:
    document = checkout.fiat("run", "specs/digits", "--json", "--compute", "local").document
    assert {"run", "verdict", "steps", "metrics", "gates", "model"} <= set(document)
    for step in document["steps"]:
        assert set(step) == {"name", "state", "seconds", "reason"}
        assert step["state"] in {"ran", "reused", "failed", "skipped"}
    assert all(isinstance(value, float) for value in document["metrics"].values())
    assert {"accuracy", "f1_macro", "log_loss"} <= set(document["metrics"])
    assert len(document["gates"]) == 6
    assert all(gate["state"] in {"pass", "skipped"} and gate["reason"] for gate in document["gates"])
    assert set(document["model"]) == {"digest", "path"}


@pytest.mark.slow
def test_another_parameter_runs_training_and_what_follows_but_reads_no_data_again(
    checkout: ExampleCheckout,
) -> None:
    checkout.fiat("run", "specs/digits", "params.epochs=2", "--json", "--compute", "local")
    done = checkout.fiat("run", "specs/digits", "params.epochs=3", "--json", "--compute", "local")
    states = {step["name"]: step["state"] for step in done.document["steps"]}
    assert states["data.scans"] == "reused"
    assert states["train"] == states["export"] == states["evaluate"] == "ran"


@pytest.mark.slow
def test_a_model_that_learned_nothing_is_refused_with_exit_code_1_and_not_deployed(
    checkout: ExampleCheckout,
) -> None:
    done = checkout.fiat(
        "run", "specs/digits", "params.lr=1e-9", "params.epochs=1", "--json", "--compute", "local"
    )
    assert done.code == 1
    assert done.document["verdict"] == "fail"
    refused = [gate for gate in done.document["gates"] if gate["state"] == "fail"]
    assert any("accuracy" in gate["name"] for gate in refused)
    assert not list(checkout.folder.rglob("models/**/model.onnx"))


@pytest.mark.slow
def test_wine_takes_another_model_from_its_group_of_files(checkout: ExampleCheckout) -> None:
    done = checkout.fiat("run", "specs/wine", "train=linear", "--json", "--compute", "local")
    assert done.document["verdict"] in {"pass", "warn"}, done.document["gates"]
    assert done.document["metrics"]["leaked_rows"] == 0
    assert 0.6 < done.document["metrics"]["rmse"] < 0.78


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not FASHION.is_dir(), reason="needs ../shared/data/fashion-mnist beside the repository")
def test_fashion_reaches_its_gate_of_0_88_within_three_epochs(checkout: ExampleCheckout) -> None:
    done = checkout.fiat(
        "run",
        "specs/fashion",
        f"data.images.source.path={FASHION}",
        "--json",
        "--compute",
        "local",
        timeout_s=880,
    )
    assert done.code == 0, done.err
    assert done.document["verdict"] == "pass", done.document["gates"]
    assert done.document["metrics"]["accuracy"] >= 0.88
