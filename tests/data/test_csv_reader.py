"""CSV in: every row comes out once with a stable type, or the file and line of the fault are told."""

import gzip
import subprocess
import sys
import textwrap
from pathlib import Path

import pyarrow as pa
import pytest

from fiat.data import csv_parse, stream
from fiat.data.csv_reader import read_csv
from fiat.data.stream import Reading, ReadOptions, SourceFile
from fiat.errors import SpecError


def reading(tmp_path: Path, *contents: bytes, suffix: str = "csv", **options: object) -> Reading:
    files = []
    for index, content in enumerate(contents):
        path = tmp_path / f"f{index}.{suffix}"
        path.write_bytes(content)
        files.append(SourceFile(path, path.name))
    return read_csv(files, ReadOptions("csv", **options))  # type: ignore[arg-type]


def rows(read: Reading) -> list[dict[str, object]]:
    return [row for piece in read.pieces() for row in piece.batch.to_pylist()]


def types(read: Reading) -> dict[str, str]:
    return {field.name: str(field.type) for field in read.schema}


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        (b"a,b\n1,2\n1,2,3\n", 3, "3 fields, expected 2"),
        (b"a,b\n1,2\n\n\n1\n", 5, "1 fields, expected 2"),
        (b'a,b\n"x\ny",2\n1,2,3\n', 4, "3 fields, expected 2"),
        (b'a,b\n1,2\n"x,2\n3,4\n', 3, "never closed"),
        (b'a,b\n"x",2\n"6"x,7\n', 3, "inside a field"),
        (b'a,b\nx"y,2\n"z",1\n', 2, "inside a field"),
        (b'a,b\n"abc,1\n5,6\n7,8\n"def,2\n', 5, "opened in line 2"),
        (b"a,b\n1,ok\n2,\xff\n", 3, "0xff is not UTF-8"),
        (b"a\xff,b\n1,2\n", 1, "0xff is not UTF-8"),
        (b"a,b\n1,2\r3,4\n", 2, "carriage return"),
        (b"", 0, "the file is empty"),
        (b"\n\n", 0, "the file is empty"),
        (b"a,b\n", 1, "a header and no rows"),
        (b"a;b\n1;2\n", 1, "one column only"),
        (b"a,a\n1,2\n", 1, "two columns are named 'a'"),
        (b"\xff\xfea\0,\0", 1, "UTF-16"),
    ],
)
def test_a_fault_is_told_with_its_file_and_line(tmp_path: Path, content: bytes, line: int, says: str) -> None:
    with pytest.raises(SpecError, match=says) as caught:
        rows(reading(tmp_path, content))
    assert caught.value.where is not None
    assert (caught.value.where.file, caught.value.where.line) == ("f0.csv", line)


def test_a_text_far_down_in_a_column_of_numbers_is_told_with_its_line(tmp_path: Path) -> None:
    n_rows = 700_000
    lines = [b"id,value"] + [b"%d,%d" % (row, row % 10) for row in range(n_rows)]
    lines[650_001] = b"650000,oops"
    content = b"\n".join(lines) + b"\n"
    assert len(content) > 1.3 * stream.PIECE_BYTES
    with pytest.raises(
        SpecError, match="'value' holds 'oops', but 699,999 of its values are numbers"
    ) as caught:
        reading(tmp_path, content)
    assert caught.value.where is not None
    assert caught.value.where.line == 650_002
    dropped = reading(tmp_path, content, loose=frozenset(["value"]))
    assert types(dropped) == {"id": "int64", "value": "string"}
    assert sum(piece.batch.num_rows for piece in dropped.pieces()) == n_rows


def test_types_come_from_all_values_wherever_they_stand(tmp_path: Path) -> None:
    filler = b"1,,,1,x,true,\n" * 400_000
    content = b"whole,late,never,mixed,text,flag,code\n" + filler + b"2,2.5,,1.5,y,FALSE,AB1\n"
    assert len(content) > stream.PIECE_BYTES
    read = reading(tmp_path, content)
    assert types(read) == {
        "whole": "int64",
        "late": "double",
        "never": "double",
        "mixed": "double",
        "text": "string",
        "flag": "bool",
        "code": "string",
    }
    assert read.notes == ("column 'never' has no value in any row",)
    last = [piece.batch for piece in read.pieces()][-1]
    assert last.slice(last.num_rows - 1).to_pylist() == [
        {"whole": 2, "late": 2.5, "never": None, "mixed": 1.5, "text": "y", "flag": False, "code": "AB1"}
    ]


def test_every_row_comes_out_once_and_in_order_also_over_chunk_borders(tmp_path: Path) -> None:
    lines = [b"n,text"]
    for row in range(150_000):
        lines.append(b'%d,"line one\nline ""two"", of %d"' % (row, row))
        if row % 1000 == 0:
            lines.append(b"")
    content = b"\r\n".join(lines)
    read = reading(tmp_path, content)
    seen = 0
    for piece in read.pieces():
        assert piece.first_row == seen + 1
        assert piece.batch.column("n").to_pylist() == list(range(seen, seen + piece.batch.num_rows))
        seen += piece.batch.num_rows
    assert seen == 150_000
    assert rows(read)[77]["text"] == 'line one\nline "two", of 77'


