"""Rows that are picked column by column are those that Arrow itself would take."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiat.data.batch import Batch, Meaning
from fiat.data.columns import ColumnChoice
from fiat.data.dataset import open_dataset
from fiat.data.layout import as_array, as_matrix
from fiat.data.picked import Mapped, Picked
from fiat.data.split import AllTrain
from fiat.data.stream import Piece, Reading, tensor_array
from fiat.data.write import write_dataset
from fiat.errors import SpecError

N_ROWS = 60
NAMES = ("small", "large", "ratio", "half", "holes", "member", "kind", "image")


def rows_in_chunks(lengths: list[int]) -> pa.Table:
    """The same 60 rows in chunks of these lengths and one of the rest."""
    draw = np.random.default_rng(3)
    batch = pa.record_batch(
        {
            "small": pa.array(draw.integers(0, 255, N_ROWS), pa.uint8()),
            "large": pa.array([2**64 - 1 - row for row in range(N_ROWS)], pa.uint64()),
            "ratio": pa.array(draw.normal(size=N_ROWS), pa.float64()),
            "half": pa.array(draw.normal(size=N_ROWS).astype(np.float16)),
            "holes": pa.array([None if row % 11 == 4 else row for row in range(N_ROWS)], pa.int32()),
            "member": pa.array([row % 3 == 0 for row in range(N_ROWS)]),
            "kind": pa.array(["abc"[row % 3] for row in range(N_ROWS)]),
            "image": tensor_array(draw.integers(0, 256, (N_ROWS, 2, 3), np.uint8)),
        }
    )
    edges = [0]
    for length in lengths:
        edges.append(min(N_ROWS, edges[-1] + length))
    edges.append(N_ROWS)
    return pa.Table.from_batches(
        [batch.slice(low, high - low) for low, high in pairwise(edges)], batch.schema
    )


@given(st.lists(st.integers(0, 40), max_size=4), st.lists(st.integers(0, N_ROWS - 1), max_size=30))
def test_picked_rows_are_those_that_arrow_takes(lengths: list[int], numbers: list[int]) -> None:
    table = rows_in_chunks(lengths)
    wanted = table.combine_chunks().take(pa.array(numbers, pa.int64()))
    picked = Picked(Mapped(table), np.array(numbers, np.int64))
    assert len(picked) == len(numbers)
    for name in NAMES:
        expected = as_array(wanted.column(name))
        found = picked.array(name)
        assert (found is None) == (name in ("holes", "member", "kind"))
        got = as_array(picked.column(name)) if found is None else found
        assert got.dtype == expected.dtype
        assert got.flags.writeable
        np.testing.assert_array_equal(got, expected)
    assert picked.table.select(NAMES[:-1]).equals(wanted.select(NAMES[:-1]))


@given(st.lists(st.integers(0, 40), max_size=4), st.lists(st.integers(0, N_ROWS - 1), max_size=30))
def test_a_matrix_of_picked_rows_is_that_of_the_table(lengths: list[int], numbers: list[int]) -> None:
    table, names = rows_in_chunks(lengths), ("small", "large", "ratio", "half", "holes", "member")
    batch = Batch(
        Picked(Mapped(table), np.array(numbers, np.int64)), Meaning("kind", ("a", "b", "c"), names, "matrix")
    )
    expected = as_matrix(table.take(pa.array(numbers, pa.int64())), names)
    np.testing.assert_array_equal(batch.features, expected)
    assert batch.features.dtype == np.float32
    assert batch.codes.tolist() == [number % 3 for number in numbers]


def test_codes_tell_apart_labels_beyond_what_a_float_can() -> None:
    labels = [2**63 + 1, 2**63, 2**63 + 2]
    table = pa.table({"label": pa.array(labels, pa.uint64())})
    meaning = Meaning("label", tuple(sorted(labels)), (), "matrix")
    assert Batch(Picked(Mapped(table), np.arange(3)), meaning).codes.tolist() == [1, 0, 2]


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint16(), pa.int64(), pa.uint64()])
def test_codes_of_whole_numbers_are_places_in_the_classes(kind: pa.DataType) -> None:
    table = pa.table({"label": pa.array([7, 3, 9, 3], kind)})
    rows = Picked(Mapped(table), np.array([3, 0, 1, 2, 0]))
    codes = Batch(rows, Meaning("label", (3, 7, 9), (), "matrix")).codes
    assert codes.tolist() == [0, 1, 0, 2, 1]
    assert codes.dtype == np.int64
    for classes in ((3, 7), (7, 9), (3, 9)):
        with pytest.raises(SpecError, match="label [379] is no class of train"):
            _ = Batch(rows, Meaning("label", classes, (), "matrix")).codes


def test_going_through_images_loads_no_pandas(tmp_path: Path) -> None:
    columns = {"image": tensor_array(np.zeros((50, 4, 4), np.uint8)), "label": np.arange(50) % 5}
    whole = pa.record_batch(columns)
    reading = Reading(whole.schema, lambda: iter([Piece(whole, ("f",), 1)]))
    write_dataset(tmp_path / "d", reading, AllTrain(), ColumnChoice("label"), "abc")
    assert open_dataset(tmp_path / "d").train.n_rows == 50
    program = f"""
import sys
from pathlib import Path
from fiat.data.dataset import open_dataset
n_rows = 0
for batch in open_dataset(Path({str(tmp_path / "d")!r})).train.batches(16, shuffle=1):
    n_rows += len(batch.features) + len(batch.codes)
print(n_rows, "pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["100", "False"]
