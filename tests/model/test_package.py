import hashlib
import json
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiat.errors import EnvironmentFault, SpecError
from fiat.model.card import CardSource
from fiat.model.package import Origin, damaged_files, write_package
from fiat.model.warmup import read_warmup
from fiat.profile.document import read_profile
from fiat.profile.model import DataProfile, Profile

sys.path.insert(0, str(Path(__file__).parent))
import onnx_graphs as graphs
from package_parts import GATES, METRICS, ORIGIN, parts

FILES = {"model.onnx", "signature.json", "metrics.json", "requirements.txt", "MODEL.md", "manifest.json"}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_package_holds_the_graph_and_all_that_is_known_of_it(tmp_path: Path) -> None:
    given = parts(tmp_path)
    manifest = write_package(tmp_path / "package", given, ORIGIN)
    found = contents(tmp_path / "package")
    assert set(found) == FILES
    assert found["model.onnx"] == (given.onnx / "model.onnx").read_bytes()
    assert json.loads(found["signature.json"])["labels"] == ["a", "b", "c"]
    assert json.loads(found["metrics.json"]) == METRICS
    assert found["requirements.txt"] == b"numpy==2.0.0\nonnxruntime==1.20.0\n"
    assert json.loads(found["manifest.json"]) == manifest
    assert manifest["commit"] == ORIGIN.commit
    assert manifest["data"] == ORIGIN.data
    assert manifest["params"] == ORIGIN.params
    assert manifest["gates"] == GATES
    assert manifest["parity"]["max_abs"] == 2.5e-7
    assert manifest["labels"] == ["a", "b", "c"]


def test_the_manifest_has_size_and_sha256_of_every_other_file(tmp_path: Path) -> None:
    manifest = write_package(tmp_path / "package", parts(tmp_path), ORIGIN)
    found = contents(tmp_path / "package")
    assert set(manifest["files"]) == FILES - {"manifest.json"}
    for name, facts in manifest["files"].items():
        digest = hashlib.sha256(found[name]).hexdigest()
        assert facts == {"sha256": digest, "size_bytes": len(found[name])}


@settings(max_examples=25, deadline=None)
@given(
    params=st.dictionaries(st.text(max_size=8), JSON, max_size=5),
    data=st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
    dirty=st.booleans(),
)
def test_packed_twice_it_has_the_same_bytes(
    params: dict[str, object], data: dict[str, str], dirty: bool
) -> None:
    origin = replace(ORIGIN, params=params, data=data, dirty=dirty)
    turned = replace(origin, params=dict(reversed(params.items())), data=dict(reversed(data.items())))
    with tempfile.TemporaryDirectory() as folder:
        given = parts(Path(folder))
        write_package(Path(folder) / "one", given, origin)
        write_package(Path(folder) / "deeper" / "two", given, turned)
        assert contents(Path(folder) / "one") == contents(Path(folder) / "deeper" / "two")


def test_it_takes_the_reference_profile_and_the_first_row_that_the_graph_takes(tmp_path: Path) -> None:
    profile = DataProfile((Profile(3, (), "train"),), "label", "ab")
    rows = [{"x": np.ones((1, width), np.float32)} for width in (2, 3)]
    given = replace(parts(tmp_path), profile=profile, rows=rows)
    manifest = write_package(tmp_path / "package", given, ORIGIN)
    assert read_profile(tmp_path / "package") == profile
    row = read_warmup(tmp_path / "package")
    assert row is not None
    assert row["x"].tolist() == [[1.0, 1.0, 1.0]]
    assert set(manifest["files"]) == FILES - {"manifest.json"} | {"profile.json", "warmup.json"}
    assert damaged_files(tmp_path / "package") == []


def test_the_manifest_says_what_the_scores_are(tmp_path: Path) -> None:
    given = parts(tmp_path)
    assert write_package(tmp_path / "one", given, ORIGIN)["scores"] == "logits"
    about = json.loads((given.evaluation / "evaluation.json").read_text())
    (given.evaluation / "evaluation.json").write_text(
        json.dumps(about | {"task": "regression", "scores": "none"})
    )
    assert write_package(tmp_path / "two", given, ORIGIN)["scores"] == "values"


def test_nothing_of_the_place_it_was_made_at_is_in_it(tmp_path: Path) -> None:
    write_package(tmp_path / "package", parts(tmp_path), ORIGIN)
    assert not [
        name for name, content in contents(tmp_path / "package").items() if str(tmp_path).encode() in content
    ]


def test_without_gates_and_outside_git_it_is_a_package_too(tmp_path: Path) -> None:
    manifest = write_package(tmp_path / "package", replace(parts(tmp_path), gates=None), Origin("tiny"))
    assert (manifest["gates"], manifest["commit"], manifest["alias"]) == ([], "", None)


def test_the_users_card_is_filled_in(tmp_path: Path) -> None:
    card = CardSource("CARD.md", "{{ name }}: {{ metrics.accuracy }}")
    write_package(tmp_path / "package", parts(tmp_path, card=card), ORIGIN)
    assert (tmp_path / "package" / "MODEL.md").read_text() == "tiny: 0.9\n"


def test_a_hostile_graph_is_not_packed(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="GiB at once"):
        write_package(tmp_path / "package", parts(tmp_path, graph=graphs.huge_constant()), ORIGIN)


def test_a_graph_that_the_store_linked_is_packed_as_a_file_of_its_own(tmp_path: Path) -> None:
    given = parts(tmp_path)
    os.link(given.onnx / "model.onnx", tmp_path / "stored.onnx")
    write_package(tmp_path / "package", given, ORIGIN)
    assert (tmp_path / "package" / "model.onnx").stat().st_nlink == 1


@pytest.mark.parametrize(
    "name", ["onnx/signature.json", "evaluation/metrics.json", "gates.json", "onnx/model.onnx"]
)
def test_a_missing_part_is_named(tmp_path: Path, name: str) -> None:
    given = parts(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(EnvironmentFault, match=Path(name).name):
        write_package(tmp_path / "package", given, ORIGIN)


def test_a_damaged_file_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "package"
    write_package(folder, parts(tmp_path), ORIGIN)
    assert damaged_files(folder) == []
    content = bytearray((folder / "model.onnx").read_bytes())
    content[20] ^= 1
    (folder / "model.onnx").write_bytes(content)
    assert damaged_files(folder) == ["model.onnx"]
    assert damaged_files(folder, deep=False) == []
    (folder / "metrics.json").unlink()
    assert damaged_files(folder, deep=False) == ["metrics.json"]
    (folder / "manifest.json").write_text("{")
    assert damaged_files(folder) == ["manifest.json"]
