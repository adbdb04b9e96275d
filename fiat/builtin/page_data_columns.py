"""A column's row of the data report: what it holds in each split, in numbers, and what is asked of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fiat.builtin.page_data_anomalies import AnomalyRow
from fiat.builtin.page_data_charts import BarRow, Drawn, Place, draw_column, value_rows
from fiat.builtin.page_data_facts import Fact, brief_of, facts_of, kind_of, quantiles_of
from fiat.builtin.page_data_moved import Move
from fiat.builtin.page_data_names import name_words
from fiat.builtin.view_data import share_words
from fiat.builtin.view_text import count

MOST_VALUES = 20
FEW_VALUES = 5
MANY_MISSING = 0.5


@dataclass(frozen=True)
class ColumnCard:
    """A column of the report.

    Attributes:
        id: where it stands on the page; no part of it comes from users.
        name: of the column, not too long.
        kind: what it holds, with its Arrow type.
        is_label: whether it is to be predicted.
        is_open: whether it is unfolded at first.
        tags: (words, tone) beside the name.
        brief: what it is in a few words, for when it is folded.
        places: its splits.
        facts: counts and numbers.
        quantiles: of numbers.
        drawn: its distribution.
        values: the most frequent values, where the picture does not name them.
        moves: against the data before, and between splits.
        asked: by the schema.
        anomalies: found in it.
    """

    id: str
    name: str
    kind: str
    is_label: bool
    is_open: bool
    tags: list[tuple[str, str]]
    brief: str = ""
    places: list[str] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    quantiles: list[Fact] = field(default_factory=list)
    drawn: Drawn = field(default_factory=lambda: Drawn([], []))
    values: list[BarRow] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    anomalies: list[AnomalyRow] = field(default_factory=list)

    @property
    def has_moved(self) -> bool:
        """Whether it moved by more than chance anywhere."""
        return any(move.is_beyond or move.note for move in self.moves)

    @property
    def moves_told(self) -> str:
        """How far it moved, in a line."""
        beyond = sum(move.is_beyond for move in self.moves)
        of = count(len(self.moves), "distance")
        return f"{beyond} of {of} beyond noise" if beyond else f"{of}, none beyond noise"


@dataclass(frozen=True)
class Known:
    """What is known of a column beside its numbers.

    Attributes:
        id: where it stands on the page.
        name: of the column.
        is_label: whether it is to be predicted.
        is_open: whether it is unfolded at first.
        small: whether the page has very many columns.
        note: `new`, `gone`, or empty, against the data before.
        moves: of it.
        asked: of it.
        anomalies: of it.
    """

    id: str
    name: str
    is_label: bool
    is_open: bool
    small: bool
    note: str
    moves: list[Move]
    asked: list[str]
    anomalies: list[AnomalyRow]


def column_card(known: Known, places: Sequence[Place]) -> ColumnCard:
    """Everything about a column; of one that is only in the schema or was only before, that it is not there."""
    card = ColumnCard(
        id=known.id,
        name=name_words(known.name),
        kind=kind_of([place.now for place in places]),
        is_label=known.is_label,
        is_open=known.is_open,
        tags=_tags(known, places),
        asked=known.asked,
        anomalies=known.anomalies,
    )
    if not places:
        return card
    drawn = draw_column(places, small=known.small)
    most = FEW_VALUES if known.small else MOST_VALUES
    # A value that no other equals is no frequent one.
    frequent = not drawn.bars and any(rows > 1 for place in places for _, rows in place.now.top)
    return replace(
        card,
        places=[place.title for place in places],
        brief=brief_of(places),
        facts=facts_of(places),
        quantiles=quantiles_of(places),
        drawn=drawn,
        values=value_rows(places, most) if frequent else [],
        moves=known.moves,
    )


def _tags(known: Known, places: Sequence[Place]) -> list[tuple[str, str]]:
    """What stands beside the name: what should be looked at."""
    tags = [("label", "mark")] if known.is_label else []
    for word, severity, tone in (("error", "error", "bad"), ("warning", "warning", "doubt")):
        found = sum(row.severity == severity for row in known.anomalies)
        tags += [(count(found, word), tone)] if found else []
    if not places:
        tags.append(("not in the data any more" if known.note == "gone" else "not in the data", "quiet"))
        return tags
    tags += [("new", "quiet")] if known.note == "new" else []
    missing = sum(place.now.n_missing for place in places) / max(1, sum(place.now.n_rows for place in places))
    if missing >= MANY_MISSING:
        tags.append((f"{share_words(missing)} missing" if missing < 1 else "all missing", "quiet"))
    if any(move.previous and move.is_beyond for move in known.moves):
        tags.append(("moved", "quiet"))
    return tags
