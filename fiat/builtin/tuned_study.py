"""A search as it is shown: its trials, where it stands, and which parameters mattered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from fiat.builtin.page_json import items, mapping, reals, text
from fiat.builtin.study_record import StudyRecord


@dataclass(frozen=True)
class TunedStudy:
    """What is shown of a search.

    Attributes:
        spec: name of its spec.
        run: id of the run that it is of.
        state: `done`; `running`; `ended` before it was done: it goes on with the next run.
        of: how many trials were asked for; 0 when unknown.
        record: its trials.
        space: parameter to its section under `tune.search`.
        importance: parameter to its share (0..1) of the differences between trials, the largest first.
    """

    spec: str
    run: str
    state: Literal["done", "running", "ended"]
    of: int
    record: StudyRecord
    space: Mapping[str, object] = field(default_factory=dict)
    importance: Mapping[str, float] = field(default_factory=dict)

    def standing(self) -> str:
        """`5 of 12 trials: 4 done, 1 failed`."""
        words, n_trials = self.record.words(), len(self.record.trials)
        if self.of <= n_trials:
            return words
        _, colon, told = words.partition(": ")
        return f"{n_trials} of {self.of} trials{colon}{told}"


def is_log(search: object) -> bool:
    """Whether a parameter is searched on a log scale."""
    return bool(items(mapping(search).get("log")))


def is_list(search: object) -> bool:
    """Whether a parameter is one of some values."""
    return isinstance(search, list | tuple) or bool(items(mapping(search).get("choice")))


def search_text(search: object) -> str:
    """Where the values of a parameter come from, for people: `log 0.001 to 0.1`."""
    if isinstance(search, list | tuple):
        return ", ".join(text(value) for value in search)
    said = mapping(search)
    for kind in ("log", "uniform", "int"):
        if edges := reals(said.get(kind)):
            words = {"log": "log ", "uniform": "", "int": "whole "}[kind]
            return words + " to ".join(f"{edge:.6g}" for edge in edges)
    return ", ".join(text(value) for value in items(said.get("choice")))
