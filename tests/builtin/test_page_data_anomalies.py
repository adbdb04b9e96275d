import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from data_samples import sample_findings
from markdown_reader import read
from page_reader import HOSTILE, Reader
from page_samples import sample_page, sample_run

from fiat.builtin.page_data_anomalies import anomalies_of, checks_of
from fiat.builtin.page_record import MOST_ANOMALIES, data_cards
from fiat.builtin.page_run import render_run
from fiat.builtin.report_comment import Topic, result_body
from fiat.builtin.report_comment_record import anomalies_part, data_part
from fiat.ports.report import Told
from fiat.validate.model import Anomaly, Example, Findings

TOPIC = Topic("acme/models", "digits", "0b88f5562d1b", 7, "main", "r1", "https://fiat.example/runs/r1")


def facts_of(findings: Findings, n_anomalies: int | None = None) -> dict[str, object]:
    """As the check step tells them, and the store gives them back."""
    told = {
        "rows": {"train": 600},
        "anomalies": [asdict(item) for item in findings.anomalies],
        "n_anomalies": len(findings.anomalies) if n_anomalies is None else n_anomalies,
    }
    return dict(json.loads(json.dumps(told)))


def with_check(facts: dict[str, object]) -> dict[str, Mapping[str, object]]:
    return {**sample_page().data, "check.scans": facts}


def test_facts_of_a_check_give_its_anomalies_back_errors_first() -> None:
    findings = sample_findings()
    found = anomalies_of(facts_of(findings))
    assert [item.severity for item in found] == ["error", "error", "error", "warn"]
    assert found[0] == replace(findings.anomalies[1], value=None, limit=None)
    assert checks_of(with_check(facts_of(findings, 70)))["data.scans"][1] == 70


def test_facts_of_another_shape_are_left_out() -> None:
    assert anomalies_of({}) == []
    assert anomalies_of({"anomalies": "many"}) == []
    found = anomalies_of({"anomalies": [3, {"message": "x", "examples": [7, {"row": "a"}], "severity": 5}]})
    assert [(item.message, item.severity) for item in found] == [("x", "error")]


def test_the_page_of_a_run_shows_what_the_check_found_with_the_data() -> None:
    html = render_run(replace(sample_page(), data=with_check(facts_of(sample_findings()))))
    text = Reader(html).text
    part = text[text.index("data.scans ✗ 4 anomalies") :]
    order = [
        "143 rows are above 60, the largest 79: rows 12, 1,240, ... of train",
        "train 12 79",
        "moved 0.31",
        "1,257",
    ]
    places = [part.index(said) for said in order]
    assert places == sorted(places)
    assert "check.scans" not in text


def test_the_page_of_a_run_says_that_a_check_found_nothing() -> None:
    page = replace(sample_page(), data=with_check(facts_of(Findings())))
    assert "data.scans ✓ no anomalies" in Reader(render_run(page)).text
    assert data_cards(sample_page())[0].checked is None


def test_the_page_of_a_run_counts_what_it_does_not_show() -> None:
    many = Findings(tuple(Anomaly("drift", f"c{n}", f"moved {n}.") for n in range(MOST_ANOMALIES + 5)))
    page = replace(sample_page(), data=with_check(facts_of(many, 90)))
    text = Reader(render_run(page)).text
    assert f"{90 - MOST_ANOMALIES} more are not shown" in text
    assert f"moved {MOST_ANOMALIES}." not in text


def test_a_comment_names_the_rows_of_each_anomaly_before_the_metrics() -> None:
    body = result_body(TOPIC, Told(sample_run(), data=with_check(facts_of(sample_findings()))))
    text = read(body).text
    assert "Anomalies in data.scans: 3 errors and 1 warning" in text
    assert "❌ age (train): 143 rows are above 60, the largest 79 (rows 12, 1,240, ... of train)" in text
    assert "❌ the data: 2 rows of test are rows of train (rows 5, ... of test)" in text
    assert "⚠️ fare (eval): moved 0.31 from previous" in text
    assert text.index("age (train)") < text.index("fare (eval)") < text.index("accuracy")
    assert "Data: 1 dataset" in body


def test_a_comment_without_anomalies_says_nothing_of_them() -> None:
    data = with_check(facts_of(Findings()))
    assert anomalies_part(data) == ""
    assert data_part(data).count("\n") == 0


def test_a_comment_stays_short_whatever_is_found() -> None:
    rows = tuple(Example("train", 10_000_000 + n, "v" * 5000) for n in range(10))
    many = Findings(tuple(Anomaly("sql", "c" * 500, "m" * 5000, 99, rows) for _ in range(50)))
    told = anomalies_part(with_check(facts_of(many, 900)))
    assert len(told) < 12_000
    assert "900, the first 50 with 50 errors" in told
    assert "888 more anomalies in the report" in told


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_found_in_hostile_data_stays_text(text: str) -> None:
    anomaly = Anomaly(text, text, text, 3, (Example(text, 1, {text: text}),), "error", text, text)
    data: dict[str, Mapping[str, object]] = {
        text: {},
        "data.x": {"rows": {text: 1}},
        "check.x": facts_of(Findings((anomaly, anomaly))),
    }
    found = read(anomalies_part(data))
    assert found.links == []
    assert found.references == []
    assert found.html == []
    assert "image" not in found.tokens
    html = render_run(replace(sample_page(), data=data))
    usual = Anomaly("x", "x", "x", 3, (Example("x", 1, {"x": "x"}),), "error", "x", "x")
    plain: dict[str, Mapping[str, object]] = {
        "x": {},
        "data.x": {"rows": {"x": 1}},
        "check.x": facts_of(Findings((usual, usual))),
    }
    assert Reader(html).tags == Reader(render_run(replace(sample_page(), data=plain))).tags
