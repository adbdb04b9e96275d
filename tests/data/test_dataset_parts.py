"""Several workers go through the same batches together, each through its part."""

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fiat.data.columns import ColumnChoice
from fiat.data.dataset import Dataset, open_dataset
from fiat.data.part import Part
from fiat.data.split import AllTrain
from fiat.data.stream import Piece, Reading
from fiat.data.write import write_dataset


def folder_of(tmp_path: Path, n_rows: int) -> Path:
    whole = pa.record_batch({"x": np.arange(n_rows)})
    reading = Reading(whole.schema, lambda: iter([Piece(whole, ("f.csv",), 1)]))
    write_dataset(tmp_path / "d", reading, AllTrain(), ColumnChoice(), "abc")
    return tmp_path / "d"


def rows(data: Dataset, size: int, shuffle: int | None = None, *, shared: bool = True) -> list[list[int]]:
    batches = data.train.batches(size, shuffle=shuffle, shared=shared)
    return [batch.columns["x"].tolist() for batch in batches]


@pytest.mark.parametrize("n_workers", [1, 2, 3, 4])
@pytest.mark.parametrize("shuffle", [None, 7])
def test_the_parts_of_all_workers_are_the_batches_of_one_alone(
    tmp_path: Path, n_workers: int, shuffle: int | None
) -> None:
    folder = folder_of(tmp_path, 1003)
    alone = rows(open_dataset(folder), 64, shuffle)
    parts = [rows(open_dataset(folder, (rank, n_workers)), 64, shuffle) for rank in range(n_workers)]
    assert [sum(together, []) for together in zip(*parts, strict=True)] == alone
    counts = [[len(batch) for batch in part] for part in parts]
    assert all(max(column) - min(column) <= 1 for column in zip(*counts, strict=True))


def test_a_last_batch_that_is_no_more_than_a_part_goes_to_each_worker_whole(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 10)
    assert [rows(open_dataset(folder, (rank, 4)), 8)[-1] for rank in range(4)] == [[8, 9]] * 4
    assert [rows(open_dataset(folder, (rank, 4)), 9)[-1] for rank in range(4)] == [[9]] * 4
    assert [rows(open_dataset(folder, (rank, 2)), 6)[-1] for rank in range(2)] == [[6, 7], [8, 9]]


def test_each_worker_has_a_row_where_the_last_batch_has_fewer_than_workers(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 8)
    assert [rows(open_dataset(folder, (rank, 4)), 5)[-1] for rank in range(4)] == [[5], [5], [6], [7]]
    assert [rows(open_dataset(folder, (rank, 9)), 8) for rank in range(9)][:2] == [[[0]], [[0]]]


def test_a_split_as_a_whole_is_the_same_for_every_worker(tmp_path: Path) -> None:
    data = open_dataset(folder_of(tmp_path, 10), (1, 2))
    assert data.train.n_rows == 10
    assert data.train.features[:, 0].tolist() == list(range(10))
    assert rows(data, 4, shared=False) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert list(data.test.batches(4)) == []


def test_the_rows_that_are_handed_out_are_counted_batch_by_batch(tmp_path: Path) -> None:
    counted: list[int] = []
    data = open_dataset(folder_of(tmp_path, 10), (0, 2), counted.append)
    batches = data.train.batches(4)
    next(batches)
    assert counted == [2]
    assert len(list(batches)) == 2
    assert counted == [2, 2, 2]


def test_a_copy_in_another_process_has_the_part_and_counts_nothing(tmp_path: Path) -> None:
    counted: list[int] = []
    data = open_dataset(folder_of(tmp_path, 10), (1, 2), lambda n_rows: counted.append(n_rows))
    assert rows(pickle.loads(pickle.dumps(data)), 4) == rows(data, 4) == [[2, 3], [6, 7], [8, 9]]
    assert len(counted) == 3


def test_a_part_of_nothing_is_nothing() -> None:
    assert [Part(rank, 3).of(0, 4) for rank in range(3)] == [slice(0, 0)] * 3
