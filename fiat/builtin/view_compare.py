"""What `fiat compare A B` shows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from fiat.builtin.view_sheet import Cell, Sheet, Table, Tone
from fiat.builtin.view_text import interval, number, score, short
from fiat.evaluate.catalog import direction_of

Change = Literal["better", "worse", "same", "unclear", "changed"]
_TONES: dict[str, Tone] = {"better": "good", "worse": "bad", "unclear": "doubt", "same": "quiet"}
LONGEST = 40
Block = Table | tuple[Cell, ...]
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
    blocks: list[Block] = [
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


def _part(rows: Sequence[ComparedRow], words: _Words, show: Callable[[object], str]) -> list[Block]:
    if not rows:
        return [(Cell(""),), (Cell(words.nothing, "quiet"),)]
    table = Table(
        (words.title, "", "a", "b"),
        tuple(
            (
                Cell(row.name),
                Cell("=" if row.change == "same" else "≠", "quiet" if row.change == "same" else "strong"),
                Cell(show(row.a)),
                Cell(show(row.b) if row.change != "same" else "", "strong"),
            )
            for row in rows
        ),
    )
    return [table]


def _metrics(rows: Sequence[ComparedRow]) -> Table:
    return Table(
        ("metric", "a", "interval", "b", "interval", "b is"),
        tuple(
            (
                Cell(_with_arrow(row.name)),
                Cell(_number(row.a, row.a_interval)),
                Cell(_interval(row.a_interval), "quiet"),
                Cell(_number(row.b, row.b_interval), "strong"),
                Cell(_interval(row.b_interval), "quiet"),
                Cell(row.change, _TONES.get(row.change, "")),
            )
            for row in rows
        ),
        frozenset({1, 3}),
    )


def _with_arrow(name: str) -> str:
    """The name, and which way is better where that is known."""
    direction = direction_of(name.partition(" [")[0])
    return f"{name} {_ARROWS[direction]}" if direction else name


def _interval(span: tuple[float, float] | None) -> str:
    return interval(*span) if span else ""


def _number(value: object, span: tuple[float, float] | None) -> str:
    if not isinstance(value, int | float):
        return "-"
    return score(float(value)) if span else number(float(value))


def _text(value: object) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _digest(value: object) -> str:
    return short(str(value)) if value else "-"
