"""Damaged data: a located fault or every row, never a row less. Rows in = rows out + rows named."""

import csv
import gzip
import io
import json
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fiat.data.csv_parse import MISSING
from fiat.data.delimited import LONGEST_ROW_BYTES
from fiat.data.read import read_files
from fiat.data.stream import PIECE_BYTES, ReadOptions, SourceFile
from fiat.errors import SpecError

HEAD = b"a,b,c\n"
TOO_LONG = LONGEST_ROW_BYTES + 2 * PIECE_BYTES
GZIPPED = gzip.compress(HEAD + b"1,2,3\n" * 10_000)


def rows_of(
    folder: Path, format_name: str, files: Sequence[tuple[str, bytes]], **options: object
) -> list[dict[str, object]]:
    named = []
    for name, content in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        named.append(SourceFile(path, name))
    reading = read_files(named, ReadOptions(format_name, **options))  # type: ignore[arg-type]
    return [row for piece in reading.pieces() for row in piece.batch.to_pylist()]


def rows_or_fault(
    folder: Path, format_name: str, name: str, content: bytes, **options: object
) -> list[dict[str, object]] | None:
    """All rows, or None for a fault that names the file."""
    try:
        return rows_of(folder, format_name, [(name, content)], **options)
    except SpecError as error:
        fault = error
    assert fault.where is not None
    assert fault.where.file == name
    return None


