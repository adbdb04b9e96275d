"""Declared columns of a CSV: read as they are said to be, and cells that are not are named, all counted."""

from pathlib import Path

import pytest

from fiat.data.csv_reader import read_csv
from fiat.data.stream import PIECE_BYTES, Reading, ReadOptions, SourceFile
from fiat.errors import SpecError, SpecErrors


def reading(tmp_path: Path, *contents: bytes, **options: object) -> Reading:
    files = []
    for index, content in enumerate(contents):
        path = tmp_path / f"f{index}.csv"
        path.write_bytes(content)
        files.append(SourceFile(path, path.name))
    return read_csv(files, ReadOptions("csv", **options))  # type: ignore[arg-type]


def column(read: Reading, name: str) -> list[object]:
    return [value for piece in read.pieces() for value in piece.batch.column(name).to_pylist()]


def test_a_text_column_keeps_leading_zeros_and_spelled_numbers(tmp_path: Path) -> None:
    content = b"zip,code\n01234,1e5\n00501,0x10\n 90210 ,true\n,2024-01-01\n"
    read = reading(tmp_path, content, types={"zip": "text", "code": "text"})
    assert column(read, "zip") == ["01234", "00501", "90210", None]
    assert column(read, "code") == ["1e5", "0x10", "true", "2024-01-01"]
    assert column(reading(tmp_path, content), "zip") == [1234, 501, 90210, None]


def test_each_kind_is_read_in_all_its_spellings(tmp_path: Path) -> None:
    content = b"i,f,b,t\n+5,5,true,2024-05-01\n5.0,.5,0,2024-05-01T02:00:00+02:00\n-7, 1e-3 ,FALSE,1400269500\n?,inf,1,NA\n"
    read = reading(tmp_path, content, types={"i": "int", "f": "float", "b": "bool", "t": "time"})
    assert column(read, "i") == [5, 5, -7, None]
    assert column(read, "f") == [5.0, 0.5, 0.001, float("inf")]
    assert column(read, "b") == [True, False, False, True]
    assert [str(value) for value in column(read, "t")] == [
        "2024-05-01 00:00:00",
        "2024-05-01 00:00:00",
        "2014-05-16 19:45:00",
        "None",
    ]
    assert [str(field.type) for field in read.schema] == ["int64", "double", "bool", "timestamp[us]"]
    assert read.cells == ()


def test_bad_cells_are_named_with_file_and_line_the_first_ten_of_each_column(tmp_path: Path) -> None:
    rows = b"".join(b'"%s",%d\n' % (b"x" if n % 2 else b"1", n) for n in range(30))
    with pytest.raises(SpecError) as caught:
        reading(tmp_path, b"a,b\n" + rows, b"a,b\n\n\ny,1\n", types={"a": "int", "b": "int"})
    said = str(caught.value)
    assert said.startswith(
        "f0.csv:3:1: column 'a' should hold a whole number in each row, and 16 of its values are"
    )
    assert "f0.csv:3 'x', f0.csv:5 'x'," in said
    assert "f0.csv:21 'x' and 6 more" in said
    assert "severity: warn" in said


def test_all_columns_with_bad_cells_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SpecErrors) as caught:
        reading(tmp_path, b"a,b\nx,1.5\n2,y\n", types={"a": "int", "b": "float"})
    assert [str(error.where) for error in caught.value.errors] == ["f0.csv:2:1", "f0.csv:3:1"]


def test_bad_cells_of_tolerant_columns_become_missing_and_are_told(tmp_path: Path) -> None:
    content = b"a,b,c\n1,u,yes\nx,v,true\n3.5,w,no\n"
    types = {"a": "int", "c": "bool"}
    read = reading(tmp_path, content, types=types, tolerant=frozenset(types))
    assert column(read, "a") == [1, None, None]
    assert column(read, "c") == [None, True, None]
    assert read.n_bad == {"a": 2, "c": 2}
    assert [(cell.line, cell.column, cell.value) for cell in read.cells] == [
        (3, "a", "x"),
        (4, "a", "3.5"),
        (2, "c", "yes"),
        (4, "c", "no"),
    ]
    assert read.notes == ()


def test_a_cell_in_the_last_chunk_is_told_with_its_line(tmp_path: Path) -> None:
    n_rows = PIECE_BYTES // 20
    content = b"id,value\n" + b"".join(b"%010d,%08d\n" % (n, n) for n in range(n_rows)) + b"1,none\n"
    with pytest.raises(SpecError, match=f"f0.csv:{n_rows + 2} 'none'"):
        reading(tmp_path, content, types={"value": "int"})
    read = reading(tmp_path, content, types={"value": "int"}, tolerant=frozenset(["value"]))
    assert column(read, "value")[-2:] == [n_rows - 1, None]
    assert read.n_bad == {"value": 1}


def test_integers_that_do_not_fit_are_bad_cells_and_not_rounded(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="f0.csv:2 '99999999999999999999'"):
        reading(tmp_path, b"a\n99999999999999999999\n9223372036854775807\n", types={"a": "int"})


def test_bad_cells_of_dropped_columns_are_nobodys_business(tmp_path: Path) -> None:
    read = reading(tmp_path, b"a,b\nx,1\n2,2\n", types={"a": "int"}, loose=frozenset(["a"]))
    assert column(read, "a") == [None, 2]
    assert read.n_bad == {}


def test_a_declared_column_without_values_and_one_that_is_not_there(tmp_path: Path) -> None:
    read = reading(tmp_path, b"a,b\n,1\n,2\n", types={"a": "text", "other": "int", "b": "image"})
    assert [f"{field.name}: {field.type}" for field in read.schema] == ["a: string", "b: int64"]
    assert read.notes == ("column 'a' has no value in any row",)


def test_a_row_fault_is_told_before_the_cells(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="3 fields, expected 2"):
        reading(tmp_path, b"a,b\nx,1\n1,2,3\n", types={"a": "int"})
    with pytest.raises(SpecError, match="0xff is not UTF-8"):
        reading(tmp_path, b"a,b\nx,1\n\xff,2\n", types={"a": "text"})
