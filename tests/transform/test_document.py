import json
from pathlib import Path

import pyarrow as pa
import pytest

from fiat.errors import EnvironmentFault
from fiat.transform.document import read_transform, write_transform
from fiat.transform.fit import fit_transforms
from fiat.transform.model import Entry, Fitted


@pytest.fixture
def fitted() -> Fitted:
    train = pa.table({"age": [1.0, None, 4.0], "city": ["a", "b", "日本"]})
    entries = [
        Entry(("age",), (("impute", {"by": "mean"}), ("bucketize", {"buckets": 2})), key="transform[0]"),
        Entry(("city",), (("embed_index", {"max": 10}),), key="transform[1]"),
    ]
    return fit_transforms(train, ("age", "city"), entries)


def test_what_is_written_is_read_again(tmp_path: Path, fitted: Fitted) -> None:
    write_transform(tmp_path / "transform", fitted)
    assert read_transform(tmp_path / "transform") == fitted


def test_people_can_read_what_was_learned(tmp_path: Path, fitted: Fitted) -> None:
    write_transform(tmp_path, fitted)
    document = json.loads((tmp_path / "transform.json").read_text("utf-8"))
    assert document["learned"][0] == {
        "key": "transform[0].apply[0]",
        "column": "age",
        "operation": "impute",
        "fill": [2.5],
    }
    assert document["learned"][2]["categories"] == ["a", "b", "日本"]


def test_damage_is_told(tmp_path: Path, fitted: Fitted) -> None:
    with pytest.raises(EnvironmentFault, match="holds no transforms"):
        read_transform(tmp_path)
    write_transform(tmp_path, fitted)
    (tmp_path / "transform.json").write_text('{"inputs": []')
    with pytest.raises(EnvironmentFault, match="holds no transforms"):
        read_transform(tmp_path)
