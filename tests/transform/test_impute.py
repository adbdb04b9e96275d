import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from graph_runs import Ran, texts

from fiat.errors import SpecError
from fiat.transform.impute import Impute

NAN = math.nan


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float64).reshape(-1, 1)


def filled(setting: dict[str, Any], train: np.ndarray) -> list[float]:
    found: list[float] = Ran([(Impute(), setting)], "number", train)(train).reshape(-1).tolist()
    return found


def test_the_largest_numbers_there_are_do_not_break_learning() -> None:
    assert filled({"by": "mean"}, column(1.7e308, 1.7e308, NAN))[2] == pytest.approx(1.7e308)
    assert filled({"by": "median"}, column(1.7e308, 1.6e308, NAN))[2] == pytest.approx(1.65e308)


@pytest.mark.parametrize(
    ("setting", "fill"),
    [
        ({"by": "mean"}, 3.0),
        ({"by": "median"}, 2.5),
        ({"by": "most_frequent"}, 2.0),
        ({"by": "zero"}, 0.0),
        ({"value": -7}, -7.0),
    ],
)
def test_impute_fills_numbers(setting: dict[str, Any], fill: float) -> None:
    train = column(2, NAN, 3, 5, 2, 3, 1, 5, NAN, 3, 2, 4)
    by = setting.get("by")
    frame = pd.Series(train.reshape(-1))
    if by in ("mean", "median"):
        fill = float(getattr(frame, by)())
    found = filled(setting, train)
    np.testing.assert_array_equal(found, frame.fillna(fill))


def test_of_equally_frequent_values_the_smaller_fills() -> None:
    assert filled({"by": "most_frequent"}, column(9, 4, 9, 4, NAN))[4] == 4
    words = np.array([["b"], ["a"], [""]], object)
    ran = Ran([(Impute(), {"by": "most_frequent"})], "text", words, counts=np.array([3, 3, 9]))
    assert texts(ran(["", "c"])) == ["a", "c"]


def test_a_flag_stands_beside_and_says_what_was_missing() -> None:
    ran = Ran([(Impute(), {"by": "zero", "flag": True})], "number", column(1, NAN))
    (beside,) = ran.value.beside
    assert beside.names == ("x missing",)
    assert beside.kind == "number"


@pytest.mark.parametrize(
    ("kind", "setting", "message"),
    [
        ("text", {"by": "mean"}, "holds texts, which have no mean"),
        ("text", {"value": 3}, "holds texts, so `value` 3 can't stand for one"),
        ("number", {"value": "none"}, "holds numbers, so `value` 'none' can't stand for one"),
        ("number", {"by": "median"}, "no row of train has a value of column 'x'"),
        ("text", {"by": "most_frequent"}, "no row of train has a value of column 'x'"),
    ],
)
def test_a_fill_that_does_not_fit_the_column_is_refused(kind: str, setting: Any, message: str) -> None:
    train = np.array([[""]], object) if kind == "text" else column(NAN)
    with pytest.raises(SpecError, match=message):
        Ran([(Impute(), setting)], kind, train)
