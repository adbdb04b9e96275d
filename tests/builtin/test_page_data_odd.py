import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "web"))

from browser import browser
from data_pages import MADE_AT, column_of, facts_of, page_of, sample_page
from data_samples import measured, rows, sample_profile
from page_reader import HOSTILE, Reader

from fiat.builtin.page_data import MOST_ANOMALIES, MOST_OPEN, DataPage, render_data
from fiat.builtin.view_text import visible
from fiat.profile.model import DataProfile
from fiat.validate.infer import infer_schema
from fiat.validate.model import Anomaly, ColumnSchema, Domain, Example, Findings, Schema

MOST_BYTES = 10_000_000


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
