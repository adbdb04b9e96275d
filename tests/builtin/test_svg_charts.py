import math
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from drawing_reader import read_drawing as read

from fiat.builtin.svg_confusion import confusion_chart, largest_confusions
from fiat.builtin.svg_draw import element
from fiat.builtin.svg_intervals import Limit, Spread, metric_chart, slice_chart, slice_scale
from fiat.builtin.svg_lines import Series, square_chart
from fiat.builtin.svg_points import Bin, calibration_chart, histogram_chart, residual_chart
from fiat.builtin.svg_scale import Scale, scale_of, tick_texts

NUMBERS = st.floats(min_value=-1e12, max_value=1e12)


@given(st.lists(NUMBERS, min_size=1, max_size=20), st.integers(3, 8))
def test_ticks_are_few_ascend_and_stand_inside(values: list[float], most: int) -> None:
    scale = scale_of(values, 0, 100)
    ticks = scale.ticks(most)
    assert len(ticks) <= most
    assert ticks == sorted(set(ticks))
    slack = (scale.high - scale.low) * 1e-6
    assert all(scale.low - slack <= tick <= scale.high + slack for tick in ticks)
    assert len(set(tick_texts(ticks))) == len(ticks) or scale.high - scale.low < abs(scale.high) * 1e-3


def test_ticks_are_round() -> None:
    assert Scale(0, 1, 0, 100).ticks(5) == [0, 0.25, 0.5, 0.75, 1.0]
    assert tick_texts([0.9, 0.95, 1.0]) == ["0.90", "0.95", "1.00"]
    assert tick_texts([0, 1000, 2000]) == ["0", "1,000", "2,000"]


def test_a_scale_of_one_value_has_it_in_the_middle() -> None:
    assert scale_of([5.0, math.nan, None], 0, 100)(5.0) == pytest.approx(50)
    assert scale_of([], 0, 100).ticks(3)


def test_text_and_attributes_are_escaped() -> None:
    drawn = element("text", "<b>&\x1b", class_='a"b', x=1.0)
    assert drawn == '<text class="a&#34;b" x="1">&lt;b&gt;&amp;␛</text>'


@given(NUMBERS, NUMBERS, NUMBERS, st.booleans())
def test_any_metric_can_be_drawn(value: float, low: float, limit: float, at_least: bool) -> None:
    now = Spread(value, min(low, value), max(low, value))
    root = read(metric_chart("m", now, Spread(math.nan), [Limit(limit, at_least)]))
    assert any("≥" in (item.text or "") or "≤" in (item.text or "") for item in root.iter("text"))


def test_an_undefined_metric_says_so() -> None:
    texts = [item.text for item in read(metric_chart("m", Spread(math.nan), None, [])).iter("text")]
    assert "undefined" in texts


def test_a_slice_shows_how_far_it_is_from_all_rows() -> None:
    scale = slice_scale([Spread(0.5, 0.4, 0.6)], 0.9)
    root = read(slice_chart("a", Spread(0.5, 0.4, 0.6), scale, 0.9, worse=True))
    (bar,) = [item for item in root.iter("rect") if item.attrib["class"] == "bar worse"]
    assert float(bar.attrib["width"]) == pytest.approx(scale(0.9) - scale(0.5), abs=0.01)


def test_squares_draw_the_worst_on_top() -> None:
    series = [Series("worst", ((0, 0), (1, 1)), 1), Series("rest", ((0, 0), (0, 1)), 0)]
    kinds = [
        item.attrib["class"]
        for item in read(square_chart("t", ("x", "y"), series, diagonal=True)).iter("path")
    ]
    assert kinds == ["curve tone0", "curve tone1"]


@pytest.mark.parametrize("n_classes", [1, 2, 11, 20, 40])
def test_a_confusion_matrix_of_any_size_has_a_cell_for_each_pair(n_classes: int) -> None:
    counts = [[7 if row == column else row % 2 for column in range(n_classes)] for row in range(n_classes)]
    root = read(confusion_chart([f"class {k}" for k in range(n_classes)], counts))
    assert len(list(root.iter("title"))) == n_classes**2


def test_a_class_without_rows_is_drawn_empty() -> None:
    root = read(confusion_chart(["a", "b"], [[0, 0], [1, 3]]))
    assert next(root.iter("title")).text == "a recognised: 0 of 0 rows"


def test_the_largest_confusions_come_first() -> None:
    assert largest_confusions(["a", "b"], [[5, 1], [3, 1]], 5) == [("b", "a", 3, 0.75), ("a", "b", 1, 1 / 6)]


def test_points_and_bars_are_drawn() -> None:
    assert len(list(read(calibration_chart([Bin(0.9, 0.8, 10), Bin(0.1, 0.1, 1)])).iter("circle"))) == 2
    assert len(list(read(residual_chart([(1.0, 0.0), (1.0, 0.0)])).iter("circle"))) == 2
    assert len(list(read(histogram_chart("x", [0, 1, 2], {"a": [1, 0], "b": [5, 3]})).iter("rect"))) == 3
