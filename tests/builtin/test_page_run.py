import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from page_reader import HOSTILE, Reader
from page_samples import failed_page, sample_page, sample_run, step

from fiat.builtin.page_model import RunPage
from fiat.builtin.page_run import render_run
from fiat.builtin.view_text import visible
from fiat.run.model import GateResult, Metric


def hostile_page(text: str) -> RunPage:
    page = sample_page()
    run = replace(
        sample_run(),
        id=text,
        spec=text,
        spec_path=text,
        commit=text,
        branch=text,
        overrides=(text,),
        host=text,
        reason=text,
        config={
            "params": {text: text},
            "tune": {"objective": {"maximize": text}},
            "gates": [{"metric": text, "min": 0.5}],
        },
        steps=(step(text, reason=text), step("b", "failed", text)),
        metrics=(
            Metric(text, 0.5, low=0.4, high=0.6),
            Metric(text, 0.4, slice=f"{text}={text}", low=0.3, high=0.5, n_rows=3),
            Metric("plain", 0.4, slice=text),
        ),
        gates=(GateResult(text, "fail", text),),
        model_digest=text,
    )
    curve = {"label": text, "fpr": [0, 1], "tpr": [0, 1], "auc": 0.5}
    return replace(
        page,
        run=run,
        inputs={"b": (text,)},
        curves=((text, Metric(text, 1.0, 0)), (text, Metric(text, 2.0, 1))),
        plots={
            "confusion": {"labels": [text, "b"], "counts": [[1, 2], [3, 4]]},
            "roc": {"curves": [curve]},
            "scores": {"edges": [0, 1], "counts": {text: [1], "b": [2]}},
        },
        usage={text: {"gpu_ids": [text], "resumed": text}},
        studies={
            text: {
                "best": {"params": {text: text}, "value": 0.5, "trial": 1},
                "trials": [
                    {
                        "number": 1,
                        "params": {text: text},
                        "state": text,
                        "value": 0.5,
                        "curve": [[0, 1], [1, 2]],
                    },
                    {"number": 2, "params": {text: [text]}, "state": "done"},
                ],
            }
        },
        baseline=text,
        baseline_metrics=(Metric(text, 0.4),),
        data={
            text: {
                "rows": {text: 3},
                "class_rows": {"train": {text: 3}},
                "source_digest": text,
                "features": [text],
            }
        },
        manifest={"name": text, "files": {text: {"sha256": text, "size_bytes": 1}}},
        signature={"inputs": [{"name": text, "dtype": text, "shape": [None]}], "labels": [text]},
        logs={text: (text, text)},
        warnings=(text,),
        versions={text: text},
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_users_wrote_becomes_markup(text: str) -> None:
    html = render_run(hostile_page(text))
    # As long when printed, and cut at the same places into slices, so that only markup could make a difference.
    usual = Reader(render_run(hostile_page(re.sub(r"[^=,]", "x", visible(text)))))
    found = Reader(html)
    assert found.tags == usual.tags
    assert [(tag, key) for tag, key, _ in found.attributes] == [
        (tag, key) for tag, key, _ in usual.attributes
    ]
    assert found.values("href") == usual.values("href")
    assert "1337" not in html
    html.encode("utf-8")


def test_control_and_direction_characters_are_shown_instead_of_obeyed() -> None:
    found = render_run(hostile_page("a\x1b[31m\x07b\u202ec\u2066"))
    assert not {"\x1b", "\x07", "\u202e", "\u2066"} & set(found)
    assert "a␛[31m␇b&lt;U+202E&gt;c&lt;U+2066&gt;" in found


def test_the_page_needs_nothing_else_and_runs_nothing() -> None:
    found = Reader(render_run(sample_page()))
    assert not {"script", "link", "iframe", "object", "img", "form", "base", "foreignobject"} & set(
        found.tags
    )
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in found.values("content")
    assert all(str(value).startswith("#") for value in found.values("href"))
    assert found.values("src") == []
    assert not [key for _, key, _ in found.attributes if key.startswith("on")]


def test_the_same_run_gives_the_same_bytes() -> None:
    assert render_run(sample_page()) == render_run(sample_page())


def test_every_part_of_the_record_is_there() -> None:
    text = Reader(render_run(sample_page())).text
    for said in (
        "Passed with warnings",
        "gate fairness:check: the gap is 0.041",
        "0b88f5562d1b with uncommitted changes",
        "2026-11-21 06:15:00 UTC",
        "55 s",
        "desk-7",
        "0.9510 to 0.9846",
        "Measured on 360 rows of the test split.",
        "run 20261119-081512-77ab01, released from branch main",
        "+0.0122",
        "worst first by accuracy",
        "params: lr 0.003 -> 0.01",
        "reads train, data.scans",
        "peak memory 1.0 GiB",
        "1,257",
        "a1b2c3",
        "params.lr=0.01",
        "model.lr",
        "9e107d9d372bb6826bd81d3542a419d6.dir",
        "features float32 (n, 64)",
        "ab" * 32,
        "python",
        "3.11.7",
        "Expected calibration error 0.0123.",
    ):
        assert said in text, said


def test_links_of_the_page_lead_to_its_sections() -> None:
    found = Reader(render_run(sample_page()))
    ids = found.values("id")
    assert [str(value)[1:] for value in found.values("href")] == [
        value for value in ids if value != "warnings"
    ]


def test_a_failed_run_shows_the_last_output_first_and_no_empty_sections() -> None:
    found = Reader(render_run(failed_page()))
    assert "Last output of train" in found.text
    assert "ValueError: loss is not finite" in found.text
    assert "Failed" in found.text
    assert found.values("id") == ["steps", "settings"]


def test_a_run_without_anything_is_still_a_page() -> None:
    run = replace(
        sample_run(),
        steps=(),
        metrics=(),
        gates=(),
        config={},
        verdict=None,
        reason="",
        commit="",
        branch="",
        ended_at=None,
        state="running",
        model_digest="",
    )
    text = Reader(render_run(RunPage(run))).text
    assert "Not finished" in text
    assert "running" in text


def test_plots_of_a_wrong_shape_are_left_out() -> None:
    plots: dict[str, object] = {
        "confusion": {"labels": ["a"], "counts": [[1, 2]]},
        "roc": {"curves": [{"fpr": [0], "tpr": []}, 7]},
        "precision_recall": None,
        "calibration": {"bins": "none"},
        "scores": {"edges": [1, 0], "counts": {"a": [1]}},
        "residuals": {"points": [[1], [None, 2], "x"], "histogram": []},
        "unknown": 3,
    }
    found = Reader(
        render_run(replace(sample_page(), plots=plots, data={"data.x": {"rows": 3, "class_rows": []}}))
    )
    assert "plots" not in found.values("id")
