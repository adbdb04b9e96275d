import re
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "web"))

from browser import browser
from data_samples import measured, rows, sample_findings, sample_profile, sample_schema
from page_reader import HOSTILE, Reader

from fiat.builtin.page_data import MOST_ANOMALIES, MOST_OPEN, DataPage, render_data
from fiat.builtin.view_text import visible
from fiat.profile.model import DataProfile
from fiat.validate.infer import infer_schema
from fiat.validate.model import Anomaly, ColumnSchema, Domain, Example, Findings, Schema

MADE_AT = "2026-11-21T06:15:00+00:00"
MOST_BYTES = 10_000_000


def sample_page() -> DataPage:
    return DataPage("taxi: data.trips", sample_profile(), sample_schema(), sample_findings(), None, MADE_AT)


def page_of(table: pa.Table, **more: object) -> DataPage:
    profile = DataProfile((measured(table, "train"),))
    return replace(DataPage("a file", profile, infer_schema(profile), Findings()), **more)  # type: ignore[arg-type]


def column_of(html: str, name: str) -> str:
    """The row of a column, as HTML."""
    parts = re.split(r'(?=<details class="field")', html)
    return next(part for part in parts if f"<h3><bdi>{name}</bdi></h3>" in part).split("</section>")[0]


def facts_of(html: str, name: str) -> dict[str, list[str]]:
    """The lines of numbers of a column, a value a split."""
    lines = re.findall(r"<th scope=\"row\">([^<]*)</th>((?:<td>[^<]*</td>)+)", column_of(html, name))
    return {title: re.findall(r"<td>([^<]*)</td>", cells) for title, cells in reversed(lines)}


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


def values_table(column: str) -> str:
    found = re.search(r'<table class="small values">.*?</table>', column, re.S)
    assert found is not None
    return found[0]


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


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_users_wrote_becomes_markup(text: str) -> None:
    html = render_data(hostile_page(text))
    usual = Reader(render_data(hostile_page("x" * len(visible(text)))))
    found = Reader(html)
    assert found.tags == usual.tags
    assert [(tag, key) for tag, key, _ in found.attributes] == [
        (tag, key) for tag, key, _ in usual.attributes
    ]
    assert found.values("href") == usual.values("href")
    assert found.values("id") == usual.values("id")
    assert "1337" not in html
    html.encode("utf-8")


def hostile_page(text: str) -> DataPage:
    """The text as a name, a value and a message, wherever there is one."""
    value = text.encode("utf-8", "replace").decode()
    table = pa.table({value: [value, value, None], "n": [1, 2, 3]})
    profile = DataProfile(
        (measured(table, "train"), measured(table, "eval"), measured(table, "train", f"{value}={value}")),
        label=value,
        source_digest=text,
    )
    schema = Schema(
        (ColumnSchema(value, "text", domain=Domain(values=(text,), regex=text)),), label=value, notes=(text,)
    )
    example = Example(text, 1, {text: text})
    anomalies = (
        Anomaly(text, value, text, 3, (example,), "error", text, text),
        Anomaly(text, value, text, 3, (example,)),
    )
    other = DataProfile((measured(pa.table({value: ["a", value], "n": ["1", "2"]}), "train"),))
    return DataPage(text, profile, schema, Findings(anomalies, compared={text: text}), other, text)


def test_control_and_direction_characters_are_shown_instead_of_obeyed() -> None:
    found = render_data(hostile_page("a\x1b[31m\x07b\u202ec\u2066"))
    assert not {"\x1b", "\x07", "\u202e", "\u2066"} & set(found)


def test_very_long_and_blank_names_and_values_stay_readable() -> None:
    table = pa.table({"x" * 10_000: ["y" * 10_000] * 3, "": ["", " ", "a"], "  ": [1, 2, 3]})
    html = render_data(page_of(table))
    assert len(html) < 60_000
    assert "x" * 119 + "…" in html
    assert "x" * 121 not in html
    assert "(no name)" in html
    assert "(2 blanks)" in html
    assert "(empty)" in html


def test_the_page_needs_nothing_else_and_runs_nothing() -> None:
    found = Reader(render_data(replace(sample_page(), previous=sample_profile(9))))
    forbidden = {"script", "link", "iframe", "object", "img", "form", "base", "foreignobject"}
    assert not forbidden & set(found.tags)
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in found.values("content")
    assert all(str(value).startswith("#") for value in found.values("href"))
    assert found.values("src") == []
    assert not [key for _, key, _ in found.attributes if key.startswith("on")]


def test_the_same_data_give_the_same_bytes() -> None:
    assert render_data(sample_page()) == render_data(sample_page())


def test_data_without_anomalies_begin_with_their_columns() -> None:
    found = Reader(render_data(page_of(rows(40))))
    assert "✓ No anomalies" in found.text
    assert "anomalies" not in found.values("id")


