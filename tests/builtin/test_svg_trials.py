import math
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from drawing_reader import read_drawing as read

from fiat.builtin.svg_trials import trials_chart

STATES = st.sampled_from(["done", "stopped early", "failed"])


def line_of(values: list[float], *, lower: bool) -> list[float]:
    """Heights of the line of the best so far, in the order of trials."""
    trials = [(place, "done", value) for place, value in enumerate(values)]
    (drawn,) = read(trials_chart("t", trials, lower=lower)).iter("path")
    return [float(part.split()[-1]) for part in drawn.attrib["d"].replace("L", "M").split("M")[1:]]


@pytest.mark.parametrize("lower", [True, False])
def test_the_line_only_gets_better(lower: bool) -> None:
    heights = line_of([0.5, 0.7, 0.6, 0.9, 0.1, 0.8], lower=lower)
    assert heights == sorted(heights, reverse=not lower)
    assert len(set(heights)) == (2 if lower else 3)


def test_what_was_stopped_early_is_hollow_and_never_the_best() -> None:
    root = read(
        trials_chart("t", [(1, "done", 0.5), (2, "stopped early", 0.9), (3, "done", 0.6)], lower=False)
    )
    assert [item.attrib["class"] for item in root.iter("circle")] == ["trial done", "trial", "trial done"]
    (drawn,) = root.iter("path")
    top = min(float(item.attrib["cy"]) for item in root.iter("circle"))
    assert str(top) not in drawn.attrib["d"]


def test_a_trial_without_a_value_is_a_cross() -> None:
    root = read(trials_chart("t", [(1, "failed", math.nan)], lower=False))
    assert [item.text for item in root.iter("title")] == ["trial 1: failed, undefined"]
    assert sum(item.attrib["class"] == "lost" for item in root.iter("line")) == 2


@given(st.lists(st.tuples(STATES, st.floats()), min_size=1, max_size=20), st.booleans())
def test_any_history_can_be_drawn(trials: list[tuple[str, float]], lower: bool) -> None:
    read(trials_chart("t", [(place, *trial) for place, trial in enumerate(trials)], lower=lower))
