"""How a search goes while it does; no drawing. See `report_progress.py`."""

import math
from collections import Counter
from dataclasses import dataclass, field

from fiat.builtin.study_line import TrialLine
from fiat.builtin.view_spark import Course
from fiat.builtin.view_text import count, number

MOST_TRIALS = 100_000
_STATES = {"stopped": "stopped early"}


@dataclass
class StudyProgress:
    """A search while it goes on.

    Attributes:
        of: how many trials there will be in all.
        n_earlier: how many of them had ended before this attempt.
        states: number of each trial that ended to its state, of the first MOST_TRIALS.
        values: of the trials that have one, in the order they ended.
        leader: number of the best trial, None while there is none.
    """

    of: int
    n_earlier: int = 0
    states: dict[int, str] = field(default_factory=dict)
    values: Course = field(default_factory=Course)
    leader: int | None = None
    _best: float = math.nan

    def take(self, line: TrialLine) -> None:
        """Take over a trial that ended."""
        self.of = line.of
        if len(self.states) >= MOST_TRIALS and line.number not in self.states:
            return
        self.states[line.number] = line.state
        if math.isfinite(line.value):
            self.values.add(line.value)
        if math.isfinite(line.best) and line.best != self._best:
            self._best = line.best
            self.leader = line.number if line.value == line.best else self.leader

    @property
    def n_ended(self) -> int:
        """Trials that ended, whatever became of them."""
        return self.n_earlier + len(self.states)

    def words(self) -> str:
        """`5 of 12 trials, best 0.9312 (trial 3), 2 stopped early, 1 failed`."""
        words = [f"{self.n_ended:,} of {count(self.of, 'trial')}"]
        if math.isfinite(self._best):
            of = f" (trial {self.leader})" if self.leader is not None else ""
            words.append(f"best {number(self._best)}{of}")
        counts = Counter(state for state in tuple(self.states.values()) if state != "done")
        words += [f"{n} {_STATES.get(state, state)}" for state, n in sorted(counts.items())]
        return ", ".join(words)
