"""JSON Lines in: types from all lines, faults with their line, no row lost."""

import gzip
from pathlib import Path

import pytest

from fiat.data.json_lines import read_json_lines
from fiat.data.stream import PIECE_BYTES, Reading, ReadOptions, SourceFile
from fiat.errors import SpecError


def reading(tmp_path: Path, content: bytes, name: str = "f.jsonl", **options: object) -> Reading:
    path = tmp_path / name
    path.write_bytes(content)
    return read_json_lines([SourceFile(path, name)], ReadOptions("jsonl", **options))  # type: ignore[arg-type]


def rows(read: Reading) -> list[dict[str, object]]:
    return [row for piece in read.pieces() for row in piece.batch.to_pylist()]


def test_missing_keys_nulls_and_mixed_numbers_are_put_into_one_schema(tmp_path: Path) -> None:
    read = reading(tmp_path, b'{"a":1,"b":"x"}\n\n{"a":2.5,"c":null}\n{"d":true,"b":"2024-01-01"}\n')
    assert {field.name: str(field.type) for field in read.schema} == {
        "a": "double",
        "b": "string",
        "c": "double",
        "d": "bool",
    }
    assert rows(read)[2] == {"a": None, "b": "2024-01-01", "c": None, "d": True}
    assert read.notes == ("column 'c' has no value in any row",)


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        (b'{"a":1}\n{"a":2\n', 2, "not a JSON object"),
        (b'{"a":1}\n\n[1]\n', 3, "expected an object, found list"),
        (b'{"a":1}\n{"a":1} {"a":2}\n', 2, "not a JSON object"),
        (b'{"a":1}\n{"a":"x"}\n', 2, "changed from number to string"),
        (b'{"a":1,"a":2}\n', 1, "specified twice"),
        (b'{"a":"\xff"}\n', 1, "0xff is not UTF-8"),
        (b'{"a":' + b"[" * 100_000 + b"\n", 1, "not a JSON object"),
        (b"", 0, "no rows"),
        (b"\n \n", 0, "no rows"),
        (b"{}\n", 0, "no line has a key"),
    ],
)
def test_a_fault_is_told_with_its_file_and_line(tmp_path: Path, content: bytes, line: int, says: str) -> None:
    with pytest.raises(SpecError, match=says) as caught:
        rows(reading(tmp_path, content))
    assert caught.value.where is not None
    assert (caught.value.where.file, caught.value.where.line) == ("f.jsonl", line)


def test_another_type_in_a_later_chunk_is_told_with_its_line(tmp_path: Path) -> None:
    n_rows = PIECE_BYTES // 64
    numbers = b'{"v":1}'.ljust(63) + b"\n"
    with pytest.raises(SpecError, match="'v' was int64 up to here and holds 'one'") as caught:
        reading(tmp_path, numbers * n_rows + b'{"v":null}\n{"v":"one"}\n')
    assert caught.value.where is not None
    assert caught.value.where.line == n_rows + 2


def test_an_integer_column_that_turns_to_fractions_in_a_later_chunk_is_double_from_the_start(
    tmp_path: Path,
) -> None:
    lines = [b'{"id":%d,"v":1}' % row for row in range(400_000)] + [b'{"id":0,"v":1.5}']
    read = reading(tmp_path, b"\n".join(lines))
    pieces = list(read.pieces())
    assert len(pieces) > 1
    assert str(pieces[0].batch.schema.field("v").type) == "double"
    assert sum(piece.batch.num_rows for piece in pieces) == 400_001


def test_a_cut_gzip_file_is_told(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"a":1}\n' * 10_000)
    assert len(rows(reading(tmp_path, whole, "f.jsonl.gz"))) == 10_000
    with pytest.raises(SpecError, match="cut off"):
        reading(tmp_path, whole[:-9], "f.jsonl.gz")


def test_a_declared_column_holds_what_it_should_and_bad_cells_are_named(tmp_path: Path) -> None:
    types = {"n": "int", "x": "float", "b": "bool", "s": "text", "t": "time"}
    good = b'{"n":5.0,"x":1,"b":true,"s":"007","t":"2024-05-01"}\n{"n":6,"t":1400269500}\n'
    read = reading(tmp_path, good, types=types)
    assert [str(read.schema.field(name).type) for name in "nxbst"] == [
        "int64",
        "double",
        "bool",
        "string",
        "timestamp[us]",
    ]
    assert rows(read)[0]["n"] == 5
    assert str(rows(read)[1]["t"]) == "2014-05-16 19:45:00"
    bad = b'{"n":"five","s":7,"t":"soon"}\n\n{"n":1,"s":"x","t":null}\n{"n":1.5,"s":null,"t":"never"}\n'
    with pytest.raises(SpecError) as caught:
        reading(tmp_path, bad, types=types)
    said = str(caught.value)
    assert "f.jsonl:1 '\"five\"', f.jsonl:4 '1.5'" in said
    assert "column 's' should hold a text" in said
    assert "f.jsonl:1 'soon', f.jsonl:4 'never'" in said
    read = reading(tmp_path, bad, types=types, tolerant=frozenset(types))
    assert read.n_bad == {"n": 2, "s": 1, "t": 2}
    assert [row["n"] for row in rows(read)] == [None, 1, None]
    assert len(rows(read)) == 3


def test_a_type_is_not_declared_for_a_key_that_no_line_has(tmp_path: Path) -> None:
    content = '{"a":"other","b":{"other":1},"Größe":null}\n'.encode()
    read = reading(tmp_path, content, types={"a": "text", "other": "int", "Größe": "int"})
    assert sorted(read.schema.names) == ["Größe", "a", "b"]
    assert read.notes == ("column 'Größe' has no value in any row",)
