import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from page_samples import study_documents

from fiat.builtin.study_record import params_text, read_study

TUNE = {"objective": {"maximize": "accuracy"}}


def test_trials_that_were_trained_to_their_end_stand_first() -> None:
    study = read_study(study_documents(), TUNE)
    assert [(trial.number, trial.state) for trial in study.trials] == [
        (3, "done"),
        (1, "done"),
        (2, "stopped"),
        (4, "failed"),
    ]
    assert (study.metric, study.mode, study.best, study.best_value) == ("accuracy", "max", 3, 0.9312)
    assert study.words() == "4 trials: 2 done, 1 failed, 1 stopped early"
    assert study.best_words() == "accuracy 0.9312 in trial 3"


def test_values_without_a_place_stand_in_their_order() -> None:
    trial = {"number": 1, "params": {}, "state": "done", "value": 0.9, "curve": [[None, 0.5], [None, 0.9]]}
    (found,) = read_study({"trials": [trial]}, {}).trials
    assert found.curve == ((0.0, 0.5), (1.0, 0.9))


@pytest.mark.parametrize("odd", [None, 3, "x", [], {}, [[]], {"objective": 3}])
def test_documents_of_another_shape_are_an_empty_search(odd: object) -> None:
    study = read_study({"best": odd, "trials": odd if odd != [[]] else None}, odd)
    assert study.trials == ()
    assert study.best is None
    assert math.isnan(study.best_value)
    assert study.words() == "no trials"
    assert study.best_words() == ""


def test_parameters_stand_on_one_line() -> None:
    params = {"lr": 0.00123456, "layers": 2, "name": "adam", "nesterov": True}
    assert params_text(params) == "lr=0.001235 layers=2 name=adam nesterov=True"
