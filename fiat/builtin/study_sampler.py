"""Which combination of parameters comes next: Optuna's samplers over a space with conditions, or a grid."""

import logging
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from fiat.builtin.study_ledger import Trial, digest_of
from fiat.spec.search_space import Space, applies, grid, in_order, is_finite

_TRIES = 20
_FIRST = 10


@dataclass(frozen=True)
class Choosing:
    """How combinations are chosen.

    Attributes:
        sampler: `tpe`, `random` or `grid`.
        mode: whether the value is made large (`max`) or small (`min`).
        seed: of the choice; the same trials before it lead to the same next one.
        trials: how many there will be, of which the first few of `tpe` are at random.
    """

    sampler: str
    mode: str
    seed: int
    trials: int


class Sampler:
    """Chooses. It is told of every trial, also of those of earlier attempts, and never gives the same one twice."""

    def __init__(self, space: Space, choosing: Choosing) -> None:
        self._space = space
        self._choosing = choosing
        self._names = in_order(space)
        optuna.logging.set_verbosity(logging.ERROR)

    def next(self, known: Iterable[Trial]) -> dict[str, object] | None:
        """Parameters that no known trial has; None when there are no others.

        Args:
            known: all trials up to now, those that run too.
        """
        trials = list(known)
        used = {trial.digest for trial in trials}
        if self._choosing.sampler == "grid":
            return next((params for params in grid(self._space) if digest_of(params) not in used), None)
        for attempt in range(_TRIES):
            params = self._ask(trials, attempt)
            if digest_of(params) not in used:
                return params
        if is_finite(self._space):
            return next((params for params in grid(self._space) if digest_of(params) not in used), None)
        return None

    def _ask(self, trials: list[Trial], attempt: int) -> dict[str, object]:
        """A fresh study each time: what is chosen depends on the trials alone, not on who asked when."""
        direction = StudyDirection.MAXIMIZE if self._choosing.mode == "max" else StudyDirection.MINIMIZE
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study = optuna.create_study(direction=direction, sampler=self._sampler(len(trials), attempt))
            for trial in trials:
                study.add_trial(told(self._space, trial))
            asked = study.ask()
            chosen: dict[str, object] = {}
            for name in self._names:
                if applies(self._space, name, chosen):
                    chosen[name] = _draw(asked, name, self._space[name])
        return chosen

    def _sampler(self, n_trials: int, attempt: int) -> BaseSampler:
        seed = (self._choosing.seed * 1_000_003 + n_trials * 101 + attempt) % 2**32
        if self._choosing.sampler == "random" or attempt >= _TRIES // 2:
            return RandomSampler(seed=seed)
        first = min(_FIRST, max(3, self._choosing.trials // 3))
        return TPESampler(
            seed=seed, n_startup_trials=first, multivariate=True, group=True, constant_liar=True
        )


def distribution_of(search: Mapping[str, object]) -> BaseDistribution:
    """Where the values of one parameter come from, in Optuna's words; those of a list are its positions."""
    if isinstance(choice := search.get("choice"), list | tuple):
        return CategoricalDistribution(tuple(range(len(choice))))
    if isinstance(whole := search.get("int"), list | tuple):
        return IntDistribution(int(whole[0]), int(whole[1]))
    log = "log" in search
    found = search["log" if log else "uniform"]
    assert isinstance(found, list | tuple)  # noqa: S101 - the spec's model says so
    return FloatDistribution(float(found[0]), float(found[1]), log=log)


def told(space: Space, trial: Trial) -> optuna.trial.FrozenTrial:
    """A trial in Optuna's words; one that was stopped early counts as pruned."""
    states = {"running": TrialState.RUNNING, "done": TrialState.COMPLETE, "stopped": TrialState.PRUNED}
    state = states.get(trial.state, TrialState.FAIL)
    value = trial.value
    if value is None or value != value or abs(value) == float("inf"):
        state, value = (state if state == TrialState.RUNNING else TrialState.FAIL), None
    return create_trial(
        params={name: _inward(space[name], item) for name, item in trial.params.items()},
        distributions={name: distribution_of(space[name]) for name in trial.params},
        value=value if state == TrialState.COMPLETE else None,
        state=state,
        intermediate_values={at: item for at, (_, item) in enumerate(trial.values, 1) if item == item},
    )


def _draw(asked: optuna.Trial, name: str, search: Mapping[str, object]) -> object:
    found = distribution_of(search)
    if isinstance(found, CategoricalDistribution):
        choice = search["choice"]
        assert isinstance(choice, list | tuple)  # noqa: S101 - `distribution_of` looked
        return choice[int(str(asked.suggest_categorical(name, found.choices)))]
    if isinstance(found, IntDistribution):
        return asked.suggest_int(name, found.low, found.high)
    assert isinstance(found, FloatDistribution)  # noqa: S101 - there is no other
    return asked.suggest_float(name, found.low, found.high, log=found.log)


def _inward(search: Mapping[str, object], value: object) -> object:
    choice = search.get("choice")
    if not isinstance(choice, list | tuple):
        return value
    same = digest_of({"": value})
    return next(at for at, item in enumerate(choice) if digest_of({"": item}) == same)
