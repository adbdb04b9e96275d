"""A dataset by splits and slices, and files as they are."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fiat.data.columns import ColumnChoice
from fiat.data.read import read_files
from fiat.data.split import ByShares
from fiat.data.stream import ReadOptions, SourceFile
from fiat.data.write import write_dataset
from fiat.errors import SpecError
from fiat.profile.document import profile_text
from fiat.profile.measure import profile_batches, profile_dataset, profile_files
from fiat.profile.model import DataProfile, Profile
from fiat.profile.sketch import COARSE_BUCKETS
from fiat.profile.slices import MOST_SLICES


def rows(n_rows: int = 6000) -> pa.Table:
    draws = np.random.default_rng(4)
    return pa.table(
        {
            "sex": pa.array(draws.choice(["F", "M", None], n_rows, p=[0.5, 0.4, 0.1]).tolist()),
            "age": draws.integers(20, 90, n_rows),
            "vip": draws.random(n_rows) < 0.2,
            "pay": pa.array(draws.lognormal(3, 1, n_rows), mask=draws.random(n_rows) < 0.05),
            "label": draws.integers(0, 2, n_rows),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("rows")
    pq.write_table(rows(), place / "rows.parquet")
    reading = read_files([SourceFile(place / "rows.parquet", "rows.parquet")], ReadOptions("parquet"))
    write_dataset(place / "dataset", reading, ByShares((8, 0, 2)), ColumnChoice("label"), "d" * 64)
    return place / "dataset"


def split_rows(folder: Path, name: str) -> pa.Table:
    return pa.ipc.open_file(str(folder / f"{name}.arrow")).read_all()


def test_each_split_with_rows_has_a_profile_with_what_the_dataset_says(folder: Path) -> None:
    found = profile_dataset(folder)
    assert [(item.split, item.slice) for item in found.profiles] == [("train", ""), ("test", "")]
    assert (found.label, found.source_digest) == ("label", "d" * 64)
    assert sum(item.n_rows for item in found.profiles) == 6000
    for item in found.profiles:
        assert item == profile_batches(split_rows(folder, item.split).to_batches(), split=item.split)


def test_slices_are_the_rows_that_share_their_values(folder: Path) -> None:
    found = profile_dataset(folder, slices=[("sex",), ("vip", "sex")])
    table = split_rows(folder, "train").to_pandas()
    by_name = {item.slice: item for item in found.profiles if item.split == "train" and item.slice}
    assert list(by_name)[:3] == ["sex=F", "sex=M", "sex=missing"]
    assert len(by_name) == 3 + 6
    chosen = table[table.vip & (table.sex == "M")]
    one = by_name["vip=true,sex=M"]
    assert one.n_rows == len(chosen)
    pay = one.column("pay")
    assert pay is not None
    assert pay.numbers is not None
    assert pay.n_missing == chosen.pay.isna().sum()
    assert pay.numbers.mean == pytest.approx(chosen.pay.mean())
    assert len(pay.numbers.sketch.keys) <= COARSE_BUCKETS
    assert sum(pay.numbers.sketch.counts) == pay.numbers.n
    age = one.column("age")
    assert age is not None
    assert age.counts == {str(value): n for value, n in chosen.age.value_counts().items()}


def test_only_the_largest_slices_are_kept(folder: Path) -> None:
    found = profile_dataset(folder, slices=[("age",)])
    parts = [item for item in found.profiles if item.split == "train" and item.slice]
    ages = Counter(split_rows(folder, "train").column("age").to_pylist())
    wanted = sorted(ages.items(), key=lambda item: (-item[1], item[0]))[:MOST_SLICES]
    assert [(item.slice, item.n_rows) for item in parts] == [(f"age={age}", n) for age, n in wanted]


def test_the_same_dataset_gives_the_same_bytes(folder: Path) -> None:
    first, again = (profile_text(profile_dataset(folder, slices=[("sex", "age")])) for _ in range(2))
    assert first == again


def test_a_slice_by_what_is_no_column_or_has_no_plain_values_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="a slice names column 'seks'"):
        profile_dataset(folder, slices=[("seks",)])
    pq.write_table(pa.table({"x": [1, 2], "l": [[1], [2]]}), tmp_path / "l.parquet")
    reading = read_files([SourceFile(tmp_path / "l.parquet", "l.parquet")], ReadOptions("parquet"))
    choice = ColumnChoice(features=("x",))
    write_dataset(tmp_path / "lists", reading, ByShares((1, 0, 0)), choice, "d" * 64)
    with pytest.raises(SpecError, match="column 'l' can't part the rows: it holds list"):
        profile_dataset(tmp_path / "lists", slices=[("l",)])


def one_profile(data: DataProfile) -> Profile:
    assert len(data.profiles) == 1
    return data.profiles[0]


def test_files_are_described_as_one_stream_of_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,a\n2,\n")
    (tmp_path / "b.csv").write_text("x,y\n3,b\n")
    files = [SourceFile(tmp_path / name, name) for name in ("a.csv", "b.csv")]
    found = one_profile(profile_files(files, ReadOptions("csv")))
    assert found.n_rows == 3
    assert [(column.name, column.kind, column.n_missing) for column in found.columns] == [
        ("x", "int", 0),
        ("y", "text", 1),
    ]


@pytest.mark.parametrize("dictionary", [True, False])
def test_parquet_is_described_as_the_rows_in_it(tmp_path: Path, dictionary: bool) -> None:
    table = rows(30_000)
    pq.write_table(
        table.slice(0, 20_000), tmp_path / "a.parquet", row_group_size=7000, use_dictionary=dictionary
    )
    swapped = table.slice(20_000).select(["pay", "label", "sex", "age", "vip"])
    pq.write_table(swapped, tmp_path / "b.parquet", use_dictionary=not dictionary)
    files = [SourceFile(tmp_path / name, name) for name in ("a.parquet", "b.parquet")]
    found = one_profile(profile_files(files, ReadOptions("parquet")))
    for one, other in zip(found.columns, profile_batches(table.to_batches()).columns, strict=True):
        assert (one.name, one.n_missing, one.n_distinct) == (other.name, other.n_missing, other.n_distinct)
        assert (one.top, one.counts, one.hashes) == (other.top, other.counts, other.hashes)
        assert (one.lengths, one.kind, one.dtype) == (other.lengths, other.kind, other.dtype)
        if one.numbers is not None:
            assert other.numbers is not None
            assert one.numbers.mean == pytest.approx(other.numbers.mean, rel=1e-9)
            assert one.numbers.sketch == other.numbers.sketch


def test_texts_of_a_parquet_file_that_are_no_utf8_are_counted(tmp_path: Path) -> None:
    texts = pa.array([b"caf\xe9", b"fine", b"caf\xe9"]).view(pa.string())
    pq.write_table(pa.table({"t": texts}), tmp_path / "t.parquet")
    found = one_profile(
        profile_files([SourceFile(tmp_path / "t.parquet", "t.parquet")], ReadOptions("parquet"))
    )
    assert (found.columns[0].kind, found.columns[0].n_invalid_utf8) == ("text", 2)


@pytest.mark.slow
def test_memory_does_not_grow_with_a_parquet_file(tmp_path: Path) -> None:
    """Reading ahead, Arrow would hold the whole file: 10 GB of it took 10 GB."""
    draws = np.random.default_rng(6)
    path = tmp_path / "large.parquet"
    table = pa.table({f"x{place}": draws.random(500_000) for place in range(4)})
    with pq.ParquetWriter(path, table.schema, use_dictionary=False, compression="none") as writer:
        for _ in range(60):
            writer.write_table(table, row_group_size=500_000)
    size_mib = path.stat().st_size >> 20
    code = (
        "import sys; from pathlib import Path;"
        "from fiat.data.stream import ReadOptions, SourceFile; from fiat.profile.measure import profile_files;"
        "found = profile_files([SourceFile(Path(sys.argv[1]), 'large')], ReadOptions('parquet'));"
        "peak = Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0];"
        "print(found.profiles[0].n_rows, int(peak) // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    n_rows, peak_mib = map(int, done.stdout.split())
    assert n_rows == 30_000_000
    assert size_mib > 900
    assert peak_mib < 600


def test_a_page_of_a_parquet_file_that_is_damaged_is_told_with_the_row(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    pq.write_table(rows(50_000), path, row_group_size=10_000, compression="gzip")
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 2, len(data) // 2 + 4000):
        data[place] ^= 0x5A
    path.write_bytes(bytes(data))
    with pytest.raises(SpecError, match=r"damaged at row 1 or after") as caught:
        profile_files([SourceFile(path, "d.parquet")], ReadOptions("parquet"))
    assert caught.value.where is not None
    assert caught.value.where.file == "d.parquet"
