import re
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "web"))

from data_pages import column_of, facts_of, page_of, sample_page, values_table
from data_samples import measured, rows, sample_profile
from page_reader import Reader

from fiat.builtin.page_data import DataPage, render_data
from fiat.profile.model import DataProfile
from fiat.validate.infer import infer_schema


def test_anomalies_stand_first_errors_before_warnings_with_their_rows_and_values() -> None:
    found = Reader(render_data(sample_page()))
    assert found.text.index("3 errors and 1 warning") < found.text.index("Anomalies")
    order = [
        "✗ error age train 143 rows are above 60, the largest 79: rows 12, 1,240, ... of train",
        "out_of_range_high: numbers above the largest allowed; asked by columns.age.range.max",
        "train 12 79 train 1,240 78",
        "✗ error postcode the column is not in the data",
        'test 5 {"age": 3, "city": "Oslo"}',
        "! warning fare eval moved 0.31 from previous",
        "Between splits",
        "9 columns by name",
    ]
    places = [found.text.index(said) for said in order]
    assert places == sorted(places)


def test_an_anomaly_leads_to_the_row_of_its_column() -> None:
    html = render_data(sample_page())
    target = re.search(r'<a href="#(column-\d+)"><bdi>age</bdi></a>', html)
    assert target is not None
    assert f'<div class="body" id="{target[1]}">' in column_of(html, "age")
    assert "143 rows are above 60" in column_of(html, "age")


def test_every_link_leads_to_a_place_of_the_page() -> None:
    found = Reader(render_data(replace(sample_page(), previous=sample_profile(9))))
    ids = found.values("id")
    assert len(ids) == len(set(ids))
    assert {str(value) for value in found.values("href")} <= {f"#{name}" for name in ids}
    assert {"anomalies", "moved", "columns", "slices", "schema"} <= set(ids)


def test_a_column_shows_each_split_beside_the_others() -> None:
    html = render_data(sample_page())
    age = column_of(html, "age")
    facts = facts_of(html, "age")
    assert facts["rows"] == ["600", "200", "150"]
    assert facts["missing"] == ["14.3%", "14.5%", "14.7%"]
    assert facts["min"] == ["0", "0", "0"]
    assert facts["max"] == ["79", "79", "79"]
    assert {"distinct", "mean", "sd", "median", "zeros", "5%", "99%"} <= set(facts)
    assert re.findall(r"<figcaption>(\w+)</figcaption>", age) == ["train", "eval", "test"]
    axes = [
        re.findall(r'class="tick" text-anchor="middle">([^<]*)<', svg) for svg in age.split("<figure>")[1:]
    ]
    assert axes[0] == axes[1] == axes[2] != []
    assert facts_of(html, "late")["NaN"] == ["55 (9.2%)", "19 (9.5%)", "14 (9.3%)"]
    assert facts_of(html, "tags")["values a row"] == ["0 to 2"] * 3
    assert facts_of(html, "city")["characters"] == ["4 to 6", "6", "4 to 6"]
    assert facts_of(html, "when")["min"][0] == "2023-11-14 22:13:20"
    assert ">label</span>" in column_of(html, "big")


def test_categories_are_bars_with_shares_of_each_split() -> None:
    city = Reader(values_table(column_of(render_data(sample_page()), "city")))
    assert "Bergen 50.0% 50.0% -" in city.text
    assert "Oslo 50.0% - -" in city.text


def test_the_words_of_a_schema_stand_with_their_column() -> None:
    html = render_data(sample_page())
    assert (
        "whole numbers; must be there; a value in at least 90% of the rows; a value in at least 10 rows; 0 to 60."
        in column_of(html, "age")
    )
    assert "one of Oslo, Bergen, for at least 95% of the values." in column_of(html, "city")
    assert "may be absent in serving" in column_of(html, "big")
    assert "Kolmogorov-Smirnov distance to the data before of at most 0.1" in column_of(html, "fare")
    assert "The schema does not have this column." in column_of(html, "paid")
    postcode = column_of(html, "postcode")
    assert "not in the data" in postcode
    assert "matches [0-9]{4}; exactly 4 characters" in postcode
    text = Reader(html).text
    assert "at least 100 rows in each split; the label is big" in text
    assert "the domain of zip is passed over" in text


def test_movement_since_the_last_data_is_measured_marked_and_drawn_behind() -> None:
    without, with_it = sample_page(), replace(sample_page(), previous=sample_profile(9))
    assert 'class="before' not in render_data(without)
    html = render_data(with_it)
    city = column_of(html, "city")
    assert 'class="before ground"' in city
    assert "train, before → now" in city
    assert "beyond noise" in city
    assert ">moved</span>" in city
    assert "beyond noise</span>" not in column_of(html, "paid")
    assert "Since the last accepted data 1 column moved by more than chance." in Reader(html).text
    assert "Kolmogorov-Smirnov distance" in column_of(html, "fare").split('<table class="small moved">')[1]


def test_data_that_did_not_move_say_so() -> None:
    text = Reader(render_data(replace(sample_page(), previous=sample_profile()))).text
    assert "No column moved by more than chance." in text


def test_columns_that_came_and_went_are_told() -> None:
    table = rows(50)
    old = DataProfile((measured(table.drop(["paid"]).append_column("gone", table["age"]), "train"),))
    html = render_data(page_of(table, previous=old))
    assert ">new</span>" in column_of(html, "paid")
    assert "not in the data any more" in column_of(html, "gone")


def test_a_column_of_another_type_than_before_is_not_measured() -> None:
    before = DataProfile((measured(pa.table({"a": ["x", "y"]}), "train"),))
    html = render_data(page_of(pa.table({"a": [1, 2]}), previous=before))
    assert "another type: text → int" in column_of(html, "a")
    assert 'class="before' not in html


def test_slices_say_in_what_they_differ_from_their_split() -> None:
    table = pa.table(
        {
            "city": ["Oslo", "Bergen"] * 300,
            "fare": [float(n % 50 + (100 if n % 2 else 0)) for n in range(600)],
            "tip": [None if n % 2 else 1.0 for n in range(600)],
        }
    )
    oslo = table.filter(pa.array([value == "Oslo" for value in table["city"].to_pylist()]))
    profile = DataProfile((measured(table, "train"), measured(oslo, "train", "city=Oslo")))
    text = Reader(render_data(DataPage("x", profile, infer_schema(profile)))).text
    part = text[text.index("Slices Each") :]
    assert "city=Oslo 300 50.0%" in part
    assert "fare: " in part or "tip: " in part
    assert "tip: 0% missing instead of 50.0%" in part
    assert "Described, not checked" in text


def test_data_without_anomalies_begin_with_their_columns() -> None:
    found = Reader(render_data(page_of(rows(40))))
    assert "✓ No anomalies" in found.text
    assert "anomalies" not in found.values("id")


def test_pictures_tell_their_formats_and_sizes() -> None:
    png = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000200000001008020000000000000000")
    html = render_data(page_of(pa.table({"scan": [png, png, b"none"]})))
    assert facts_of(html, "scan")["formats"] == ["png, unsupported"]
    assert facts_of(html, "scan")["sizes"] == ["32 × 16 × 3"]
    assert "png 66.7% unsupported 33.3%" in Reader(values_table(column_of(html, "scan"))).text
