"""The bill of materials, checked with the schema of CycloneDX itself."""

import json
from dataclasses import replace
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from fiat.model.bom import BomSource, Dataset, make_bom

SOURCE = BomSource(
    name="acme/models:tiny",
    version="3",
    digest="ab" * 16 + ".dir",
    released_at="2026-12-01T03:00:00+00:00",
    files={"model.onnx": "12" * 32, "manifest.json": "34" * 32},
    manifest={
        "task": "classification",
        "split": "test",
        "params": {"seed": 7, "net": {"width": 3}},
        "dirty": True,
    },
    signature={
        "inputs": [{"name": "x", "dtype": "float32", "shape": [None, 3]}],
        "outputs": [{"name": "scores", "dtype": "float32", "shape": [None, 2]}],
    },
    metrics=[
        {"name": "accuracy", "value": 0.9, "slice": "", "low": 0.85, "high": 0.94, "n_rows": 200},
        {"name": "accuracy", "value": 0.7, "slice": "kind=b", "low": None, "high": None, "n_rows": 40},
        {"name": "log_loss", "value": None, "slice": "", "low": None, "high": None, "n_rows": 200},
    ],
    requirements=("numpy==2.0.0", "onnxruntime==1.20.0"),
    data=(Dataset("data.rows", "cd" * 16 + ".dir", {"./rows.csv": "ef" * 16}),),
    code={"tiny.py": "99" * 16},
    tool_version="1.2.3",
    commit="0123456789abcdef0123456789abcdef01234567",
    run="run-1",
)


def _faults(document: dict[str, Any]) -> object:
    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document))


def test_the_document_is_what_the_schema_of_cyclonedx_allows() -> None:
    assert _faults(make_bom(SOURCE)) is None
    # The check is one that can fail.
    broken = make_bom(SOURCE)
    broken["components"][0]["hashes"][0]["alg"] = "MD6"
    assert _faults(broken) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"data": (), "code": {}, "requirements": (), "released_at": "", "commit": "", "run": ""},
        {"metrics": [], "manifest": {}, "signature": {}},
        {"files": {}},
        {"data": (Dataset("data.remote", "an etag of some bucket"),)},
    ],
    ids=["nothing known", "an empty package", "no files", "a digest of another kind"],
)
def test_what_is_not_known_is_left_out(changes: dict[str, Any]) -> None:
    assert _faults(make_bom(replace(SOURCE, **changes))) is None


def test_it_says_what_the_model_is_made_of() -> None:
    document = make_bom(SOURCE)
    model = document["metadata"]["component"]
    assert (model["type"], model["name"], model["version"]) == ("machine-learning-model", SOURCE.name, "3")
    assert model["hashes"] == [{"alg": "SHA-256", "content": "12" * 32}]
    components = {one["bom-ref"]: one for one in document["components"]}
    assert components["pypi/onnxruntime==1.20.0"]["purl"] == "pkg:pypi/onnxruntime@1.20.0"
    assert components["data/data.rows"]["hashes"] == [{"alg": "MD5", "content": "cd" * 16}]
    assert components["data/data.rows"]["properties"] == [
        {"name": "fiat:source:./rows.csv", "value": "ef" * 16}
    ]
    assert components["code/tiny.py"]["hashes"] == [{"alg": "MD5", "content": "99" * 16}]
    assert set(document["dependencies"][0]["dependsOn"]) == set(components)


def test_the_card_has_task_ports_data_and_metrics_with_their_intervals() -> None:
    card = make_bom(SOURCE)["metadata"]["component"]["modelCard"]
    parameters = card["modelParameters"]
    assert parameters["task"] == "classification"
    assert parameters["datasets"] == [{"ref": "data/data.rows"}]
    assert parameters["inputs"] == [{"format": "x: float32 (n, 3)"}]
    assert card["quantitativeAnalysis"]["performanceMetrics"] == [
        {
            "type": "accuracy",
            "value": "0.9",
            "confidenceInterval": {"lowerBound": "0.85", "upperBound": "0.94"},
        },
        {"type": "accuracy", "value": "0.7", "slice": "kind=b"},
    ]
    assert {"name": "fiat:param:seed", "value": "7"} in card["properties"]


def test_the_same_package_gives_the_same_document_and_another_one_another_number() -> None:
    assert make_bom(SOURCE) == make_bom(SOURCE)
    other = make_bom(replace(SOURCE, digest="00" * 16 + ".dir"))
    assert other["serialNumber"] != make_bom(SOURCE)["serialNumber"]
