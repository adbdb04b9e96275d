"""Whose face is it: the example whose images we may not ship, with made-up ones and, where they are, with the real ones."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from checkout import ROOT, ExampleCheckout, lay_faces, make_checkout

from fiat.data.dataset import Dataset, open_dataset
from fiat.store.store import open_store
from fiat.wiring.desk import utc_now

FACES = ROOT.parent / "shared" / "data" / "orl-faces"
LOCAL = ("--json", "--compute", "local")


@pytest.fixture
def checkout(tmp_path: Path) -> ExampleCheckout:
    return make_checkout(tmp_path / "checkout", "faces")


def dataset(checkout: ExampleCheckout, to: Path) -> Dataset:
    """What the last run read."""
    with open_store(checkout.folder / ".fiat", now=utc_now) as store:
        steps = {step.name: step for step in store.runs.find("last").steps}
        store.artifacts.materialize(steps["data.faces"].outputs["dataset"].digest, to)
    return open_dataset(to)


def numbers(dataset: Dataset, split: str) -> list[int]:
    """Of the images of one person, from first to last."""
    table = dataset.split(split).table()
    rows = zip(table["path"].to_pylist(), table["label"].to_pylist(), strict=True)
    return sorted(int(Path(path).stem) for path, label in rows if label == "s2")


@pytest.mark.slow
def test_five_images_of_each_train_and_five_judge(checkout: ExampleCheckout, tmp_path: Path) -> None:
    lay_faces(checkout, people=4)
    done = checkout.fiat("run", "specs/faces", "params.batch_size=10", "params.epochs=8", *LOCAL)
    assert done.code == 0, done.err + done.out
    read = dataset(checkout, tmp_path / "dataset")
    assert (numbers(read, "train"), numbers(read, "test")) == ([1, 2, 3, 4, 5], [6, 7, 8, 9, 10])
    assert (len(read.train), len(read.test)) == (20, 20)
    assert read.classes == ("s1", "s2", "s3", "s4")
    assert read.feature_names == ("image",)


def test_without_the_images_it_says_where_it_looked_and_git_would_not_take_them(
    checkout: ExampleCheckout,
) -> None:
    done = checkout.fiat("run", "specs/faces", *LOCAL)
    assert done.code == 2
    assert "specs/faces/data of step data.faces is not there" in done.out + done.err
    assert (ROOT / "specs" / "faces" / ".gitignore").read_text() == "/data/\n"
    readme = (ROOT / "specs" / "faces" / "README.md").read_text("utf-8")
    assert "Olivetti Research Laboratory, Cambridge" in readme


@pytest.mark.slow
@pytest.mark.skipif(not FACES.is_dir(), reason="needs ../shared/data/orl-faces beside the repository")
def test_forty_people_are_told_apart_at_the_gate_of_0_93(checkout: ExampleCheckout) -> None:
    done = checkout.fiat("run", "specs/faces", f"data.faces.source.path={FACES}", *LOCAL)
    assert done.code == 0, done.err + done.out
    assert done.document["verdict"] == "pass", done.document["gates"]
    assert done.document["metrics"]["accuracy"] >= 0.93
