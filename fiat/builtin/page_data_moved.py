"""What moved, for the data report: each column against the data before, and the other splits against the first."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fiat.builtin.page_data_names import cut, name_words
from fiat.builtin.page_data_words import part
from fiat.profile.distance import Distance, Metric, comparable, distance
from fiat.profile.model import ColumnProfile, DataProfile, Profile
from fiat.validate.model import Schema

PREVIOUS = "before"
_LONGEST_MOVED = 40


@dataclass(frozen=True)
class Pair:
    """Rows and what they are compared with.

    Attributes:
        words: such as `train, before → now`.
        before: columns of what is compared with, by name.
        after: columns of what may have moved.
        split: which split may have moved.
        previous: whether it is the data before.
    """

    words: str
    before: Mapping[str, ColumnProfile]
    after: Mapping[str, ColumnProfile]
    split: str
    previous: bool


@dataclass(frozen=True)
class Move:
    """How far one column moved between two places.

    Attributes:
        column: its name.
        words: between which places.
        measured: the distance; None where the two can't be compared.
        note: why not; empty where they can.
        previous: whether it is the data before.
    """

    column: str
    words: str
    measured: Distance | None
    note: str = ""
    previous: bool = False

    @property
    def name(self) -> str:
        """The column as it is shown."""
        return name_words(self.column)

    @property
    def is_beyond(self) -> bool:
        """Whether chance alone hardly moves a column so far."""
        return self.measured is not None and self.measured.beyond_noise

    @property
    def weight(self) -> float:
        """How much it matters among others, 0..1 and more: on a scale where the metrics can be set side by side."""
        if self.measured is None:
            return 0.0
        value = self.measured.value
        return math.sqrt(value) if self.measured.metric == "js" else value

    @property
    def moved(self) -> str:
        """What moved most: values or intervals with their shares before and after."""
        return ", ".join(
            f"{cut(item.name or '(empty)', _LONGEST_MOVED)} {part(item.before)} → {part(item.after)}"
            for item in (self.measured.moved if self.measured else ())
        )


def pairs_of(profile: DataProfile, previous: DataProfile | None) -> list[Pair]:
    """Each split against that of the data before (its `train` where it has no such split), the others against the first."""
    mine = [item for item in profile.profiles if not item.slice and item.n_rows]
    theirs = [item for item in previous.profiles if not item.slice and item.n_rows] if previous else []
    found = []
    for item in mine if theirs else ():
        same = next((other for other in theirs if other.split == item.split), None)
        before = same or next((other for other in theirs if other.split == "train"), theirs[0])
        name = item.split or "all rows"
        words = f"{name}, before → now" if same else f"{before.split or 'all rows'} before → {name}"
        found.append(Pair(words, columns_of(before), columns_of(item), item.split, previous=True))
    first = columns_of(mine[0]) if mine else {}
    return found + [
        Pair(f"{mine[0].split} → {item.split}", first, columns_of(item), item.split, previous=False)
        for item in mine[1:]
    ]


def columns_of(profile: Profile) -> Mapping[str, ColumnProfile]:
    """Columns by their names."""
    return {column.name: column for column in profile.columns}


def moves_of(name: str, pairs: list[Pair], schema: Schema) -> list[Move]:
    """How far a column moved in each of these; of places without it nothing is said."""
    asked = schema.column(name)
    found = []
    for pair in pairs:
        before, after = pair.before.get(name), pair.after.get(name)
        if before is None or after is None:
            continue
        metric = asked.drift.metric if asked and asked.drift and pair.previous else None
        found.append(_move(pair, before, after, metric))
    return found


def most_moved(moves: list[Move], most: int) -> list[Move]:
    """What moved by more than chance: of each column the largest movement, the largest first."""
    by_column: dict[str, Move] = {}
    for move in sorted((move for move in moves if move.is_beyond), key=lambda move: -move.weight):
        by_column.setdefault(move.column, move)
    return list(by_column.values())[:most]


def _move(pair: Pair, before: ColumnProfile, after: ColumnProfile, metric: Metric | None) -> Move:
    if not comparable(before, after):
        return Move(after.name, pair.words, None, f"{before.kind} → {after.kind}", pair.previous)
    return Move(after.name, pair.words, distance(before, after, metric), previous=pair.previous)


def came_and_went(profile: DataProfile, previous: DataProfile | None) -> Iterator[tuple[str, str]]:
    """Columns that only one of the two has: name, and `new` or `gone`."""
    if previous is None:
        return
    now = {column.name: None for item in profile.profiles for column in item.columns}
    was = {column.name: None for item in previous.profiles for column in item.columns}
    yield from ((name, "new") for name in now if name not in was)
    yield from ((name, "gone") for name in was if name not in now)
