"""Spans: found in paths by date or number, chosen by their order, whatever is missing between them."""

import pytest

from fiat.data.spans import Use, choose_spans, span_pattern
from fiat.errors import SpecError


def labels(pattern: str, *paths: str) -> list[str]:
    return [span.label for span in span_pattern(pattern).spans(paths)[0]]


def test_dates_in_paths_are_spans_in_their_order() -> None:
    paths = ["d/2024-01-31.csv", "d/2023-12-01.csv", "d/2024-02-01.csv", "d/README.md", "e/2024-02-02.csv"]
    assert labels("d/{YYYY}-{MM}-{DD}.csv", *paths) == ["2023-12-01", "2024-01-31", "2024-02-01"]
    assert labels("d/{YYYY}/{MM}/{DD}-{HH}.csv", "d/2024/5/1-03.csv", "d/2024/5/1-23.csv") == [
        "2024-05-01T03",
        "2024-05-01T23",
    ]
    assert labels("{YYYY}{MM}{DD}", "20240501", "2024501") == ["2024-05-01"]
    assert labels("{YYYY}/{YYYY}-{MM}.csv", "2024/2024-05.csv", "2023/2024-06.csv") == ["2024-05"]


def test_numbers_are_spans_by_their_value_padded_or_not() -> None:
    assert labels("s-{SPAN}.csv", "s-10.csv", "s-9.csv", "s-0.csv", "s-x.csv") == ["0", "9", "10"]
    assert labels("s-{SPAN}", "s-007", "s-010") == ["7", "10"]


def test_one_span_written_in_two_ways_is_refused() -> None:
    with pytest.raises(SpecError, match=r"1\.csv and .*1\.csv are both span 1"):
        labels("{SPAN}.csv", "01.csv", "1.csv")


def test_a_wildcard_stands_for_several_files_of_a_span() -> None:
    spans, _ = span_pattern("d/{SPAN}/part-*.csv").spans(["d/1/part-a.csv", "d/1/part-b.csv", "d/1/x.csv"])
    assert [span.paths for span in spans] == [("d/1/part-a.csv", "d/1/part-b.csv")]


def test_a_date_that_no_calendar_has_is_no_span_and_is_told() -> None:
    spans, odd = span_pattern("{YYYY}-{MM}-{DD}").spans(["2024-02-30", "2024-02-29"])
    assert [span.label for span in spans] == ["2024-02-29"]
    assert odd == ["2024-02-30"]


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("d/x.csv", "neither a date nor a number"),
        ("d/{MM}.csv", "neither a date nor a number"),
        ("d/{YYYY}-{DD}.csv", "neither a date nor a number"),
        ("d/{YYYY}-{SPAN}.csv", "neither a date nor a number"),
        ("d/{YY}.csv", "{YY} is no part of a date"),
        ("d/{yyyy}.csv", "{yyyy} is no part of a date"),
    ],
)
def test_a_pattern_that_says_no_span_is_refused(pattern: str, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        span_pattern(pattern)


def chosen(use: Use, *names: str) -> list[str]:
    pattern = span_pattern("d/{YYYY}-{MM}-{DD}.csv")
    spans, _ = pattern.spans([f"d/{name}.csv" for name in names])
    return [span.label for span in choose_spans(pattern, spans, use)]


def test_the_last_spans_are_the_newest_that_are_there_over_any_gap() -> None:
    days = ["2024-01-01", "2024-03-07", "2024-03-09", "2024-03-10"]
    assert chosen(Use(last=3), *days) == days[1:]
    assert chosen(Use(last=1), *days) == days[3:]
    assert chosen(Use(last=9), *days) == days


def test_one_span_is_named_padded_or_not_and_a_missing_one_names_its_neighbours() -> None:
    days = ["2024-01-01", "2024-03-07", "2024-03-09"]
    assert chosen(Use(span="2024-3-7"), *days) == ["2024-03-07"]
    with pytest.raises(SpecError, match="no span 2024-03-08") as caught:
        chosen(Use(span="2024-03-08"), *days)
    assert caught.value.hint == "the nearest are d/2024-01-01.csv, d/2024-03-07.csv, d/2024-03-09.csv"
    for named in ("7", "yesterday", "2024-03", "2024-02-31", "-2024-03-07"):
        with pytest.raises(SpecError, match="is no span of the pattern"):
            chosen(Use(span=named), *days)


def test_the_glob_of_a_pattern_finds_all_its_spans() -> None:
    glob = span_pattern("d/{YYYY}/{MM}-{DD}/part-*.csv").glob()
    assert glob == "d/[0-9][0-9][0-9][0-9]/[0-9]*-[0-9]*/part-*.csv"
