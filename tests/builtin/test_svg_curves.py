import math
import random
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from drawing_reader import read_drawing as read

from fiat.builtin.svg_curves import MOST_COLUMNS, columns, training_chart
from fiat.builtin.svg_lines import Series
from fiat.builtin.svg_scale import LogScale, axis_texts, log_scale_of

ANY = st.floats(allow_nan=True, allow_infinity=True)
POSITIVE = st.floats(min_value=5e-324, max_value=1.7e308)


def ys_of(points: str) -> list[float]:
    return [float(pair.split(",")[1]) for pair in points.split()]


def test_gaps_break_a_curve_and_are_marked() -> None:
    points = ((0.0, 1.0), (1.0, 0.5), (2.0, math.nan), (3.0, 0.4), (4.0, math.inf), (5.0, 0.2), (6.0, 0.1))
    root = read(training_chart("loss", [Series("loss", points)]))
    assert len(list(root.iter("path"))) == 2
    assert sum(item.attrib["class"] == "lost" for item in root.iter("line")) == 2


def test_long_curves_are_small_and_end_with_their_last_value() -> None:
    points = tuple((float(at), 1.0 / (at + 1)) for at in range(200_000))
    drawn = training_chart("loss", [Series("loss", points)])
    assert len(drawn) < 20_000
    assert '>loss</tspan><tspan class="quiet"> 5e-06<' in drawn


def test_a_single_spike_among_many_values_is_seen() -> None:
    rng = random.Random(0)
    points = [(float(at), rng.uniform(0.9, 1.1)) for at in range(200_000)]
    points[123_456] = (123_456.0, 50.0)
    (band,) = read(training_chart("loss", [Series("loss", tuple(points))])).iter("polygon")
    tops = sorted(ys_of(band.attrib["points"]))
    assert tops[0] < 40 < 150 < tops[1]


def test_columns_keep_extremes_means_and_what_is_lost() -> None:
    points = [(float(at), float(at % 10)) for at in range(10_000)]
    points[5_555] = (5_555.0, math.nan)
    made = columns(points, 100)
    assert len(made) == 101
    assert {(column.low, column.high) for column in made[:-1]} == {(0.0, 9.0)}
    assert made[0].mean == pytest.approx(4.5)
    assert [column.n_lost for column in made].index(1) == 55
    assert made[-1].mean == 9.0


def test_a_stretch_without_numbers_is_a_gap_in_band_and_line() -> None:
    n = 10 * MOST_COLUMNS
    points = tuple((float(at), math.nan if n // 3 < at < n // 2 else 1.0 + at % 3) for at in range(n))
    root = read(training_chart("loss", [Series("loss", points)]))
    assert len(list(root.iter("polygon"))) == 2
    assert len(list(root.iter("path"))) == 2


@given(st.lists(ANY, min_size=1, max_size=30), st.integers(1, 100))
def test_whatever_was_logged_can_be_drawn(values: list[float], repeats: int) -> None:
    points = tuple((float(at), value) for at, value in enumerate(values * repeats))
    read(training_chart("m", [Series("m", points)]))


@given(st.lists(POSITIVE, min_size=1, max_size=30))
def test_whatever_is_above_zero_can_be_drawn_by_its_logarithm(values: list[float]) -> None:
    scale = log_scale_of(values, 100, 0)
    assert all(0 <= scale(value) <= 100 for value in values)
    ticks = scale.ticks(5)
    assert len(ticks) <= 5
    assert ticks == sorted(set(ticks))
    read(training_chart("m", [Series("m", tuple((float(at), y) for at, y in enumerate(values)))], log=True))


def test_decades_are_equally_far_from_each_other() -> None:
    scale = LogScale(0.01, 100, 200, 0)
    assert [scale(value) for value in (0.01, 0.1, 1, 10, 100)] == pytest.approx([200, 150, 100, 50, 0])
    assert scale.ticks(5) == [0.01, 0.1, 1, 10, 100]
    assert axis_texts(scale, [1e-6, 0.001, 1, 1000, 1e6]) == ["1e-06", "0.001", "1", "1,000", "1e+06"]


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (6e-4, 8e-3, ["0.001", "0.002", "0.005"]),
        (5e-4, 2e-2, ["0.0005", "0.002", "0.01"]),
        (3.0, 4.0, ["3", "3.25", "3.5", "3.75", "4"]),
        (1.0, 90.0, ["1", "5", "20"]),
    ],
)
def test_an_axis_of_few_decades_has_more_than_its_powers_of_ten(
    low: float, high: float, texts: list[str]
) -> None:
    scale = LogScale(low, high, 200, 0)
    assert axis_texts(scale, scale.ticks(5)) == texts


def test_the_end_labels_of_close_curves_do_not_overlap() -> None:
    series = [Series(f"m{k}", ((0.0, 0.5), (1.0, 0.5 + k / 1000)), tone=k + 1) for k in range(4)]
    root = read(training_chart("m", series))
    ys = sorted(float(item.attrib["y"]) for item in root.iter("text") if list(item))
    assert len(ys) == 4
    assert all(b - a >= 12.9 for a, b in pairwise(ys))


def test_curves_in_the_background_stand_behind_and_have_no_label() -> None:
    back = Series("other", ((0.0, 0.1), (1.0, 0.2)), 0)
    root = read(training_chart("m", [Series("best", ((0.0, 0.5), (1.0, 0.9)), 1), back]))
    assert [item.attrib["class"] for item in root.iter("path")] == ["curve tone0", "curve tone1"]
    assert "other" not in "".join(root.itertext())
