"""Parquet and Arrow files in: plain types out, damage told."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fiat.data.columnar import read_columnar
from fiat.data.stream import Reading, SourceFile
from fiat.errors import SpecError


def table(n_rows: int = 40_000) -> pa.Table:
    return pa.table(
        {
            "id": pa.array(range(n_rows), pa.int32()),
            "kind": pa.array(["a", "b"] * (n_rows // 2)).dictionary_encode(),
            "price": pa.array([1] * n_rows).cast(pa.decimal128(30, 2)),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(np.arange(2 * n_rows, dtype="f4")), 2),
        }
    )


def write(path: Path, rows: pa.Table) -> SourceFile:
    if path.suffix == ".parquet":
        pq.write_table(rows, path, row_group_size=10_000)
    elif path.suffix == ".arrow":
        with pa.ipc.new_file(str(path), rows.schema) as writer:
            writer.write_table(rows)
    else:
        with pa.ipc.new_stream(str(path), rows.schema) as writer:
            writer.write_table(rows)
    return SourceFile(path, path.name)


def read(*files: SourceFile) -> Reading:
    return read_columnar(files, parquet=files[0].name.endswith("parquet"))


@pytest.mark.parametrize("name", ["f.parquet", "f.arrow", "f.arrows"])
def test_types_become_plain_and_every_row_comes_out_in_order(tmp_path: Path, name: str) -> None:
    reading = read(write(tmp_path / name, table()))
    assert [str(kind) for kind in reading.schema.types[:3]] == ["int32", "string", "double"]
    assert list(reading.schema.field("vector").type.shape) == [2]
    batches = [piece.batch for piece in reading.pieces()]
    assert pa.Table.from_batches(batches).column("id").to_pylist() == list(range(40_000))
    assert [piece.first_row for piece in reading.pieces()][1] == batches[0].num_rows + 1


@pytest.mark.parametrize("name", ["f.parquet", "f.arrow", "f.arrows"])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.97])
def test_a_cut_file_is_a_fault_with_its_name(tmp_path: Path, name: str, keep: float) -> None:
    file = write(tmp_path / name, table())
    data = file.path.read_bytes()
    file.path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(SpecError) as caught:
        list(read(file).pieces())
    assert caught.value.where is not None
    assert caught.value.where.file == name


def test_files_with_other_columns_or_types_are_told(tmp_path: Path) -> None:
    one = write(tmp_path / "a.parquet", pa.table({"x": [1], "y": ["t"]}))
    swapped = write(tmp_path / "b.parquet", pa.table({"y": ["u"], "x": [2]}))
    assert [row for piece in read(one, swapped).pieces() for row in piece.batch.to_pylist()][1] == {
        "x": 2,
        "y": "u",
    }
    other = write(tmp_path / "c.parquet", pa.table({"x": [1.5], "y": ["t"]}))
    with pytest.raises(SpecError, match="'x' is double, but int64 in the files before it"):
        read(one, other)
    more = write(tmp_path / "d.parquet", pa.table({"x": [1], "y": ["t"], "z": [1]}))
    with pytest.raises(SpecError, match="adds column 'z'"):
        read(one, more)


def test_a_file_of_another_format_and_one_without_rows_are_told(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(SpecError, match="not a sound Parquet file"):
        read(SourceFile(path, "f.parquet"))
    with pytest.raises(SpecError, match="no rows"):
        read(write(tmp_path / "e.arrow", table(0)))


@pytest.mark.slow
def test_memory_does_not_grow_with_a_parquet_file(tmp_path: Path) -> None:
    piece = pa.table({f"c{index}": np.random.default_rng(index).random(250_000) for index in range(10)})
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from fiat.data.read import read_files\n"
        "from fiat.data.stream import ReadOptions, SourceFile\n"
        "files = [SourceFile(Path(sys.argv[1]), 'x.parquet')]\n"
        "rows = sum(piece.batch.num_rows for piece in read_files(files, ReadOptions('parquet')).pieces())\n"
        "peak = Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]\n"
        "print(rows, int(peak) >> 10)\n"
    )
    peaks = []
    for n_groups in (1, 25):
        path = tmp_path / f"{n_groups}.parquet"
        with pq.ParquetWriter(path, piece.schema, compression="none") as writer:
            for _ in range(n_groups):
                writer.write_table(piece)
        done = subprocess.run(
            [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
        )
        rows, peak_mib = map(int, done.stdout.split())
        assert rows == 250_000 * n_groups
        peaks.append(peak_mib)
    assert path.stat().st_size > 450 << 20
    assert peaks[1] - peaks[0] < 100
