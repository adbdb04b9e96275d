"""Every operation on numbers and categories, against what pandas and NumPy make of the same rows."""

import math
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from whole_path import WholePath

from fiat.transform.model import Entry

LARGEST = float(np.finfo(np.float32).max)
CITIES = ["Rome", "rome", "日本", "A b", "\x1f", "é", ""]
SCHEMA = pa.schema({"fare": pa.float64(), "rooms": pa.int64(), "city": pa.string()})
ALL = {"max": 100, "min_rows": 1, "unknown": "other"}

fares = st.one_of(
    st.none(),
    st.floats(-1e6, 1e6),
    st.sampled_from([0.0, 1e308, -1e308, 1e-300, math.nan, math.inf, -math.inf]),
)
cities = st.one_of(st.none(), st.sampled_from(CITIES))
trains = st.lists(
    st.fixed_dictionaries({"fare": fares, "rooms": st.one_of(st.none(), st.integers(0, 3)), "city": cities}),
    min_size=1,
    max_size=15,
)
serveds = st.lists(
    st.fixed_dictionaries(
        {
            "fare": fares,
            "rooms": st.one_of(st.none(), st.integers(-1, 6), st.integers(-(2**63), 2**63 - 1)),
            "city": st.one_of(
                cities, st.text(st.characters(exclude_categories=["Cs"], min_codepoint=1), max_size=5)
            ),
        }
    ),
    min_size=1,
    max_size=10,
)

Frame = pd.DataFrame
ByHand = Callable[[Frame, Frame], np.ndarray]


def finite(values: pd.Series) -> np.ndarray:
    array = values.to_numpy(np.float64)
    return array[np.isfinite(array)].astype(np.longdouble)


def fare(frame: Frame) -> np.ndarray:
    found: np.ndarray = frame["fare"].to_numpy(np.float64).astype(np.longdouble)
    return found


def kept(values: list[Any], most: int = 100, min_rows: int = 1) -> list[Any]:
    counts = Counter(values)
    often = [item for item in counts if counts[item] >= min_rows]
    # Missing whole numbers come before all others among equally frequent ones, as the empty text does.
    return sorted(often, key=lambda item: (-counts[item], item is not None, item if item is not None else 0))[
        :most
    ]


def cities_of(frame: Frame) -> list[Any]:
    return list(frame["city"])


def rooms_of(frame: Frame) -> list[Any]:
    """As whole numbers that a float holds; what it does not is no category, but no missing value either."""
    found = []
    for item in frame["rooms"]:
        found.append(None if item is None else item if abs(float(item)) <= 2**53 else "too large")
    return found


def codes(train: list[Any], served: list[Any], **how: int) -> np.ndarray:
    order = {item: place for place, item in enumerate(kept(train, **how))}
    return np.array([[order.get(item, len(order))] for item in served], float)


def columns(code: np.ndarray, n_columns: int) -> np.ndarray:
    return (code == np.arange(n_columns)).astype(float)


def standardized(train: Frame, served: Frame) -> np.ndarray:
    known = np.sort(finite(train["fare"]))
    median = np.median(known)
    filled = np.where(np.isnan(fare(train)), median, fare(train))
    filled = filled[np.isfinite(filled)]
    sd = filled.std() if filled.max() > filled.min() else 1
    asked = np.where(np.isnan(fare(served)), median, fare(served))
    return np.stack([(asked - filled.mean()) / sd, np.isnan(fare(served))], 1)


def clipped(train: Frame, served: Frame) -> np.ndarray:
    rows, asked = np.clip(fare(train), -100, 100), np.clip(fare(served), -100, 100)
    low, high = np.nanmin(rows), np.nanmax(rows)
    return ((asked - low) / (high - low if high > low else 1)).reshape(-1, 1)


def logged(train: Frame, served: Frame) -> np.ndarray:
    asked = fare(served)
    return np.log1p(np.where(np.isnan(asked), 0, np.maximum(asked, 0))).reshape(-1, 1)


def bucket(frame: Frame, edges: list[float]) -> np.ndarray:
    asked = frame["fare"].to_numpy(np.float64)
    found = pd.cut(pd.Series(asked), [-math.inf, *edges, math.inf], right=False, labels=False).to_numpy()
    found = np.where(asked == math.inf, len(edges), found)  # pandas leaves the last end out
    return np.where(np.isnan(asked), len(edges) + 1, found).astype(int)


