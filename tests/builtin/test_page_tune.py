"""A search on a page and on a terminal: plots, best first, hostile names harmless, nothing fetched from anywhere."""

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fiat.builtin.page_tune import importance_chart, render_tune
from fiat.builtin.study_record import StudyRecord, Trial
from fiat.builtin.svg_parallel import Dimension, parallel_chart
from fiat.builtin.tuned_study import TunedStudy, search_text
from fiat.builtin.view_sheet import plain_text
from fiat.builtin.view_tune import tune_sheet

sys.path.insert(0, str(Path(__file__).parent))
from page_reader import HOSTILE, Reader

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NAN = float("nan")
TRIALS = (
    Trial(2, {"lr": 0.01, "kind": "deep", "width": 64}, "done", 0.9, 12.0, ((1, 0.5), (2, 0.9))),
    Trial(1, {"lr": 0.1, "kind": "flat"}, "done", 0.8, 10.0, ((1, 0.6), (2, 0.8))),
    Trial(4, {"lr": 0.001, "kind": "flat"}, "stopped", 0.3, 4.0, ((1, 0.3),)),
    Trial(3, {"lr": 0.05, "kind": "deep", "width": 8}, "failed", NAN, 1.0, ()),
)
STUDY = TunedStudy(
    spec="fashion",
    run="20260301-abc",
    state="done",
    of=4,
    record=StudyRecord("accuracy", "max", 2, 0.9, {"lr": 0.01, "kind": "deep", "width": 64}, TRIALS),
    space={
        "lr": {"log": [0.001, 0.1]},
        "kind": ["deep", "flat"],
        "width": {"int": [8, 64], "when": {"kind": "deep"}},
    },
    importance={"lr": 0.75, "kind": 0.25},
)


def test_the_page_has_history_importance_and_parallel_coordinates() -> None:
    page = Reader(render_tune(STUDY, NOW))
    labels = page.values("aria-label")
    assert {"accuracy of 4 trials", "Importance of parameters", "Parameters and accuracy of trials"} <= set(
        labels
    )
    assert "accuracy 0.9000 in trial 2" in page.text
    assert "4 trials: 2 done, 1 failed, 1 stopped early" in page.text
    assert "lr 0.01 75% log 0.001 to 0.1" in page.text
    assert page.text.index("2 best") < page.text.index("kind=flat")


def test_an_axis_of_a_list_has_its_values_in_their_order() -> None:
    sizes = (32, 128, 64, 64)
    trials = tuple(replace(trial, params={"size": n}) for trial, n in zip(TRIALS, sizes, strict=True))
    space = {"size": [128, 32, 64]}
    study = replace(STUDY, record=replace(STUDY.record, trials=trials), space=space, importance={})
    text = Reader(render_tune(study, NOW)).text
    axis = text[text.index("A line for each trial") :]
    assert axis.index("32") < axis.index("64") < axis.index("128")
    assert "100" not in axis[: axis.index("128")]


def test_nothing_is_fetched_and_there_is_no_script() -> None:
    page = Reader(render_tune(STUDY, NOW))
    assert not {"script", "link", "iframe", "img", "object"} & set(page.tags)
    assert [
        value for value in (*page.values("src"), *page.values("href")) if not (value or "").startswith("#")
    ] == []


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_stay_text(text: str) -> None:
    trials = tuple(replace(trial, params={text: text}, state=text) for trial in TRIALS)
    record = StudyRecord(text, "max", 2, 0.9, {text: text}, trials)
    study = TunedStudy(text, text, "ended", 9, record, {text: [text]}, {text: 0.5})
    bare = Reader(render_tune(STUDY, NOW))
    page = Reader(render_tune(study, NOW))
    assert set(page.tags) <= set(bare.tags)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "\x1b" not in page.text
    assert "\x1b" not in plain_text(tune_sheet(study))


def test_a_search_that_did_not_end_says_so() -> None:
    study = replace(STUDY, state="ended", of=12)
    assert "Not done" in Reader(render_tune(study, NOW)).text
    assert "4 of 12 trials: 2 done, 1 failed" in plain_text(tune_sheet(study))
    assert "the next run goes on" in plain_text(tune_sheet(study))
    assert "Running" in Reader(render_tune(replace(STUDY, state="running"), NOW)).text


def test_without_a_trial_there_is_still_a_page() -> None:
    record = StudyRecord("", "max", None, NAN, {}, ())
    study = TunedStudy("fashion", "r", "running", 3, record)
    page = Reader(render_tune(study, NOW))
    assert "svg" not in page.tags
    assert "fashion" in plain_text(tune_sheet(study))


def test_the_terminal_shows_the_best_first_with_what_mattered() -> None:
    lines = plain_text(tune_sheet(STUDY)).splitlines()
    assert lines[0].startswith("fashion  run 20260301-abc  4 trials")
    assert "best accuracy 0.9000 in trial 2" in lines[0]
    shown = "\n".join(lines)
    assert shown.index("2 best") < shown.index("lr=0.1 kind=flat")
    (lr,) = [line for line in lines if line.startswith("lr ")]
    assert "0.01" in lr
    assert "75%" in lr
    assert "log 0.001 to 0.1" in lr
    assert "\n3 " in shown


@pytest.mark.parametrize(
    ("search", "text"),
    [
        (["a", 1, None], "a, 1, "),
        ({"choice": [1, 2]}, "1, 2"),
        ({"log": [0.001, 0.1]}, "log 0.001 to 0.1"),
        ({"uniform": [0, 0.5]}, "0 to 0.5"),
        ({"int": [1, 8], "when": {"a": 1}}, "whole 1 to 8"),
        ("odd", ""),
        (None, ""),
    ],
)
def test_where_values_come_from_is_said_in_words(search: object, text: str) -> None:
    assert search_text(search) == text


def test_a_line_goes_through_every_axis_and_below_those_it_does_not_have() -> None:
    chart = parallel_chart(
        "p",
        [
            Dimension("lr", [0.001, 0.1], log=True),
            Dimension("kind", ["b", "a"], ("a", "b")),
            Dimension("width", [None, 8.0]),
            Dimension("score", [0.1, 0.9]),
        ],
        [0.0, 1.0],
        1,
    )
    paths = [value for tag, name, value in Reader(chart).attributes if (tag, name) == ("path", "d")]
    assert len(paths) == 2
    points = [
        [tuple(map(float, step[1:].split())) for step in str(path).replace(" L", "|L").split("|")]
        for path in paths
    ]
    worse, better = points
    assert [len(line) for line in points] == [4, 4]
    assert worse[0][1] > better[0][1]  # pixels grow downwards
    assert worse[1][1] < better[1][1]
    assert worse[2][1] > max(y for line in points for place, (_, y) in enumerate(line) if place != 2)
    assert "not there" in Reader(chart).text
    assert chart.index("chosen") > chart.index("opacity")


def test_a_bar_is_as_long_as_its_share() -> None:
    chart = Reader(importance_chart([("lr", 0.5), ("width", 0.25), ("none", 0.0)]))
    widths = [float(str(value)) for tag, name, value in chart.attributes if (tag, name) == ("rect", "width")]
    assert widths == [120.0, 60.0, 1.0]
    assert "50%" in chart.text
