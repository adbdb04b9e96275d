"""A trial whose function can't see what is searched for says so, since all trials would be the same."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from child_stage import Ended, Stage

CODE = """
def named(lr, width=8): print("FIAT_METRIC score=1", lr, width)
def whole(params): print("got", params.lr)
def rest(**more): print("got", more["lr"])
def seeded(run, lr): print("got", run.seed)
"""


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path)
    made.module("work", CODE)
    return made


def trial(stage: Stage, call: str, **params: object) -> Ended:
    return stage.run(f"work:{call}", "trial", params=params, searched=sorted(params))


def test_a_function_that_takes_what_is_searched_is_called(stage: Stage) -> None:
    for call in ("named", "whole", "rest"):
        assert trial(stage, call, lr=0.1).code == 0, call
    assert trial(stage, "seeded", lr=0.1, seed=3).code == 0


def test_a_parameter_that_it_does_not_take_is_named_with_the_nearest(stage: Stage) -> None:
    ended = trial(stage, "named", widths=3, lr=1)
    assert ended.code != 0
    assert ended.result is not None
    assert ended.result["error"] == {
        "type": "SpecError",
        "message": (
            "work:named takes no `widths`, which `tune.search` varies; did you mean `width`? "
            "(give it an argument `widths` or `params`, or search for another parameter)"
        ),
    }