def bucketed(train: Frame, served: Frame) -> np.ndarray:
    rows = np.sort(finite(train["fare"]).astype(np.float64))
    edges = sorted({rows[len(rows) * place // 3] for place in (1, 2)} - {rows[0]})
    seen, asked = list(bucket(train, edges)), list(bucket(served, edges))
    order = kept(seen)
    return columns(codes(seen, asked), len(order) + 1)


def ordinal(train: Frame, served: Frame) -> np.ndarray:
    return codes(rooms_of(train), rooms_of(served), most=2)


def one_hot_of_numbers(train: Frame, served: Frame) -> np.ndarray:
    return columns(codes(rooms_of(train), rooms_of(served)), len(kept(rooms_of(train))))


def one_hot_of_texts(train: Frame, served: Frame) -> np.ndarray:
    return columns(codes(cities_of(train), cities_of(served), most=3), len(kept(cities_of(train), 3)) + 1)


def imputed(train: Frame, served: Frame) -> np.ndarray:
    fill = kept([item for item in cities_of(train) if item])[0]
    seen, asked = ([item or fill for item in cities_of(frame)] for frame in (train, served))
    found = columns(codes(seen, asked), len(kept(seen)) + 1)
    return np.hstack([found, np.array([[float(not item)] for item in cities_of(served)])])


def scaled(train: Frame, served: Frame) -> np.ndarray:
    return (fare(served) * 0.1).reshape(-1, 1)


def crossed(train: Frame, served: Frame) -> np.ndarray:
    def pairs(frame: Frame) -> list[Any]:
        texts = ["" if item is None else str(item) for item in rooms_of(frame)]
        return [f"{city}\ufdd0{room}" for city, room in zip(cities_of(frame), texts, strict=True)]

    return codes(pairs(train), pairs(served))


CASES: list[tuple[tuple[str, ...], tuple[tuple[str, Any], ...], ByHand]] = [
    (("fare",), (("impute", {"by": "median", "flag": True}), ("standardize", True)), standardized),
    (("fare",), (("clip", {"min": -100, "max": 100}), ("min_max", True)), clipped),
    (("fare",), (("impute", {"by": "zero"}), ("clip", {"min": 0}), ("log1p", True)), logged),
    (("fare",), (("bucketize", {"buckets": 3}), ("one_hot", ALL)), bucketed),
    (("rooms",), (("ordinal", {**ALL, "max": 2}),), ordinal),
    (("rooms",), (("one_hot", {**ALL, "unknown": "ignore"}),), one_hot_of_numbers),
    (("city",), (("one_hot", {**ALL, "max": 3}),), one_hot_of_texts),
    (("city",), (("impute", {"by": "most_frequent", "flag": True}), ("one_hot", ALL)), imputed),
    (("fare",), (("scale", 0.1),), scaled),
    (("city", "rooms"), (("cross", True), ("ordinal", ALL)), crossed),
]


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, SCHEMA)


def frame(rows: list[dict[str, Any]]) -> Frame:
    """Texts are empty where missing, as the graph takes them; whole numbers stay what they are."""
    found = pd.DataFrame(rows, columns=SCHEMA.names, dtype=object)
    found["city"] = [item or "" for item in found["city"]]
    return found


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trains, serveds)
def test_served_rows_give_what_pandas_and_numpy_make_of_them(
    train: list[dict[str, Any]], served: list[dict[str, Any]]
) -> None:
    assume(len(finite(frame(train)["fare"])) and any(item for item in cities_of(frame(train))))
    entries = [
        Entry(names, apply, key=f"transform[{place}]") for place, (names, apply, _) in enumerate(CASES)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = WholePath(Path(folder), table(train), table(served), entries)
        path.check()
    expected = [by_hand(frame(train), frame(served)) for _, _, by_hand in CASES]
    assert path.served["out.features"].shape[1] == sum(part.shape[1] for part in expected)
    start = 0
    for (_, apply, _), part in zip(CASES, expected, strict=True):
        found = path.served["out.features"][:, start : start + part.shape[1]]
        bounded = np.clip(part.astype(np.longdouble), -LARGEST, LARGEST).astype(np.float64)
        np.testing.assert_allclose(found, bounded, rtol=1e-5, atol=1e-5, err_msg=str(apply))
        start += part.shape[1]
