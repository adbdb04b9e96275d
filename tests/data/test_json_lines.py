"""JSON Lines in: types from all lines, faults with their line, no row lost."""

import gzip
from pathlib import Path

import pytest

from fiat.data.json_lines import read_json_lines
from fiat.data.stream import PIECE_BYTES, Reading, SourceFile
from fiat.errors import SpecError


def reading(tmp_path: Path, content: bytes, name: str = "f.jsonl") -> Reading:
    path = tmp_path / name
    path.write_bytes(content)
    return read_json_lines([SourceFile(path, name)])


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
