import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from fiat.builtin.step_package import PackageStep
from fiat.builtin.versions import STEP_VERSIONS
from fiat.errors import SpecError
from fiat.model.warmup import read_warmup
from fiat.ports.step import StepContext, StepOutcome
from fiat.profile.document import read_profile, write_profile
from fiat.profile.measure import profile_dataset

sys.path.insert(0, str(Path(__file__).parent.parent / "model"))
from package_parts import ORIGIN, parts

FACTS = {
    "commit": ORIGIN.commit,
    "dirty": True,
    "spec_digest": ORIGIN.spec_digest,
    "plan_digest": ORIGIN.plan_digest,
    "spec": "tiny",
    "data": {"data.d": "ab.dir"},
}


def pack(folder: Path, name: str = "package", **params: Any) -> tuple[StepOutcome, Path]:
    if not (folder / "parts").exists():
        parts(folder / "parts")
    inputs = {role: folder / "parts" / role for role in ("onnx", "evaluation")}
    inputs |= params.pop("inputs", {})
    if params.pop("gated", True):
        inputs["gates"] = folder / "parts" / "gates.json"
    given = {"name": "tiny", "alias": None, "spec": "tiny", "params": {"seed": 7}, "card": None, **params}
    target = folder / name
    context = StepContext("package", given, inputs, {"package": target}, folder, folder, FACTS)
    return PackageStep().run(context), target


def manifest(folder: Path) -> Any:
    return json.loads((folder / "manifest.json").read_text())


def test_the_package_says_where_it_comes_from(tmp_path: Path) -> None:
    outcome, folder = pack(tmp_path, alias="champion")
    found = manifest(folder)
    for name, value in FACTS.items():
        assert found[name] == value
    assert (found["name"], found["alias"], found["params"]) == ("tiny", "champion", {"seed": 7})
    assert outcome.facts["name"] == "tiny"
    size = sum(path.stat().st_size for path in folder.iterdir() if path.name != "manifest.json")
    assert outcome.facts["size_bytes"] == size


def test_the_requirements_are_the_versions_that_it_was_measured_with(tmp_path: Path) -> None:
    _, folder = pack(tmp_path)
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert lines == [f"numpy=={version('numpy')}", f"onnxruntime=={version('onnxruntime')}"]


def test_made_twice_it_has_the_same_bytes(tmp_path: Path) -> None:
    made = [pack(tmp_path, name)[1] for name in ("one", "two")]
    one, two = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in made)
    assert one == two


def test_without_gates_it_is_made_too(tmp_path: Path) -> None:
    _, folder = pack(tmp_path, gated=False)
    assert manifest(folder)["gates"] == []


def test_the_card_is_a_template_of_the_checkout(tmp_path: Path) -> None:
    (tmp_path / "CARD.md").write_text("# {{ name }} reaches {{ metrics.accuracy }}\n")
    _, folder = pack(tmp_path, card="CARD.md")
    assert (folder / "MODEL.md").read_text() == "# tiny reaches 0.9\n"


def test_a_card_that_is_missing_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"model\.card: the card CARD\.md can't be read: No such file"):
        pack(tmp_path, card="CARD.md")
    (tmp_path / "CARD.md").write_bytes(b"\xff\xfe")
    with pytest.raises(SpecError, match="it is no UTF-8 text"):
        pack(tmp_path, card="CARD.md")


def write_rows(folder: Path) -> Path:
    """A dataset of the columns that the model takes and one that it does not."""
    folder.mkdir()
    table = pa.table({"p": [1.0, 2.0, 9.0], "q": [4, 4, 5], "r": [0.0] * 3, "kind": list("abc")})
    for name in ("train", "eval", "test"):
        part = table if name == "train" else table.slice(0, 0)
        with (
            pa.OSFile(str(folder / f"{name}.arrow"), "wb") as sink,
            pa.ipc.new_file(sink, table.schema) as writer,
        ):
            writer.write_table(part)
    about = {"label": "kind", "classes": ["a", "b", "c"], "features": list("pqr"), "source_digest": "abc"}
    (folder / "dataset.json").write_text(json.dumps(about))
    return folder


def test_the_rows_that_were_trained_on_are_described_once(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows")
    _, own = pack(tmp_path, "own", inputs={"dataset": rows})
    checked = tmp_path / "checked"
    checked.mkdir()
    write_profile(checked, profile_dataset(rows, slices=(("kind",),)))
    _, taken = pack(tmp_path, "taken", inputs={"profile": checked})
    for name in ("profile.json", "warmup.json"):
        assert (own / name).read_bytes() == (taken / name).read_bytes().replace(
            b'"source_digest":""', b'"source_digest":"abc"'
        )
    train = read_profile(own).split("train")
    assert train is not None
    assert [column.name for column in train.columns] == ["p", "q", "r"]
    row = read_warmup(own)
    assert row is not None
    assert row["x"].tolist() == [[1.0, 4.0, 0.0]]


def test_the_version_that_plans_know_is_the_steps_own() -> None:
    assert STEP_VERSIONS["package"] == (PackageStep.version, PackageStep.packages)
