import numpy as np
import pytest

from fiat.serving.tally import MOST_NAMES, OTHER, Tally, named


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        (np.array(["cat", "dog", "cat"], object), {"cat": 2, "dog": 1}),
        (np.array([b"cat"], object), {"cat": 1}),
        (np.array([3, 7, 3]), {"3": 2, "7": 1}),
        (np.array([0.0, np.nan, np.inf]), {"0": 1, "nan": 1, "inf": 1}),
    ],
)
def test_predictions_are_counted_by_name(predictions: np.ndarray, expected: dict[str, int]) -> None:
    assert named(predictions) == expected


def test_numbers_are_counted_in_ranges_a_quarter_of_a_doubling_wide() -> None:
    found = named(np.array([8.0, 8.5, 9.6, 15.9, -8.0], np.float32))
    assert found == {"8": 2, "9.514": 1, "13.45": 1, "-8": 1}


def test_any_numbers_make_a_bounded_number_of_ranges() -> None:
    random = np.random.default_rng(1)
    values = random.normal(size=100_000) * 10.0 ** random.integers(-300, 300, 100_000)
    tally = Tally()
    tally.predicted(values)
    found = tally.counts().predictions
    assert sum(found.values()) == len(values)
    assert len(found) <= MOST_NAMES + 1


def test_more_classes_than_are_told_apart_are_counted_together() -> None:
    tally = Tally()
    tally.predicted(np.array([f"class {place}" for place in range(MOST_NAMES + 50)], object))
    tally.predicted(np.array(["class 0"], object))
    found = tally.counts().predictions
    assert (found[OTHER], found["class 0"], len(found)) == (50, 2, MOST_NAMES + 1)


def test_counts_only_grow_and_give_quantiles() -> None:
    tally = Tally()
    for milliseconds in range(1, 101):
        tally.answered(milliseconds / 1000)
    tally.answered(0.0)
    tally.answered(1e9)
    before = tally.counts()
    assert before.requests == 102
    assert 0.045 < before.quantile_s(0.5) < 0.06
    tally.answered(0.001)
    assert tally.counts().minus(before).requests == 1
