"""What `fiat compare A B` shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from fiat.builtin.view_sheet import Cell, Sheet, Table, Tone
from fiat.builtin.view_text import interval, score, short
from fiat.evaluate.catalog import direction_of

Change = Literal["better", "worse", "same", "unclear", "changed"]
_TONES: dict[str, Tone] = {"better": "good", "worse": "bad", "unclear": "doubt", "same": "quiet"}
_ARROWS = {"higher": "↑", "lower": "↓"}


class ComparedRow(Protocol):
    """One thing in both runs; None where a run has none."""

    @property
    def name(self) -> str:
        """Parameter, dataset, output or metric."""

    @property
    def a(self) -> object:
        """Its value in A."""

    @property
    def b(self) -> object:
        """Its value in B."""

    @property
    def change(self) -> Change:
        """Whether B is better; `unclear` when the intervals overlap or no direction is known."""

    @property
    def a_interval(self) -> tuple[float, float] | None:
        """Confidence interval in A."""

    @property
    def b_interval(self) -> tuple[float, float] | None:
        """Confidence interval in B."""


class Compared(Protocol):
    """Two runs side by side, as the wiring makes it."""

    @property
    def a(self) -> str:
        """Id of the first run."""

    @property
    def b(self) -> str:
        """Id of the second run."""

    @property
    def parameters(self) -> Sequence[ComparedRow]:
        """Leaves of the spec that differ."""

    @property
    def data(self) -> Sequence[ComparedRow]:
        """Digest of each dataset."""

    @property
    def metrics(self) -> Sequence[ComparedRow]:
        """Every metric of either."""

    @property
    def steps(self) -> Sequence[ComparedRow]:
        """Output digests that differ."""


@dataclass(frozen=True)
class _Words:
    title: str
    nothing: str


def comparison_sheet(comparison: Compared) -> Sheet:
    """Parameters, data, metrics and outputs; metrics of slices only where they differ clearly."""
    shown = [row for row in comparison.metrics if "[" not in row.name or row.change in ("better", "worse")]
    blocks: list[Table | tuple[Cell, ...]] = [
        (Cell("A  ", "quiet"), Cell(comparison.a, "strong")),
        (Cell("B  ", "quiet"), Cell(comparison.b, "strong")),
    ]
    blocks.extend(_part(comparison.parameters, _Words("parameters", "the same parameters"), _text))
    blocks.extend(_part(comparison.data, _Words("data", "no data"), _digest))
    if shown:
        blocks.append(_metrics(shown))
    hidden = len(comparison.metrics) - len(shown)
    if hidden:
        blocks.append((Cell(f"{hidden} more of slices don't differ clearly", "quiet"),))
    blocks.extend(_part(comparison.steps, _Words("outputs", "the same outputs"), _digest))
    return Sheet(tuple(blocks))
