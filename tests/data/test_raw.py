from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest

from fiat.data.raw import RawColumn, raw_columns, raw_feed
from fiat.errors import SpecError

MOMENT = datetime(2024, 2, 29, 13, 5, 7, 250_000)  # noqa: DTZ001 - columns without a zone are what is tested


def fed(values: pa.Array) -> list[object]:
    table = pa.table({"x": values})
    return raw_feed(table, raw_columns(table.schema, ["x"]))["x"].reshape(-1).tolist()


def test_numbers_and_bools_are_float64_and_missing_ones_are_nan() -> None:
    table = pa.table({"a": pa.array([1, None], pa.int32()), "b": [True, None], "c": [0.5, 2.0]})
    feed = raw_feed(table, raw_columns(table.schema, table.schema.names))
    assert {array.dtype.name for array in feed.values()} == {"float64"}
    assert all(array.shape == (2, 1) for array in feed.values())
    np.testing.assert_array_equal(np.hstack(list(feed.values())), [[1, 1, 0.5], [np.nan, np.nan, 2]])


def test_whole_numbers_beyond_what_a_float_holds_become_the_nearest_one() -> None:
    assert fed(pa.array([2**63 - 1], pa.int64())) == [float(2**63)]


def test_a_missing_text_is_the_empty_text_and_dictionaries_are_their_texts() -> None:
    assert fed(pa.array(["a", None, "é"])) == ["a", "", "é"]
    assert fed(pa.array(["a", None, "a"]).dictionary_encode()) == ["a", "", "a"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (pa.array([MOMENT], pa.timestamp("s"), safe=False), "2024-02-29T13:05:07"),
        (pa.array([MOMENT], pa.timestamp("us")), "2024-02-29T13:05:07.250000"),
        (
            pa.array(
                [MOMENT.replace(tzinfo=timezone(timedelta(hours=2)))], pa.timestamp("ms", "Europe/Berlin")
            ),
            "2024-02-29T11:05:07.250Z",
        ),
        (pa.array([MOMENT.replace(tzinfo=UTC)], pa.timestamp("ms", "UTC")), "2024-02-29T13:05:07.250Z"),
        (pa.array([date(2024, 2, 29)]), "2024-02-29"),
    ],
)
def test_times_are_iso_8601_in_utc_when_they_have_a_zone(values: pa.Array, text: str) -> None:
    assert fed(values) == [text]
    assert fed(pa.array([None], values.type)) == [""]


def test_tensors_keep_their_type_and_other_columns_are_ignored() -> None:
    images = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    table = pa.table({"image": pa.FixedShapeTensorArray.from_numpy_ndarray(images), "label": [1, 2, 3]})
    columns = raw_columns(table.schema, ["image"])
    assert columns == (RawColumn("image", "tensor", "uint8", (2, 2)),)
    feed = raw_feed(table, columns)
    assert list(feed) == ["image"]
    np.testing.assert_array_equal(feed["image"], images)


def test_a_column_that_is_missing_or_of_another_kind_is_named() -> None:
    table = pa.table({"a": ["x"]})
    with pytest.raises(SpecError, match="the data doesn't have b"):
        raw_columns(table.schema, ["b"])
    with pytest.raises(SpecError, match="takes a as numbers, but the data holds string"):
        raw_feed(table, [RawColumn("a", "number")])
