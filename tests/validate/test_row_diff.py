"""Row by row: what came, what went, what changed, with few examples and in bounded memory."""

import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiat.data.read import read_files
from fiat.data.stream import ReadOptions, SourceFile, tensor_array
from fiat.errors import SpecError
from fiat.validate.row_diff import (
    Cell,
    RowDiff,
    RowSource,
    dataset_rows,
    diff_rows,
    reading_rows,
    table_rows,
)
from fiat.validate.row_sums import Place
from tests.validate.folders import dataset

PENGUINS = Path(__file__).parents[3] / "shared" / "data" / "penguins" / "penguins_processed.csv"


def birds(n_rows: int = 50) -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "id": np.arange(n_rows) + 100,
            "species": [("Adelie", "Gentoo")[row % 2] for row in range(n_rows)],
            "mass": rng.normal(4000, 500, n_rows).round(1),
            "flipper": pa.array([None if row % 9 == 5 else 180 + row for row in range(n_rows)]),
        }
    )


def with_value(table: pa.Table, column: str, row: int, value: object) -> pa.Table:
    values = table.column(column).to_pylist()
    values[row] = value
    index = table.schema.get_field_index(column)
    return table.set_column(index, column, pa.array(values, table.schema.field(column).type))


def diff(before: pa.Table, after: pa.Table, *key: str) -> RowDiff:
    return diff_rows(table_rows(before), table_rows(after), key)


def test_equal_tables_have_no_difference_in_whatever_order_and_pieces() -> None:
    table = birds()
    order = np.random.default_rng(1).permutation(50)
    other = pa.concat_tables([table.take(pa.array(order[:20])), table.take(pa.array(order[20:]))])
    for key in ((), ("id",)):
        found = diff(table, other.select(["mass", "id", "flipper", "species"]), *key)
        assert found.same
        assert (found.n_before, found.n_after, found.n_equal) == (50, 50, 50)
        assert found.examples == ()


@pytest.mark.parametrize("key", [(), ("id",)])
def test_one_changed_value_is_found_with_its_place(key: tuple[str, ...]) -> None:
    table = birds()
    other = with_value(table, "mass", 17, 1.5)
    found = diff(table, other, *key)
    assert (found.n_changed, found.n_added, found.n_removed, found.n_equal) == (1, 0, 0, 49)
    assert found.changed_in == (("mass", 1),)
    (example,) = found.examples
    assert example.kind == "changed"
    assert example.before == example.after == Place("", 18)
    assert example.cells == (Cell("mass", table.column("mass")[17].as_py(), 1.5),)
    assert example.key == ((("id", 117),) if key else ())


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_value_that_went_missing_is_a_change(value: float | None) -> None:
    found = diff(birds(), with_value(birds(), "mass", 3, value), "id")
    assert found.n_changed == 1
    assert found.examples[0].cells[0].after in (None, "NaN")


def test_rows_that_came_and_went_are_told_whole() -> None:
    table = birds()
    found = diff(table.slice(0, 48), table.slice(3), "id")
    assert (found.n_added, found.n_removed, found.n_changed, found.n_equal) == (2, 3, 0, 45)
    removed = [item for item in found.examples if item.kind == "removed"]
    added = [item for item in found.examples if item.kind == "added"]
    assert [item.before for item in removed] == [Place("", 1), Place("", 2), Place("", 3)]
    assert [item.after for item in added] == [Place("", 46), Place("", 47)]
    assert added[0].cells[0] == Cell("id", None, 148)
    assert removed[0].after is None
    assert removed[0].key == (("id", 100),)


def test_with_a_key_rows_belong_together_however_much_they_changed() -> None:
    table = birds()
    other = table
    for column, value in (("species", "Chinstrap"), ("mass", 1.0), ("flipper", 1)):
        other = with_value(other, column, 9, value)
    assert diff(table, other, "id").n_changed == 1
    assert [cell.column for cell in diff(table, other, "id").examples[0].cells] == [
        "species",
        "mass",
        "flipper",
    ]
    without = diff(table, other)
    assert (without.n_changed, without.n_added, without.n_removed) == (0, 1, 1)


def test_without_a_key_rows_are_counted_as_often_as_they_are_there() -> None:
    one, other = pa.table({"a": [1, 1, 1, 2], "b": [5, 5, 5, 6]}), pa.table({"a": [1, 2, 2], "b": [5, 6, 6]})
    found = diff(one, other)
    assert (found.n_equal, found.n_removed, found.n_added) == (2, 2, 1)
    assert {item.before for item in found.examples if item.kind == "removed"} == {Place("", 2), Place("", 3)}


rows = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab")), max_size=25)


@settings(max_examples=80, deadline=None)
@given(rows, rows)
def test_counts_are_those_of_multisets(before: list[tuple[int, str]], after: list[tuple[int, str]]) -> None:
    def source(part: list[tuple[int, str]]) -> pa.Table:
        return pa.table(
            {
                "n": pa.array([n for n, _ in part], pa.int64()),
                "t": pa.array([t for _, t in part], pa.string()),
            }
        )

    found = diff(source(before), source(after))
    gone, come = Counter(before) - Counter(after), Counter(after) - Counter(before)
    assert (found.n_removed, found.n_added) == (gone.total(), come.total())
    assert found.n_equal == (Counter(before) & Counter(after)).total()
    assert found.n_before == found.n_equal + found.n_removed + found.n_changed
    assert found.n_after == found.n_equal + found.n_added + found.n_changed