def fault_of(folder: Path, format_name: str, *files: tuple[str, bytes], **options: object) -> str:
    with pytest.raises(SpecError) as caught:
        rows_of(folder, format_name, files, **options)
    assert caught.value.where is not None
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            HEAD + b"1,2,3\n4,x\ny,6\n",
            "f.csv:3:1: 2 fields, expected 3; line 4 has 2 (these two lines look like one row",
        ),
        (HEAD + b"1,2,3\n4\n5,6\n", "f.csv:3:1: 1 fields, expected 3; line 4 has 2 (these two lines"),
        (HEAD + b"1,2\n1,2,3\n1,2,3,4\n", "f.csv:2:1: 2 fields, expected 3; line 4 has 4"),
        (HEAD + b"1,2\n" * 30, "line 11 has 2 and 20 more"),
        (HEAD + b'1,"x,3\n4,5,6\n', "f.csv:2:1: a quote is opened here and never closed"),
        (
            HEAD + b"x,y,z\n\xe9,2,3\n1,2,\xe8\n",
            "f.csv:3:1: byte 0xe9 is not UTF-8 text; so it is in lines 4",
        ),
        (b"a\xe9,b\n1,2\n", "f.csv:1:1: byte 0xe9 is not UTF-8"),
        (b"\xff\xfe" + "a,b\n1,2\n".encode("utf-16-le"), "f.csv:1:1: the text is UTF-16"),
        (b"\xfe\xff" + "a,b\n1,2\n".encode("utf-16-be"), "f.csv:1:1: the text is UTF-16"),
        ("a,b\n1,2\n".encode("utf-16-le"), "f.csv:1:1: a null byte"),
        (HEAD + b"1,2,3\n1,\0,3\n1,2,\0\n", "f.csv:3:1: a null byte, which no text has; so do lines 4"),
        (b"a,b\r1,2\r3,4\r", "f.csv:1:1: a carriage return without a line feed"),
        (b"a,b\n1,2\r3,4\n", "f.csv:2:1: a carriage return without a line feed"),
        (b"a\n1\r3\n", "f.csv:2:1: a carriage return without a line feed"),
        (b"", "f.csv: the file is empty"),
        (b"\xef\xbb\xbf", "f.csv: the file is empty"),
        (HEAD, "f.csv:1:1: the file has a header and no rows"),
        (b"a,b,a\n1,2,3\n", "f.csv:1:1: two columns are named 'a'"),
        (HEAD + b"1,2,3\n" * 500 + b"1,2,x\n", "f.csv:502:1: column 'c' holds 'x', but 500 of its values"),
        (
            HEAD + b"1,2,3\n" * 3000 + b"1,2,x\n1,2,y\n",
            "f.csv:3002:1: column 'c' holds 2 texts (f.csv:3002 'x', f.csv:3003 'y'), but 3,000",
        ),
        (GZIPPED, "f.csv:1:1: the file is packed with gzip"),
        (b"PK\3\4" + b"\0" * 50, "f.csv:1:1: the file is a zip archive or a spreadsheet"),
        (b"PAR1\x15\x04\n", "f.csv:1:1: the file is a Parquet file"),
        (b"<html>\n<body>Not found, sorry</body>\n", "f.csv:2:1: 2 fields, expected 1"),
    ],
    ids=range(24),
)
def test_a_damaged_csv_is_refused_at_its_lines(tmp_path: Path, content: bytes, says: str) -> None:
    assert says in fault_of(tmp_path, "csv", ("f.csv", content))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("f.csv", HEAD + b"1,2,3\n" + b"x" * TOO_LONG, "f.csv:3:1: a row is longer than 64 MiB"),
        ("f.csv", b"1,2,3\r" * (TOO_LONG // 6), "f.csv:1:1: a carriage return without a line feed"),
        ("f.jsonl", b'{"a":"x"}\n{"a":"' + b"x" * TOO_LONG, "f.jsonl:2:1: a line is longer than 64 MiB"),
        ("f.txt", b"a\n" + b"x" * TOO_LONG, "f.txt:2:1: a line is longer than 64 MiB"),
    ],
    ids=["row", "returns", "json", "text"],
)
def test_a_huge_line_is_refused_before_memory_is_full(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    kind = {"txt": "text"}.get(name[2:], name[2:])
    assert says in fault_of(tmp_path, kind, (name, content))


def test_a_csv_that_only_looks_damaged_is_read_whole(tmp_path: Path) -> None:
    quoted = HEAD + b'1,"two\nlines, ""quoted""\r\nand more",3\n'
    (row,) = rows_of(tmp_path, "csv", [("f.csv", quoted)])
    assert row["b"] == 'two\nlines, "quoted"\r\nand more'
    mark = b"\xef\xbb\xbf"
    assert (
        len(
            rows_of(tmp_path, "csv", [("f.csv", mark + HEAD + b"1,2,3\n"), ("g.csv", mark + HEAD + b"4,5,6")])
        )
        == 2
    )
    assert rows_of(tmp_path, "csv", [("f.csv", b"a\n b\nc\n   NA \n")]) == [
        {"a": "b"},
        {"a": "c"},
        {"a": None},
    ]


def test_files_that_differ_in_columns_or_types_are_named(tmp_path: Path) -> None:
    first = ("f.csv", HEAD + b"1,2,3\n")
    assert "g.csv:1:1: its columns differ" in fault_of(tmp_path, "csv", first, ("g.csv", b"a,b\n1,2\n"))
    assert "g.csv: the file is empty" in fault_of(tmp_path, "csv", first, ("g.csv", b""))
    turned = rows_of(tmp_path, "csv", [first, ("g.csv", b"c,b,a\n3,2,1\n")])
    assert turned[0] == turned[1]
    many = ("f.csv", HEAD + b"1,2,3\n" * 200)
    assert "g.csv:2:1: column 'a' holds 'x'" in fault_of(tmp_path, "csv", many, ("g.csv", HEAD + b"x,2,3\n"))
    one, other = io.BytesIO(), io.BytesIO()
    pq.write_table(pa.table({"a": [1], "b": [1]}), one)
    pq.write_table(pa.table({"a": ["x"], "b": [1]}), other)
    files = ("f.parquet", one.getvalue()), ("g.parquet", other.getvalue())
    assert "g.parquet: column 'a' is string, but int64" in fault_of(tmp_path, "parquet", *files)


@pytest.mark.parametrize("cut", [1, 5, 9, 30, len(GZIPPED) - 4])
def test_a_truncated_gzip_is_told_wherever_it_ends(tmp_path: Path, cut: int) -> None:
    said = fault_of(tmp_path, "csv", ("f.csv.gz", GZIPPED[:-cut]))
    assert said.startswith("f.csv.gz: the file is cut off before its end")
    lines = gzip.compress(b'{"a":1}\n' * 10_000)
    assert "cut off" in fault_of(tmp_path, "jsonl", ("f.jsonl.gz", lines[: -min(cut, 20)]))
    assert "cut off" in fault_of(tmp_path, "text", ("f.txt.gz", lines[: -min(cut, 20)]))


def test_what_follows_a_gzip_or_is_none_is_told(tmp_path: Path) -> None:
    assert "a damaged file" in fault_of(tmp_path, "csv", ("f.csv.gz", GZIPPED + b"more"))
    assert "a damaged file" in fault_of(tmp_path, "csv", ("f.csv.gz", HEAD + b"1,2,3\n"))
    twice = gzip.compress(HEAD + b"1,2,3\n") + gzip.compress(b"4,5,6\n")
    assert len(rows_of(tmp_path, "csv", [("f.csv.gz", twice)])) == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"a":1}\n{"a":', "f.jsonl:2:1: not a JSON object"),
        (b'{"a":1}\n{"a"\n[]\n7\n', "Expecting ':' delimiter: line 1 column 5 (char 4); lines 3, 4 are wrong"),
        (b'{"a":1}\n{"a":"x"}\n{"a":2}\n{"a":"y"}\n', "f.jsonl:2:1: column 'a' changed from number to string: 'x'; so it"),
        (b'{"a":{"b":1}}\n{"a":[1]}\n', "f.jsonl:2:1: column 'a' changed from object to array"),
        (b'{"a":"\xe9"}\n{"a":"x"}\n{"a":"\xe9"}\n', "f.jsonl:1:1: byte 0xe9 is not UTF-8 text; lines 3 are wrong"),
        ('{"a":1}\n'.encode("utf-16"), "f.jsonl:1:1: the text is UTF-16"),
        (b'{"a":1}\r{"a":2}\r', "f.jsonl:1:1: not a JSON object: Extra data"),
        (b'{"a":1}{"a":2}\n', "f.jsonl:1:1: not a JSON object: Extra data"),
        (b'{\n"a": 1\n}\n', "f.jsonl:1:1: not a JSON object"),
        (b'{"a":"x\0"}\n', "f.jsonl:1:1: not a JSON object: Invalid control character"),
        (b'{"a":1,"a":2}\n', "f.jsonl:1:1: Column(/a) was specified twice"),
        (b"", "f.jsonl: the file has no rows"),
        (GZIPPED, "f.jsonl:1:1: the file is packed with gzip"),
    ],
    ids=range(13),
)  # fmt: skip
def test_damaged_json_lines_are_refused_at_their_lines(tmp_path: Path, content: bytes, says: str) -> None:
    assert says in fault_of(tmp_path, "jsonl", ("f.jsonl", content))