def test_spellings_of_missing_values_and_spaces_around_fields_are_understood(tmp_path: Path) -> None:
    read = reading(tmp_path, b"a, b ,c\n1, ?, New York \nNA,,   \n ?,N/A,nan\n")
    assert rows(read) == [
        {"a": 1, "b": None, "c": "New York"},
        {"a": None, "b": None, "c": None},
        {"a": None, "b": None, "c": None},
    ]


def test_dates_stay_as_they_are_written(tmp_path: Path) -> None:
    read = reading(tmp_path, b"d,t\n2024-05-01,2024-05-01 10:00\n2024-05-02,2024-05-02T11:00:00Z\n")
    assert rows(read)[1] == {"d": "2024-05-02", "t": "2024-05-02T11:00:00Z"}


def test_a_file_without_header_takes_given_or_numbered_names(tmp_path: Path) -> None:
    content = b"1,x\n2,y\n"
    assert reading(tmp_path, content, header=False).schema.names == ["column_1", "column_2"]
    named = reading(tmp_path, content, header=False, columns=("n", "s"))
    assert rows(named) == [{"n": 1, "s": "x"}, {"n": 2, "s": "y"}]
    with pytest.raises(SpecError, match="2 fields, but `columns` names 1"):
        reading(tmp_path, content, header=False, columns=("n",))


def test_a_column_without_a_name_is_numbered(tmp_path: Path) -> None:
    assert reading(tmp_path, b",b\n0,1\n").schema.names == ["column_1", "b"]


def test_tab_files_and_given_delimiters_are_split_by_them(tmp_path: Path) -> None:
    assert rows(reading(tmp_path, b"a\tb\n1,5\t2\n", suffix="tsv")) == [{"a": "1,5", "b": 2}]
    assert rows(reading(tmp_path, b"a;b\n1;2\n", delimiter=";")) == [{"a": 1, "b": 2}]
    with pytest.raises(SpecError, match="can't be the delimiter"):
        reading(tmp_path, b"a;b\n1;2\n", delimiter='"')


def test_a_byte_order_mark_and_a_last_line_without_end_change_nothing(tmp_path: Path) -> None:
    assert rows(reading(tmp_path, b"\xef\xbb\xbfa,b\r\n1,2\r\n3,4")) == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]


def test_several_files_become_one_stream_with_one_schema(tmp_path: Path) -> None:
    read = reading(tmp_path, b"a,b\n1,x\n", b"b,a\ny,2.5\n")
    assert rows(read) == [{"a": 1.0, "b": "x"}, {"a": 2.5, "b": "y"}]
    with pytest.raises(SpecError, match="lacks 'b', adds 'c'") as caught:
        reading(tmp_path, b"a,b\n1,x\n", b"a,c\n1,x\n")
    assert caught.value.where is not None
    assert caught.value.where.file == "f1.csv"


def test_a_cut_or_damaged_gzip_file_is_told(tmp_path: Path) -> None:
    whole = gzip.compress(b"a,b\n" + b"1,2\n" * 100_000)
    assert len(rows(reading(tmp_path, whole, suffix="csv.gz"))) == 100_000
    with pytest.raises(SpecError, match="cut off before its end"):
        reading(tmp_path, whole[:-20], suffix="csv.gz")
    with pytest.raises(SpecError, match="damaged"):
        reading(tmp_path, b"a,b\n1,2\n", suffix="csv.gz")
    flipped = bytearray(whole)
    flipped[-6] ^= 1
    with pytest.raises(SpecError, match="damaged"):
        reading(tmp_path, bytes(flipped), suffix="csv.gz")


def test_a_row_longer_than_the_cap_is_told_and_not_collected(tmp_path: Path) -> None:
    content = b'a,b\n"' + b"x" * 70 * 1024 * 1024
    with pytest.raises(SpecError, match="a row is longer than 64 MiB") as caught:
        reading(tmp_path, content)
    assert caught.value.where is not None
    assert caught.value.where.line == 2


def test_the_missing_spellings_hold_for_text_columns_too(tmp_path: Path) -> None:
    for word in csv_parse.MISSING:
        read = reading(tmp_path, b"a,b\nx,1\n" + word.encode() + b",2\n")
        assert rows(read)[1]["a"] is None
        assert read.schema.field("a").type == pa.string()


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    block = b"".join(b'%d,%d.5,"some text, of row %d",x\n' % (row, row, row) for row in range(50_000))
    code = """
        import sys
        from pathlib import Path
        from fiat.data.csv_reader import read_csv
        from fiat.data.stream import ReadOptions, SourceFile
        read = read_csv([SourceFile(Path(sys.argv[1]), "big.csv")], ReadOptions("csv"))
        print(sum(piece.batch.num_rows for piece in read.pieces()))
        # Not `ru_maxrss`: a process has it from the one that started it.
        print(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024)
    """
    peaks = []
    for n_blocks in (10, 60):
        path = tmp_path / f"{n_blocks}.csv"
        with path.open("wb") as out:
            out.write(b"id,value,note,label\n")
            for _ in range(n_blocks):
                out.write(block)
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), str(path)],
            capture_output=True,
            text=True,
            check=True,
        )
        n_rows, peak_mib = map(int, done.stdout.split())
        assert n_rows == 50_000 * n_blocks
        peaks.append(peak_mib)
    assert path.stat().st_size > 120_000_000
    assert peaks[1] - peaks[0] < 40