def test_a_key_that_is_there_twice_names_a_row() -> None:
    table = with_value(birds(), "id", 7, 103)
    with pytest.raises(SpecError, match=r"1 rows of the second side have a key \(id\).*such as row 8"):
        diff(birds(), table, "id")


def test_a_key_that_is_no_column_names_the_side() -> None:
    with pytest.raises(SpecError, match="key 'id' is no column of the second side"):
        diff(birds(), birds().drop_columns(["id"]), "id")


def test_columns_of_one_side_are_told_and_the_rest_is_compared() -> None:
    table = birds()
    other = table.drop_columns(["flipper"]).append_column("island", pa.array(["Dream"] * 50))
    found = diff(table, other, "id")
    assert (found.columns_removed, found.columns_added) == (("flipper",), ("island",))
    assert found.n_equal == 50
    assert not found.same
    with pytest.raises(SpecError, match="no column in common"):
        diff(table, pa.table({"else": [1]}))


def test_a_whole_number_equals_the_same_number_with_a_point() -> None:
    assert diff(pa.table({"a": [1, 2]}), pa.table({"a": [1.0, 2.0]})).same


def test_examples_are_few_and_counts_whole() -> None:
    table = birds(2000)
    other = table.set_column(2, "mass", pa.array(np.arange(2000.0)))
    found = diff(table, other)
    assert found.n_changed == 2000
    assert found.changed_in == (("mass", 2000),)
    assert len(found.examples) == 10


def test_rows_of_two_changed_values_are_paired_where_most_is_equal() -> None:
    rng = np.random.default_rng(2)
    table = pa.table({f"c{index}": rng.normal(size=300) for index in range(7)})
    other = table
    for row in range(0, 300, 3):
        other = with_value(with_value(other, "c1", row, 0.5), "c4", row, 1.5)
    found = diff(table, other)
    assert (found.n_changed, found.n_added, found.n_removed) == (100, 0, 0)
    assert found.changed_in == (("c1", 100), ("c4", 100))
    assert all(item.before == item.after for item in found.examples)


def test_datasets_are_compared_over_their_splits(tmp_path: Path) -> None:
    table = birds()
    before = dataset(tmp_path / "a", train=table.slice(0, 40), test=table.slice(40))
    changed = with_value(table, "species", 44, "Chinstrap")
    after = dataset(
        tmp_path / "b", train=changed.slice(0, 30), eval_=changed.slice(30, 10), test=changed.slice(40)
    )
    found = diff_rows(dataset_rows(before), dataset_rows(after), ["id"])
    assert (found.n_changed, found.n_equal) == (1, 49)
    (example,) = found.examples
    assert (example.before, example.after) == (Place("test", 5), Place("test", 5))
    assert example.cells == (Cell("species", "Adelie", "Chinstrap"),)


def test_files_are_compared_as_they_are_read(tmp_path: Path) -> None:
    for name, second in (("a", "2,y"), ("b", "2,z")):
        (tmp_path / f"{name}.csv").write_text(f"n,t\n1,x\n{second}\n3,w\n")
    sources = [
        reading_rows(read_files([SourceFile(tmp_path / f"{name}.csv", f"{name}.csv")], ReadOptions("csv")))
        for name in "ab"
    ]
    found = diff_rows(sources[0], sources[1], ["n"])
    assert found.examples[0].cells == (Cell("t", "y", "z"),)


def test_pictures_are_compared_and_shown_shortly() -> None:
    pixels = np.zeros((3, 16, 16), np.uint8)
    other = pixels.copy()
    other[1, 3, 3] = 9
    names = ["a", "b", "c"]
    found = diff(
        pa.table({"name": names, "image": tensor_array(pixels)}),
        pa.table({"name": names, "image": tensor_array(other)}),
        "name",
    )
    (cell,) = found.examples[0].cells
    assert cell.column == "image"
    assert cell.before == {"shape": "16x16", "first": [0] * 10}


def test_memory_does_not_hold_the_rows() -> None:
    n_rows, width = 200_000, 30
    schema = pa.schema([pa.field(f"c{index}", pa.float64()) for index in range(width)])

    def batches(change: int) -> Iterator[tuple[str, pa.RecordBatch]]:
        for start in range(0, n_rows, 10_000):
            values = np.random.default_rng(start).normal(size=(width, 10_000))
            if start <= change < start + 10_000:
                values[3, change - start] = 7
            yield "train", pa.record_batch([pa.array(part) for part in values], schema)

    tracemalloc.start()
    found = diff_rows(RowSource(schema, lambda: batches(-1)), RowSource(schema, lambda: batches(123_456)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.n_changed == 1
    assert found.examples[0].after == Place("train", 123_457)
    assert peak < 80 * n_rows, f"{peak / n_rows:.0f} bytes a row; a row has {8 * width}"


@pytest.mark.skipif(not PENGUINS.is_file(), reason=f"{PENGUINS} is not here")
def test_one_changed_value_of_the_penguins_is_found_without_a_key() -> None:
    table = pyarrow.csv.read_csv(PENGUINS)
    found = diff(table, with_value(table, "body_mass_g", 100, 0.5))
    assert (found.n_changed, found.n_added, found.n_removed, found.n_equal) == (1, 0, 0, 333)
    (example,) = found.examples
    assert example.after == Place("", 101)
    assert [cell.column for cell in example.cells] == ["body_mass_g"]