@pytest.mark.parametrize("n_rows", [0, 1])
def test_hardly_any_rows_are_still_a_page(n_rows: int) -> None:
    html = render_data(page_of(rows(3).slice(1, n_rows)))
    assert Reader(html).text.startswith(f"a file: No anomalies a file ✓ No anomalies Train rows {n_rows}")


def test_nothing_at_all_is_still_a_page() -> None:
    page = DataPage("nothing", DataProfile(()), Schema(()), None, DataProfile(()))
    assert "Described, not checked" in Reader(render_data(page)).text


def test_columns_without_values_or_numbers_draw_nothing() -> None:
    nothing = pa.table(
        {
            "void": pa.nulls(4),
            "gaps": pa.array([None] * 4, pa.float64()),
            "odd": pa.array([float("nan"), float("inf"), None, float("-inf")]),
            "none": pa.array([[], [], None, []], pa.list_(pa.int64())),
            "huge": [1e308, -1e308, 1e-320, 0.0],
        }
    )
    html = render_data(page_of(nothing, previous=DataProfile((measured(nothing.slice(2, 2), "train"),))))
    for name in ("void", "gaps", "odd", "none"):
        assert "Nothing to draw." in column_of(html, name)
    assert "all missing</span>" in column_of(html, "gaps")
    assert facts_of(html, "odd")["+infinity"] == ["1 (33.3%)"]
    assert facts_of(html, "odd")["−infinity"] == ["1 (33.3%)"]
    assert "<svg" in column_of(html, "huge")


def test_pictures_tell_their_formats_and_sizes() -> None:
    png = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000200000001008020000000000000000")
    html = render_data(page_of(pa.table({"scan": [png, png, b"none"]})))
    assert facts_of(html, "scan")["formats"] == ["png, unsupported"]
    assert facts_of(html, "scan")["sizes"] == ["32 × 16 × 3"]
    assert "png 66.7% unsupported 33.3%" in Reader(values_table(column_of(html, "scan"))).text


def test_more_anomalies_than_can_be_read_are_counted() -> None:
    many = tuple(Anomaly("drift", "age", f"moved {n}") for n in range(MOST_ANOMALIES + 5))
    text = Reader(render_data(replace(sample_page(), findings=Findings(many)))).text
    assert "5 more are not shown" in text
    assert f"moved {MOST_ANOMALIES}" not in text


def test_up_to_sixty_columns_are_unfolded_and_of_more_only_those_with_anomalies() -> None:
    few = pa.table({f"c{n}": [n, 1] for n in range(MOST_OPEN)})
    assert render_data(page_of(few)).count('<details class="field" open>') == MOST_OPEN
    many = few.append_column("one_more", pa.array([1, 2]))
    findings = Findings((Anomaly("drift", "c7", "moved"),))
    html = render_data(page_of(many, findings=findings))
    assert html.count('<details class="field" open>') == 1
    assert column_of(html, "c7").startswith('<details class="field" open>')
    assert '<details class="contents"><summary>61 columns by name' in html


@pytest.mark.slow
def test_a_thousand_columns_stay_a_page_that_can_be_sent() -> None:
    """With three splits, data before, and anomalies."""
    numbers = {f"number_{n}": [(n * row * 7919 % 1009) / 10 - 30 for row in range(60)] for n in range(800)}
    texts = {f"text_{n}": [f"value {(n * row) % 29}" for row in range(60)] for n in range(200)}
    table = pa.table({**numbers, **texts})
    splits = tuple(
        measured(table.slice(0, 60 - 10 * at), name) for at, name in enumerate(("train", "eval", "test"))
    )
    profile = DataProfile(splits)
    found = Findings(tuple(Anomaly("out_of_range_low", f"number_{n}", "too low", 3) for n in range(400)))
    html = render_data(DataPage("wide", profile, infer_schema(profile), found, profile, MADE_AT))
    assert len(html.encode()) < MOST_BYTES
    assert html.count('<details class="field"') == 1000
    assert html.count('<details class="field" open>') == MOST_OPEN


def test_a_browser_opens_the_folded_column_that_a_link_leads_to_and_complains_of_nothing(
    tmp_path: Path,
) -> None:
    table = pa.table({f"c{n}": [n, 1, None] for n in range(MOST_OPEN + 20)})
    page = tmp_path / "page.html"
    page.write_text(render_data(page_of(table)), "utf-8")
    narrow = tmp_path / "narrow.html"
    narrow.write_text(render_data(replace(sample_page(), previous=sample_profile(9))), "utf-8")
    with browser(tmp_path) as seen:
        seen.open(f"{page.as_uri()}#column-70")
        opened = "[...document.querySelectorAll('details.field[open] h3')].map(title => title.textContent)"
        assert seen.run(opened) == ["c69"]
        assert 0 <= seen.run("document.querySelector('#column-70').getBoundingClientRect().top") < 900
        seen.open(narrow.as_uri())
        for width in (1200, 400):
            seen.look(width)
            assert seen.run("document.documentElement.scrollWidth") <= width
        assert seen.complaints() == []
