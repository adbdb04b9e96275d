import re
from itertools import pairwise

from fiat.builtin.svg_bars import Axis, Shares, histogram_bars, share_bars

AXIS = Axis(0.0, 10.0)


def heights(svg: str) -> list[float]:
    return [float(height) for height in re.findall(r'<rect[^>]*height="([\d.]+)"', svg)]


def test_bars_are_as_high_as_their_shares_on_a_common_scale() -> None:
    one = histogram_bars("a", Shares([0.5, 0.25, 0.0], told=["a", "b", "c"]), AXIS, 0.5, 210)
    other = histogram_bars("a", Shares([0.25, 0.25, 0.25], told=["a", "b", "c"]), AXIS, 0.5, 210)
    assert heights(one)[0] == 2 * heights(one)[1]
    assert len(heights(one)) == 2
    assert heights(other) == [heights(one)[1]] * 3
    assert "<title>a</title>" in one
    assert ">50%<" in one


def test_the_smallest_share_can_be_seen_and_none_is_not_drawn() -> None:
    found = heights(histogram_bars("a", Shares([0.9, 1e-9, 0.0], told=["a", "b", "c"]), AXIS, 0.9, 210))
    assert len(found) == 2
    assert found[1] >= 1


def test_what_was_before_lies_behind_the_bars_and_its_edge_above() -> None:
    svg = histogram_bars("a", Shares([0.5, 0.5], [0.2, 0.8], ["a", "b"]), AXIS, 0.8, 210)
    assert svg.index("before ground") < svg.index("<rect") < svg.index("before edge")
    assert "before" not in histogram_bars("a", Shares([0.5, 0.5], told=["a", "b"]), AXIS, 0.8, 210)


def test_bars_without_words_are_one_shape() -> None:
    svg = histogram_bars("a", Shares([0.5] * 20), AXIS, 0.5, 210)
    assert svg.count("<path") == 1
    assert "<rect" not in svg


def test_ticks_stand_beside_each_other_whatever_their_length() -> None:
    for low, high in ((0, 1), (1, 77), (1_356_998_400, 1_483_227_900), (-87.9, -87.5), (0.0, 1e-12)):
        svg = histogram_bars("a", Shares([1.0], told=["a"]), Axis(low, high), 1.0, 210)
        ticks = re.findall(r'<text x="([\d.]+)"[^>]*text-anchor="middle">([^<]*)</text>', svg)
        ends = [(float(x) - len(text) * 3.2, float(x) + len(text) * 3.2) for x, text in ticks]
        assert ticks
        assert all(left[1] <= right[0] for left, right in pairwise(ends))
        assert ends[0][0] >= -0.1
        assert ends[-1][1] <= 210.1


def test_an_axis_as_wide_as_all_doubles_has_no_ticks() -> None:
    assert 'text-anchor="middle"' not in histogram_bars("a", Shares([1.0]), Axis(-1.7e308, 1.7e308), 1.0, 210)


def test_names_below_bars_leave_room_for_each_other() -> None:
    few = histogram_bars("a", Shares([0.1] * 3), Axis(0, 1, names=["1", "2", "3"]), 0.1, 210)
    many = histogram_bars("a", Shares([0.1] * 20), Axis(0, 1, names=["a long name"] * 20), 0.1, 210)
    assert re.findall(r'"middle">([^<]*)<', few) == ["1", "2", "3"]
    assert 1 <= many.count('"middle"') <= 3


def test_a_lying_bar_shows_where_it_was_before() -> None:
    svg = share_bars(0.25, 0.5, 0.5, 100)
    assert 'width="50" height="8"' in svg
    assert '<line x1="100"' in svg
    assert "before" not in share_bars(0.25, None, 0.5, 100)
    assert "tone1" not in share_bars(0.0, None, 0.5, 100)