def test_a_type_that_changes_in_the_last_line_of_many_chunks_is_told(tmp_path: Path) -> None:
    n_rows = PIECE_BYTES // 16
    lines = b"".join(b'{"a":%d}\n' % (10**9 + n) for n in range(n_rows))
    said = fault_of(tmp_path, "jsonl", ("f.jsonl", lines + b'{"a":[1]}\n'))
    assert f"f.jsonl:{n_rows + 1}:1: column 'a' changed from number to array: '[1]'" in said


TABLE = pa.table({"a": range(1000), "b": [f"text {n}" for n in range(1000)]})


def parquet(**options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(TABLE, sink, **options)
    return sink.getvalue()


def arrow(*, stream: bool) -> bytes:
    sink = io.BytesIO()
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(sink, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=100)
    return sink.getvalue()


def test_truncated_or_foreign_parquet_and_arrow_files_are_told(tmp_path: Path) -> None:
    whole = {"parquet": parquet(), "arrow": arrow(stream=False), "arrows": arrow(stream=True)}
    for suffix, content in whole.items():
        name, kind = f"f.{suffix}", suffix.rstrip("s")
        assert len(rows_of(tmp_path, kind, [(name, content)])) == 1000
        damages = [
            content[:-1],
            content[:-9],
            content[: len(content) // 2],
            content[:20],
            b"",
            HEAD * 3,
            b"\0" * 100,
        ]
        for damaged in damages:
            assert f"{name}: not a sound" in fault_of(tmp_path, kind, (name, damaged)), (suffix, len(damaged))
    wrong = b"PARX" + whole["parquet"][4:]
    assert "it starts with 50 41 52 58" in fault_of(tmp_path, "parquet", ("f.parquet", wrong))


def test_an_arrow_stream_that_is_cut_between_two_batches_is_no_shorter_stream(tmp_path: Path) -> None:
    content = arrow(stream=True)
    source, ends = pa.BufferReader(content), []
    while source.tell() < len(content) - 8:
        pa.ipc.read_message(source)
        ends.append(source.tell())
    assert len(ends) == 11
    for end in ends[1:]:
        assert "no end mark" in fault_of(tmp_path, "arrow", ("f.arrows", content[:end]))


def test_bytes_that_flip_in_a_parquet_file_are_told_where_it_has_checksums(tmp_path: Path) -> None:
    content = parquet(write_page_checksum=True, compression="none", use_dictionary=False)
    start = content.index(b"text 500")
    damaged = content[:start] + b"Z" + content[start + 1 :]
    assert "f.parquet: damaged at row 1 or after" in fault_of(tmp_path, "parquet", ("f.parquet", damaged))


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_or_cut_binary_file_is_a_fault_or_has_all_rows(tmp_path: Path, data: st.DataObject) -> None:
    suffix = data.draw(st.sampled_from(["parquet", "arrow", "arrows", "npz", "npy"]))
    content = bytearray(BINARY[suffix])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    kind = {"arrows": "arrow", "npz": "npy"}.get(suffix, suffix)
    rows = rows_or_fault(tmp_path, kind, f"f.{suffix}", bytes(content[:cut]))
    assert rows is None or len(rows) == 1000


def saved(array: np.ndarray) -> bytes:
    sink = io.BytesIO()
    np.save(sink, array)
    return sink.getvalue()


def zipped() -> bytes:
    sink = io.BytesIO()
    np.savez_compressed(sink, x=np.arange(1000), y=np.arange(1000.0))
    return sink.getvalue()


BINARY = {
    "parquet": parquet(),
    "arrow": arrow(stream=False),
    "arrows": arrow(stream=True),
    "npz": zipped(),
    "npy": saved(np.arange(1000)),
}


def test_damaged_arrays_are_told(tmp_path: Path) -> None:
    x, y = saved(np.arange(60.0).reshape(20, 3)), saved(np.arange(20))
    cases = [
        (x[:-7], "X.npy: the file is cut off in row 20 of 20"),
        (x[:40], "X.npy: the header of the array can't be read"),
        (x + b"z", "X.npy: there are more bytes than its 20 rows have"),
        (b"", "X.npy: the array is not of the .npy format"),
        (HEAD, "X.npy: the array is not of the .npy format"),
        (saved(np.arange(19)), "y.npy: array 'y' has 20 rows, but 'X' of X.npy has 19"),
        (saved(np.zeros((0, 3))), "y.npy: array 'y' has 20 rows"),
    ]
    for content, says in cases:
        assert says in fault_of(tmp_path, "npy", ("X.npy", content), ("y.npy", y))
    assert "there are no rows" in fault_of(tmp_path, "npy", ("X.npy", saved(np.zeros((0, 3)))))
    texts = saved(np.array([b"a", b"\xff", b"b", b"\xfe"]))
    assert "X.npy: array 'X' holds what is not UTF-8 text in rows 2, 4" in fault_of(
        tmp_path, "npy", ("X.npy", texts)
    )
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as packed:
        packed.writestr("readme.txt", "about")
    assert "f.npz: it holds 'readme.txt', which is no array" in fault_of(
        tmp_path, "npy", ("f.npz", sink.getvalue())
    )
    assert "f.npz: a damaged file" in fault_of(tmp_path, "npy", ("f.npz", zipped()[:-50]))


def idx(shape: tuple[int, ...], data: bytes) -> bytes:
    return bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + data


def test_damaged_idx_files_are_told(tmp_path: Path) -> None:
    images, labels = idx((10, 2, 2), bytes(40)), idx((10,), bytes(10))
    names = "t-images-idx3-ubyte", "t-labels-idx1-ubyte"
    cases = [
        (images[:-3], labels, f"{names[0]}: the file is cut off in row 10 of 10"),
        (images[:6], labels, f"{names[0]}: the header of the idx file is cut off"),
        (b"\1" + images[1:], labels, f"{names[0]}: not an idx file"),
        (images + b"x", labels, f"{names[0]}: there are more bytes"),
        (b"", labels, f"{names[0]}: not an idx file: it starts with nothing"),
        (images, labels[:-1], f"{names[1]}: the file is cut off"),
        (images, idx((9,), bytes(9)), f"{names[1]}: array 'label' has 9 rows"),
        (idx((0, 2, 2), b""), idx((0,), b""), f"{names[0]}: there are no rows"),
    ]
    for one, other, says in cases:
        assert says in fault_of(tmp_path, "idx", (names[0], one), (names[1], other))
    gzipped = (f"{names[0]}.gz", gzip.compress(images)[:-9])
    assert f"{names[0]}.gz: the file is cut off" in fault_of(tmp_path, "idx", gzipped, (names[1], labels))


def picture(kind: str, size: tuple[int, int] = (40, 40)) -> bytes:
    sink = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, size[::-1], np.uint8)
    Image.fromarray(pixels).save(sink, kind)
    return sink.getvalue()


def test_damaged_images_are_told_and_so_are_all_that_have_no_size(tmp_path: Path) -> None:
    png, jpeg = picture("PNG"), picture("JPEG")
    assert len(rows_of(tmp_path, "images", [("d/a.png", png), ("d/b.jpg", jpeg)])) == 2
    for content in (png[:-200], png[: len(png) // 2]):
        assert "d/b.png: a damaged image" in fault_of(
            tmp_path, "images", ("d/a.png", png), ("d/b.png", content)
        )
    assert "d/b.jpg: a damaged image" in fault_of(tmp_path, "images", ("d/b.jpg", jpeg[: len(jpeg) // 2]))
    said = fault_of(
        tmp_path, "images", ("d/a.png", png), ("d/b.png", b"x"), ("d/c.png", b""), ("d/e.png", HEAD)
    )
    assert "d/b.png: no image that can be read; nor can d/c.png, d/e.png be used" in said
    others = [(f"d/{n}.png", picture("PNG", (n, 9))) for n in range(1, 15)]
    said = fault_of(tmp_path, "images", ("d/0.png", picture("PNG")), *others)
    assert "d/1.png: the image is 1x9 pixels, but d/0.png is 40x40; others are d/2.png 2x9" in said
    assert "d/10.png 10x9 and 4 more" in said
    assert "d/a.pgm: a damaged image: it is cut off" in fault_of(
        tmp_path, "images", ("d/a.pgm", b"P5 4 4 255 123")
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xe9\nok\n\xe9\n", "f.txt:1:1: byte 0xe9 is not UTF-8 text; so it is in line 3"),
        (b"a\nb\0c\n", "f.txt:2:1: a null byte"),
        (b"a\rb\rc", "f.txt:1:1: a carriage return without a line feed"),
        ("ab\n".encode("utf-16"), "f.txt:1:1: the text is UTF-16"),
        (b"", "f.txt: the file has no text"),
        (b"\n \n", "f.txt: the file has no text"),
    ],
    ids=range(6),
)
def test_damaged_text_is_refused_at_its_lines(tmp_path: Path, content: bytes, says: str) -> None:
    assert says in fault_of(tmp_path, "text", ("f.txt", content))


FIELDS = st.text(alphabet=st.sampled_from('ab1.- "\n\r,;é\0?NA'), max_size=5)
ROWS = st.lists(st.lists(FIELDS, min_size=3, max_size=3), min_size=1, max_size=8)
EDITS = st.lists(st.tuples(st.integers(0, 400), st.sampled_from(b'",\n\r a\0\xe91;')), max_size=4)


def edited(content: bytes, edits: Sequence[tuple[int, int]]) -> bytes:
    changed = bytearray(content)
    for position, byte in edits:
        if byte % 3 == 0:
            changed.insert(position % (len(changed) + 1), byte)
        elif byte % 3 == 1:
            changed[position % len(changed)] = byte
        else:
            del changed[position % len(changed)]
            changed = changed or bytearray(b"a")
    return bytes(changed)


@given(ROWS, EDITS, st.sampled_from(["\n", "\r\n"]))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_csv_is_refused_or_every_cell_is_what_pythons_parser_sees(
    tmp_path: Path, rows: list[list[str]], edits: list[tuple[int, int]], end: str
) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator=end).writerows([["a", "b", "c"], *rows])
    content = edited(text.getvalue().encode(), edits)
    types = dict.fromkeys("abc", "text")
    found = rows_or_fault(tmp_path, "csv", "f.csv", content, types=types)
    if found is None:
        return
    expected = [row for row in csv.reader(io.StringIO(content.decode(), newline="")) if row]
    assert len(found) == len(expected) - 1
    if list(found[0]) == ["a", "b", "c"]:
        blank = " \t\n\v\f\r"
        wanted = [
            [None if cell.strip(blank) in MISSING else cell.strip(blank) for cell in row]
            for row in expected[1:]
        ]
        assert [list(row.values()) for row in found] == wanted


VALUES = st.one_of(
    st.integers(), st.floats(), st.booleans(), st.none(), FIELDS, st.lists(st.integers(), max_size=2)
)
OBJECTS = st.lists(st.dictionaries(st.sampled_from("abé"), VALUES, max_size=3), min_size=1, max_size=6)


@given(OBJECTS, EDITS)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_json_lines_are_refused_or_every_line_is_a_row(
    tmp_path: Path, rows: list[dict[str, object]], edits: list[tuple[int, int]]
) -> None:
    content = edited("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(), edits)
    for types in ({}, {"a": "int", "b": "text"}):
        found = rows_or_fault(tmp_path, "jsonl", "f.jsonl", content, types=types, tolerant=frozenset(types))
        assert found is None or len(found) == len([line for line in content.split(b"\n") if line.strip()])
