"""Samples: the same rows for the same seed, of the size that is asked for, in every split."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiat.data.sample import SampleRule, sample_rows
from fiat.data.split import ByShares
from fiat.data.stream import ABOUT, Piece, Reading
from fiat.errors import SpecError


def reading(ids: np.ndarray, *, piece_rows: int = 1000, copies: int = 1) -> Reading:
    whole = pa.record_batch({"id": np.repeat(ids, copies), "kind": np.repeat(ids % 7, copies)})
    starts = range(0, whole.num_rows, piece_rows)
    return Reading(
        whole.schema, lambda: iter([Piece(whole.slice(s, piece_rows), ("f.csv",), s + 1) for s in starts])
    )


def ids(read: Reading, rule: SampleRule) -> list[int]:
    sampled = sample_rows(read, rule)
    found = [value for piece in sampled.reading.pieces() for value in piece.batch.column("id").to_pylist()]
    assert sampled.count.kept == len(found)
    return found


def test_a_row_that_is_taken_stays_so_as_data_grows_and_whatever_its_order() -> None:
    rule = SampleRule(ratio=0.3, seed=5)
    small, large = ids(reading(np.arange(5000)), rule), ids(reading(np.arange(20_000)), rule)
    assert [value for value in large if value < 5000] == small
    assert abs(len(large) / 20_000 - 0.3) < 0.02
    turned = ids(reading(np.arange(5000)[::-1], piece_rows=77), rule)
    assert sorted(turned) == small


def test_another_seed_takes_other_rows() -> None:
    taken = [set(ids(reading(np.arange(10_000)), SampleRule(ratio=0.5, seed=seed))) for seed in (0, 1)]
    assert 2000 < len(taken[0] & taken[1]) < 3000


@pytest.mark.parametrize("rows", [1, 10, 999, 65_537])
def test_rows_are_exactly_so_many(rows: int) -> None:
    read = reading(np.arange(70_000), piece_rows=4096)
    found = ids(read, SampleRule(rows=rows))
    assert len(set(found)) == len(found) == rows
    assert found == sorted(found)
    assert ids(read, SampleRule(rows=rows)) == found


@given(st.integers(1, 60), st.integers(1, 40), st.integers(1, 5), st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_rows_are_exact_among_equal_rows_too(rows: int, n_ids: int, copies: int, piece_rows: int) -> None:
    read = reading(np.arange(n_ids), piece_rows=piece_rows, copies=copies)
    assert len(ids(read, SampleRule(rows=rows))) == min(rows, n_ids * copies)


def test_all_rows_are_taken_by_a_ratio_of_one() -> None:
    assert len(ids(reading(np.arange(3000)), SampleRule(ratio=1.0))) == 3000


def test_a_sample_is_independent_of_the_split() -> None:
    """By one hash for both, half of the rows would all fall into train."""
    sampled = sample_rows(reading(np.arange(20_000)), SampleRule(ratio=0.5))
    codes = np.concatenate([ByShares((1, 0, 1)).assign(piece) for piece in sampled.reading.pieces()])
    assert abs(float((codes == 2).mean()) - 0.5) < 0.02


def test_rows_of_one_key_are_taken_together() -> None:
    sampled = sample_rows(reading(np.arange(7000)), SampleRule(ratio=0.5, key="kind"))
    kinds = [value for piece in sampled.reading.pieces() for value in piece.batch.column("kind").to_pylist()]
    counts = {kind: kinds.count(kind) for kind in set(kinds)}
    assert 0 < len(counts) < 7
    assert set(counts.values()) == {1000}
    with pytest.raises(SpecError, match="column 'nope'"):
        sample_rows(reading(np.arange(10)), SampleRule(ratio=0.5, key="nope"))


def test_rows_read_are_counted_and_rows_keep_their_numbers() -> None:
    sampled = sample_rows(reading(np.arange(2000), piece_rows=300), SampleRule(rows=50))
    for _ in range(2):
        for piece in sampled.reading.pieces():
            for index, value in enumerate(piece.batch.column("id").to_pylist()):
                assert piece.row_number(index) == value + 1
        assert (sampled.count.read, sampled.count.kept) == (2000, 50)


def test_images_keep_their_files(tmp_path: Path) -> None:
    names = tuple(f"{n}.png" for n in range(40))
    schema = pa.schema([pa.field("x", pa.int64()), pa.field("path", pa.string(), metadata=ABOUT)])
    batch = pa.record_batch([pa.array(range(40)), pa.array(names)], schema)
    sampled = sample_rows(Reading(schema, lambda: iter([Piece(batch, names, 1)])), SampleRule(rows=5))
    (piece,) = sampled.reading.pieces()
    assert list(piece.files) == piece.batch.column("path").to_pylist()
    assert len(piece.files) == 5


def test_both_or_neither_way_is_refused() -> None:
    for rule in (SampleRule(), SampleRule(ratio=0.5, rows=5)):
        with pytest.raises(SpecError, match="one of `ratio` and `rows`"):
            sample_rows(reading(np.arange(10)), rule)
