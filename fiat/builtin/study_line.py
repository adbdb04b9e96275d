"""The line that the log of a search gets for each trial that ends, and how it is read again."""

import math
import re
from dataclasses import dataclass

WORD = "FIAT_TRIAL"
_LINE = re.compile(r"FIAT_TRIAL((?: [a-z]+=\S*)+)\s*")
_PAIR = re.compile(r" ([a-z]+)=(\S*)")
_COUNT = re.compile(r"\d{1,9}")
_STATE = re.compile(r"[a-z_]{1,20}")


@dataclass(frozen=True)
class TrialLine:
    """A trial that ended.

    Attributes:
        number: of the trial, from 0 or 1 as the search counts.
        of: how many trials there will be in all.
        state: such as `done`, `stopped` (ended early, for being poor) or `failed`.
        value: of the metric that is searched by; NaN when it has none.
        best: best value of all trials so far; NaN while there is none.
    """

    number: int
    of: int
    state: str
    value: float = math.nan
    best: float = math.nan


def trial_text(line: TrialLine) -> str:
    """The line as it stands in the log: `FIAT_TRIAL number=3 of=12 state=done value=0.91 best=0.93`."""
    said = f"{WORD} number={line.number} of={line.of} state={line.state}"
    return f"{said} value={line.value!r} best={line.best!r}"


def read_trial(text: str) -> TrialLine | None:
    """Read one line of output as a trial; None when it is none or not a well-formed one."""
    if not text.startswith(WORD) or len(text) > 1000:
        return None
    match = _LINE.fullmatch(text.rstrip("\r\n"))
    if not match:
        return None
    said = dict(_PAIR.findall(match[1]))
    number, of, state = said.get("number", ""), said.get("of", ""), said.get("state", "")
    if not (_COUNT.fullmatch(number) and _COUNT.fullmatch(of) and _STATE.fullmatch(state)):
        return None
    return TrialLine(int(number), int(of), state, _real(said.get("value")), _real(said.get("best")))


def _real(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
