"""Formats by name."""

from pathlib import Path

import pytest

from fiat.data.formats import FORMATS, data_files, format_of
from fiat.data.read import read_files
from fiat.data.stream import ReadOptions, SourceFile
from fiat.errors import SpecError


def files(*names: str) -> list[SourceFile]:
    return [SourceFile(Path("/nowhere") / name, name) for name in names]


@pytest.mark.parametrize(
    ("name", "format_name"),
    [
        ("a/t.csv", "csv"),
        ("t.TSV.gz", "csv"),
        ("t.ndjson", "jsonl"),
        ("part-0.parquet", "parquet"),
        ("t.feather", "arrow"),
        ("X.npy", "npy"),
        ("all.npz", "npy"),
        ("train-images-idx3-ubyte.gz", "idx"),
        ("t10k-labels.idx1-ubyte", "idx"),
        ("cat/1.JPEG", "images"),
        ("lines.txt.gz", "text"),
    ],
)
def test_a_name_tells_its_format(name: str, format_name: str) -> None:
    assert format_of(files(name)) == format_name


def test_notes_beside_the_data_do_not_count(tmp_path: Path) -> None:
    found = files("LICENSE", "README.txt", "a.csv", "b.csv")
    assert format_of(found) == "csv"
    assert [file.name for file in data_files(found, "csv")] == ["a.csv", "b.csv"]
    assert data_files(files("adult.data"), "csv") == files("adult.data")


def test_no_format_or_several_are_told() -> None:
    with pytest.raises(SpecError, match=r"the format of data\.bin can't be told"):
        format_of(files("data.bin"))
    with pytest.raises(SpecError, match="several formats: csv, parquet"):
        format_of(files("a.csv", "b.parquet"))


def test_every_format_has_a_reader() -> None:
    for format_name in FORMATS:
        with pytest.raises(SpecError, match="there is no such file"):
            list(read_files(files("absent"), ReadOptions(format_name)).pieces())
    with pytest.raises(SpecError, match="no format that can be read"):
        read_files(files("absent"), ReadOptions("xml"))
    with pytest.raises(SpecError, match="no files to read"):
        read_files([], ReadOptions("csv"))
