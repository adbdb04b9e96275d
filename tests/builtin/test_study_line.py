import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiat.builtin.study_line import TrialLine, read_trial, trial_text


@given(st.integers(0, 10**9 - 1), st.sampled_from(["done", "failed", "stopped"]), st.floats(), st.floats())
def test_what_is_written_is_read_again(number: int, state: str, value: float, best: float) -> None:
    line = TrialLine(number, 12, state, value, best)
    found = read_trial(trial_text(line) + "\n")
    assert found is not None
    assert repr(found) == repr(line)


def test_a_trial_may_lack_its_values() -> None:
    found = read_trial("FIAT_TRIAL number=3 of=12 state=failed")
    assert found is not None
    assert (found.number, found.of, found.state) == (3, 12, "failed")
    assert math.isnan(found.value)
    assert math.isnan(found.best)


@pytest.mark.parametrize(
    "text",
    [
        "FIAT_TRIAL",
        "FIAT_TRIAL number=3",
        "FIAT_TRIAL number=-1 of=12 state=done",
        "FIAT_TRIAL number=3 of=12 state=Done!",
        "FIAT_TRIALS number=3 of=12 state=done",
        " FIAT_TRIAL number=3 of=12 state=done",
        "FIAT_TRIAL number=3 of=12 state=done " + "x" * 1000,
        "FIAT_TRIAL number=3\x1b[2J of=12 state=done",
    ],
)
def test_other_lines_are_no_trials(text: str) -> None:
    assert read_trial(text) is None


def test_a_value_that_is_no_number_is_none() -> None:
    found = read_trial("FIAT_TRIAL number=3 of=12 state=done value=abc best=0.5")
    assert found is not None
    assert math.isnan(found.value)
    assert found.best == 0.5
