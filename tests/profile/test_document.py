"""`profile.json`: what is written is read again, and nothing damaged is believed."""

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fiat.data.stream import tensor_array
from fiat.errors import EnvironmentFault
from fiat.profile.document import FILE, read_profile, write_profile
from fiat.profile.measure import profile_batches
from fiat.profile.model import DataProfile

TABLE = pa.table(
    {
        "i": pa.array([1, 2**63 - 1, None]),
        "f": pa.array([0.1, math.nan, -1e308]),
        "all nan": pa.array([math.nan, math.nan, math.nan]),
        "t": pa.array(["ü", "\x00", None]),
        "raw": pa.array([b"\xed\xa0\x80", b"\xff", None]),
        "time": pa.array([0, 1, None], pa.timestamp("us")),
        "list": pa.array([[1], [], None]),
        "pixels": tensor_array(np.arange(3 * 64, dtype=np.uint8).reshape(3, 8, 8)),
        "nothing": pa.nulls(3),
    }
)


def write(folder: Path) -> DataProfile:
    found = profile_batches(TABLE.to_batches(), split="train")
    data = DataProfile((found, profile_batches(TABLE.to_batches(), split="eval", slice="t=ü")), "i", "a" * 64)
    assert write_profile(folder, data) == folder / FILE
    return data


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    wanted = write(tmp_path)
    found = read_profile(tmp_path)
    nan_mean = found.profiles[0].column("all nan")
    assert nan_mean is not None
    assert nan_mean.numbers is not None
    assert math.isnan(nan_mean.numbers.mean)
    # NaN is not equal to itself, its text is.
    assert repr(found) == repr(wanted)


def test_the_same_rows_give_the_same_bytes_and_they_are_plain_json(tmp_path: Path) -> None:
    texts = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name)
        texts.append((tmp_path / name / FILE).read_bytes())
    assert texts[0] == texts[1]

    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is not of JSON")

    assert json.loads(texts[0], parse_constant=refuse)["fiat_profile"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"fiat_profile":1}',
        '{"fiat_profile":1,"label":null,"source_digest":"","profiles":[{"n_rows":1,"columns":[{"x":1}]}]}',
        '{"fiat_profile":1,"label":null,"source_digest":"","profiles":[3]}',
        '{"fiat_profile":1,"label":null,"source_digest":"","profiles":[{"n_rows":1,"columns":[{"hashes":"%%%"}]}]}',
    ],
)
def test_a_damaged_file_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(EnvironmentFault, match="no profile that can be read"):
        read_profile(tmp_path)


def test_a_file_that_is_not_there_or_of_a_later_version_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="no profile that can be read"):
        read_profile(tmp_path)
    (tmp_path / FILE).write_text('{"fiat_profile": 2}')
    with pytest.raises(EnvironmentFault, match="version 2, expected 1"):
        read_profile(tmp_path)
    with pytest.raises(EnvironmentFault, match="can't be written"):
        write_profile(tmp_path / "none", DataProfile(()))
