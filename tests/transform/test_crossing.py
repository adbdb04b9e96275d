import math

import numpy as np
import pyarrow as pa
import pytest

from fiat.errors import SpecError
from fiat.transform.distinct import DistinctRunner
from fiat.transform.fit import fit_transforms
from fiat.transform.model import Entry, Fitted

ALL = {"max": 100, "min_rows": 1, "unknown": "other"}
TRAIN = pa.table(
    {
        "city": ["ab", "a", "a", None],
        "kind": ["c", "bc", "bc", ""],
        "hour": [1, 2, 2, None],
        "fare": [0.5, 10.0, math.nan, 30.0],
    }
)


def crossed(columns: tuple[str, ...], *apply: tuple[str, object]) -> Fitted:
    return fit_transforms(TRAIN, columns, [Entry(columns, apply, key="transform[0]")])


def features(fitted: Fitted, table: pa.Table) -> list[list[float]]:
    found: list[list[float]] = DistinctRunner(fitted).run(table.to_batches()[0])["features"].tolist()
    return found


def test_texts_that_are_equal_only_when_run_together_are_different_crosses() -> None:
    fitted = crossed(("city", "kind"), ("cross", True), ("one_hot", ALL))
    assert features(fitted, TRAIN) == [[0, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]]
    served = pa.table({"city": ["abc", "a", ""], "kind": ["", "bc", "x"]})
    assert features(fitted, served) == [[0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 1]]


def test_whole_numbers_and_buckets_are_crossed_by_their_digits_and_missing_ones_are_empty() -> None:
    fitted = crossed(("city", "hour"), ("cross", True), ("ordinal", ALL))
    assert features(fitted, TRAIN) == [[1], [0], [0], [2]]


def test_operations_before_a_cross_are_each_columns_own() -> None:
    fitted = crossed(("city", "kind"), ("lower", True), ("cross", True), ("ordinal", ALL))
    upper = pa.table({"city": ["A", "AB"], "kind": ["BC", "C"]})
    assert features(fitted, upper) == features(fitted, TRAIN.slice(0, 2))[::-1]


def test_numbers_that_are_not_whole_can_be_crossed_as_buckets() -> None:
    with pytest.raises(SpecError, match=r"transform\[0\]\.apply\[0\]: column 'fare' holds 0.5"):
        crossed(("fare", "hour"), ("cross", True))
    fitted = crossed(("fare", "hour"), ("bucketize", {"edges": [2, 20]}), ("cross", True), ("one_hot", ALL))
    assert fitted.outputs[0].shape == (5,)
    np.testing.assert_array_equal(np.sum(features(fitted, TRAIN), axis=1), 1)
    assert len({tuple(row) for row in features(fitted, TRAIN)}) == 4


def test_one_column_alone_is_no_cross() -> None:
    with pytest.raises(SpecError, match="`cross` takes two columns or more"):
        crossed(("city",), ("cross", True))
    with pytest.raises(SpecError, match="takes one value a row, 'city=a' has 4"):
        crossed(("city", "kind"), ("one_hot", ALL), ("cross", True))
