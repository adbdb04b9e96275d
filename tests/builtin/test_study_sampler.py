import math
from typing import Any

import pytest

from fiat.builtin.study_ledger import State, Trial
from fiat.builtin.study_sampler import Choosing, Sampler

DEEP: dict[str, dict[str, Any]] = {
    "width": {"int": [1, 8], "when": {"kind": "deep"}},
    "kind": {"choice": ["deep", "flat"]},
}


def run(sampler: Sampler, n_trials: int, score: Any, known: list[Trial] | None = None) -> list[Trial]:
    """A search without children: each trial has its score at once."""
    trials = list(known or [])
    while len(trials) < n_trials:
        params = sampler.next(trials)
        if params is None:
            break
        trials.append(Trial(len(trials) + 1, params, "done", ((None, score(params)),)))
    return trials


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_values_come_from_where_the_spec_says(sampler: str) -> None:
    space: dict[str, dict[str, Any]] = {
        "lr": {"log": [1e-5, 1e-1]},
        "drop": {"uniform": [0.2, 0.4]},
        "layers": {"int": [2, 4]},
        "act": {"choice": ["relu", {"name": "elu", "alpha": 1.5}, None]},
    }
    trials = run(Sampler(space, Choosing(sampler, "max", 3, 40)), 40, lambda params: params["lr"])
    rates = [float(str(trial.params["lr"])) for trial in trials]
    assert all(1e-5 <= rate <= 1e-1 for rate in rates)
    assert sum(rate < 1e-3 for rate in rates) >= 4  # on a linear scale hardly any would be
    assert all(0.2 <= float(str(trial.params["drop"])) <= 0.4 for trial in trials)
    assert {trial.params["layers"] for trial in trials} == {2, 3, 4}
    acts = [trial.params["act"] for trial in trials]
    assert all(act in acts for act in ("relu", {"name": "elu", "alpha": 1.5}, None))


@pytest.mark.parametrize("sampler", ["random", "tpe", "grid"])
def test_a_parameter_is_searched_only_where_it_applies(sampler: str) -> None:
    trials = run(Sampler(DEEP, Choosing(sampler, "max", 0, 9)), 9, lambda params: params.get("width", 0))
    assert len(trials) == 9
    for trial in trials:
        assert ("width" in trial.params) == (trial.params["kind"] == "deep")
    assert {trial.params["kind"] for trial in trials} == {"deep", "flat"}


@pytest.mark.parametrize("sampler", ["random", "tpe", "grid"])
def test_no_combination_comes_twice_and_there_is_an_end(sampler: str) -> None:
    trials = run(Sampler(DEEP, Choosing(sampler, "max", 0, 50)), 50, lambda params: params.get("width", 0))
    assert len({trial.digest for trial in trials}) == len(trials) == 9


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_search_that_goes_on_chooses_what_it_would_have_chosen(sampler: str) -> None:
    space = {"x": {"uniform": [-1.0, 1.0]}, "y": {"log": [0.1, 10.0]}}

    def score(params: Any) -> float:
        return float(-((params["x"] - 0.3) ** 2) - math.log(params["y"]) ** 2)

    whole = run(Sampler(space, Choosing(sampler, "max", 7, 14)), 14, score)
    half = run(Sampler(space, Choosing(sampler, "max", 7, 14)), 6, score)
    assert run(Sampler(space, Choosing(sampler, "max", 7, 14)), 14, score, half) == whole
    other = run(Sampler(space, Choosing(sampler, "max", 8, 14)), 14, score)
    assert other[0].params != whole[0].params


@pytest.mark.parametrize(("mode", "sign"), [("max", 1.0), ("min", -1.0)])
def test_tpe_learns_from_what_went_well(mode: str, sign: float) -> None:
    space = {"x": {"uniform": [0.0, 1.0]}}
    trials = run(
        Sampler(space, Choosing("tpe", mode, 1, 40)), 40, lambda params: -sign * (params["x"] - 0.7) ** 2
    )
    late = [abs(float(str(trial.params["x"])) - 0.7) for trial in trials[20:]]
    assert sum(late) / len(late) < 0.15  # at random it is 0.29


@pytest.mark.parametrize("state", ["failed", "stopped", "running", "done"])
def test_a_trial_of_any_kind_may_be_known(state: State) -> None:
    space = {"x": {"uniform": [0.0, 1.0]}}
    values = ((1, 0.3), (2, math.nan), (3, math.inf)) if state in ("stopped", "done") else ()
    known = [Trial(number, {"x": number / 20}, state, values) for number in range(1, 15)]
    params = Sampler(space, Choosing("tpe", "max", 1, 40)).next(known)
    assert params is not None
    assert 0.0 <= float(str(params["x"])) <= 1.0
