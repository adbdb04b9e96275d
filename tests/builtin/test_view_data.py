import sys
from pathlib import Path

import pyarrow as pa
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from data_samples import measured, sample_findings, sample_profile

from fiat.builtin.view_data import (
    bars,
    changes_sheet,
    description_sheet,
    findings_sheet,
    share_words,
    shown,
)
from fiat.builtin.view_sheet import plain_text
from fiat.profile.model import DataProfile
from fiat.validate.model import Findings
from fiat.validate.schema_diff import Change


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_a_description_has_a_table_a_split_and_a_line_a_column() -> None:
    told = lines(plain_text(description_sheet("trips", sample_profile())))
    assert told[0] == "trips"
    assert "train: 600 rows" in told
    assert "test: 150 rows" in told
    assert any(line.startswith("age int 14.3% 80 0 39.41 39 79") for line in told)
    assert any(line.startswith("city text - 2") and "Oslo 50%" in line for line in told)
    assert any(line.startswith("big (label) text") for line in told)
    assert "train city=Oslo 300" in told


def test_times_are_dates_and_lists_and_pictures_say_shares_of_what_they_hold() -> None:
    told = lines(plain_text(description_sheet("trips", sample_profile())))
    assert any(line.startswith("when time - 50 2023-11-14 2023-12-09 2023-12-08 2024-01-02") for line in told)
    assert any(line.startswith("tags list - 2") and line.endswith("a 67%, b 33%") for line in told)
    hours = pa.table({"at": pa.array([0, 60, 3600], pa.timestamp("s"))})
    close = lines(plain_text(description_sheet("x", DataProfile((measured(hours),)))))
    assert any("1970-01-01 00:00" in line and "1970-01-01 01:00" in line for line in close)


def test_what_is_rare_is_not_said_to_be_none() -> None:
    table = pa.table({"id": [f"n{number}" for number in range(1000)], "x": [1.0] * 999 + [2.0]})
    told = lines(plain_text(description_sheet("x", DataProfile((measured(table),)))))
    assert any(line.startswith("id text - 1,000") and line.endswith("<1%") for line in told)
    assert any(line.startswith("x float") and line.endswith("▁") for line in told)


def test_a_column_hardly_ever_missing_does_not_look_complete() -> None:
    table = pa.table({"a": pa.array([None] + [1] * 9999, pa.int64())})
    told = lines(plain_text(description_sheet("x", DataProfile((measured(table),)))))
    assert any(line.startswith("a int <0.1% 1") for line in told)


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0, "-"),
        (1e-9, "<0.1%"),
        (0.0004, "<0.1%"),
        (0.0006, "0.1%"),
        (0.5, "50.0%"),
        (0.9996, ">99.9%"),
        (1.0, "100.0%"),
        (float("nan"), "-"),
    ],
)
def test_a_share_is_neither_none_nor_all_where_it_only_rounds_to_it(share: float, words: str) -> None:
    assert share_words(share) == words


def test_findings_are_lines_with_their_rows_and_a_sum() -> None:
    told = lines(plain_text(findings_sheet("trips", sample_findings())))
    assert any("✗ error age out_of_range_high age (train): 143 rows are above 60" in line for line in told)
    assert told[-1] == "trips: 950 rows, 3 errors and 1 warning"


def test_no_findings_are_one_line() -> None:
    assert plain_text(findings_sheet("trips", Findings(n_rows={"train": 3}))).strip() == (
        "✓ trips: 3 rows, no anomalies"
    )


def test_changes_of_a_schema_begin_with_what_breaks() -> None:
    changes = [
        Change("a", "type", "int", "float", False, "`a` is float, was int"),
        Change("b", "column", "text", "", True, "`b` is gone"),
    ]
    told = lines(plain_text(changes_sheet("the last run", changes)))
    assert told[0] == "against the last run"
    breaks, changed = (
        next(n for n, line in enumerate(told) if word in line) for word in ("breaks", "changed")
    )
    assert breaks < changed
    assert "the same as the last run" in plain_text(changes_sheet("the last run", []))


def test_bars_are_as_high_as_their_counts() -> None:
    assert bars([0, 1, 4, 8]) == " ▁▄█"
    assert bars([]) == bars([0, 0]) == ""


def test_values_are_shown_short() -> None:
    assert shown("Oslo") == "Oslo"
    assert shown([1, "ø"]) == '[1, "ø"]'
    assert shown("x" * 100) == "x" * 23 + "…"
