"""Columns reckoned from others."""

import os
import subprocess
import sys

import pyarrow as pa
import pytest

from fiat.data.columns import ColumnChoice, choose_features
from fiat.data.derive import derive_columns
from fiat.data.row_hash import hash_rows
from fiat.data.stream import Piece, Reading
from fiat.errors import SpecError

ROWS = pa.RecordBatch.from_pydict(
    {"tips": [1.0, 0.0, None], "fare": [2.0, 3.0, 4.0], "n": [1, 2, 3], "text": ["a", "B", None]}
)


def reading() -> Reading:
    halves = [ROWS.slice(0, 2), ROWS.slice(2)]
    return Reading(ROWS.schema, lambda: (Piece(half, ("f",), 1 + 2 * at) for at, half in enumerate(halves)))


def derived(**expressions: str) -> pa.Table:
    made = derive_columns(reading(), expressions)
    return pa.Table.from_batches([piece.batch for piece in made.pieces()], made.schema)


@pytest.mark.parametrize(
    ("expression", "kind", "values"),
    [
        ("tips > 0.2 * fare", pa.bool_(), [True, False, None]),
        ("n + 1", pa.int64(), [2, 3, 4]),
        ("n / 2", pa.float64(), [0.5, 1.0, 1.5]),
        ("lower(text)", pa.string(), ["a", "b", None]),
        ("CASE WHEN tips IS NULL THEN 'none' ELSE 'some' END", pa.string(), ["some", "some", "none"]),
        ("n -- a comment", pa.int64(), [1, 2, 3]),
        ("date_diff('day', DATE '2020-01-01', DATE '2020-01-03')", pa.int64(), [2, 2, 2]),
        ("1.25", pa.float64(), [1.25, 1.25, 1.25]),
    ],
)
def test_an_expression_is_reckoned_for_each_row(
    expression: str, kind: pa.DataType, values: list[object]
) -> None:
    table = derived(new=expression)
    assert table.column("new").type == kind
    assert table.column("new").to_pylist() == values
    assert table.drop_columns(["new"]).to_pylist() == ROWS.to_pylist()


@pytest.mark.parametrize(
    ("expression", "word"),
    [
        ("sum(n)", "call of sum"),
        ("(SELECT 1)", "subquery"),
        ("EXISTS (FROM duckdb_settings())", "subquery"),
        ("1); DROP TABLE row; SELECT (2", "second statement"),
        ("row_number() OVER ()", "window"),
        ("random()", "call of random"),
        ("now()", "call of now"),
        ("date_diff('day', DATE '2020-01-01', current_date)", "no expression of one row"),
        ("read_text('/etc/passwd')", "call of read_text"),
        ("current_setting('threads')", "call of current_setting"),
        ("len(range(1000000000))", "call of range"),
        ("len(repeat('x', 1000000000))", "call of repeat"),
        ("tipz > 1", "tipz"),
        ("n +", "syntax error"),
    ],
)
def test_what_is_no_expression_of_one_row_is_refused(expression: str, word: str) -> None:
    with pytest.raises(SpecError, match=word):
        derived(new=expression)


def test_a_value_that_can_not_be_reckoned_is_told() -> None:
    with pytest.raises(SpecError, match="derive.year: Could not parse") as fault:
        derived(year="strptime(text, '%Y')")
    assert fault.value.hint == "the expression is `strptime(text, '%Y')`"


def test_a_column_that_is_there_is_not_written_over() -> None:
    with pytest.raises(SpecError, match="have a column 'n' already"):
        derived(n="1")


def test_a_derived_column_is_no_feature_and_moves_no_row_to_another_split() -> None:
    made = derive_columns(reading(), {"big": "tips > 0.2 * fare"})
    assert choose_features(made.schema, ColumnChoice(label="big")) == ("tips", "fare", "n", "text")
    before = [hash_rows(piece.batch).tolist() for piece in reading().pieces()]
    assert [hash_rows(piece.batch).tolist() for piece in made.pieces()] == before


def test_times_are_the_same_on_a_machine_of_another_zone() -> None:
    program = (
        "import pyarrow as pa\n"
        "from fiat.data.derive import derive_columns\n"
        "from fiat.data.stream import Piece, Reading\n"
        "rows = pa.RecordBatch.from_arrays([pa.array([0], pa.timestamp('us', 'UTC'))], names=['moment'])\n"
        "said = {'hour': 'hour(moment)', 'written': 'moment::text', 'day': \"date_trunc('day', moment)\"}\n"
        "made = derive_columns(Reading(rows.schema, lambda: iter([Piece(rows, ('f',), 1)])), said)\n"
        "(piece,) = made.pieces()\n"
        "print(made.schema.field('day').type, *piece.batch.select(['hour', 'written']).to_pylist()[0].values())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TZ": "Asia/Tokyo"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "timestamp[us, tz=UTC] 0 1970-01-01 00:00:00+00"
