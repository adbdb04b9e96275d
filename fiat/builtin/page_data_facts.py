"""A column in numbers for the data report: a line a number, a value in each split."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fiat.builtin.page_data_charts import Place
from fiat.builtin.page_data_words import measured, spread
from fiat.builtin.view_data import share_words
from fiat.builtin.view_text import number, size
from fiat.profile.model import QUANTILES, ColumnProfile, Numbers

_MANY_MISSING = 0.5
_MIDDLE = 5


@dataclass(frozen=True)
class Fact:
    """A line of numbers.

    Attributes:
        name: what it is.
        values: of each split.
        tone: for one that should be looked at; empty for usual ones.
    """

    name: str
    values: tuple[str, ...]
    tone: str = ""


def kind_of(columns: Sequence[ColumnProfile]) -> str:
    """What a column holds, with its Arrow type; of each split where they differ."""
    said = []
    for column in columns:
        shape = f" {' × '.join(map(str, column.shape))}" if column.shape else ""
        kind = f"{column.kind}{shape}"
        told = (
            kind
            if column.dtype in (column.kind, "") or column.kind == "tensor"
            else f"{kind} ({column.dtype})"
        )
        said.append(told)
    return ", ".join(dict.fromkeys(said))


def missing_share(column: ColumnProfile) -> float:
    """Share (0..1) of the rows without a value."""
    return column.n_missing / column.n_rows if column.n_rows else 0.0


def brief_of(places: Sequence[Place]) -> str:
    """The column of the first split in a few words."""
    column = places[0].now
    said = [f"{share_words(missing_share(column))} missing"] if column.n_missing else []
    numbers = column.numbers
    if numbers is not None and numbers.n and column.kind != "bool":
        said.append(f"{measured(numbers.min, column.kind)} to {measured(numbers.max, column.kind)}")
    said.append(f"{_distinct(column)} distinct")
    return ", ".join(said)


def facts_of(places: Sequence[Place]) -> list[Fact]:
    """Rows, missing, distinct, then numbers, lengths and pictures where the column has them."""
    columns = [place.now for place in places]
    missing = max(map(missing_share, columns))
    facts = [
        Fact("rows", tuple(f"{column.n_rows:,}" for column in columns)),
        Fact(
            "missing",
            tuple(share_words(missing_share(column)) for column in columns),
            "doubt" if missing > _MANY_MISSING else "",
        ),
        Fact("distinct", tuple(map(_distinct, columns))),
    ]
    invalid = [column.n_invalid_utf8 for column in columns]
    facts += [Fact("not UTF-8", tuple(f"{rows:,}" for rows in invalid), "doubt")] if any(invalid) else []
    written = [column.share_numeric for column in columns]
    facts += [Fact("written as numbers", tuple(map(share_words, written)))] if any(written) else []
    return [*facts, *_of_numbers(columns), *_of_lengths(columns), *_of_pictures(columns)]


def quantiles_of(places: Sequence[Place]) -> list[Fact]:
    """All quantiles of numbers; none of bools and of columns without a number."""
    columns = [place.now for place in places]
    known = [column.numbers.quantiles if column.numbers and column.numbers.n else () for column in columns]
    if columns[0].kind == "bool" or not any(known):
        return []
    return [
        Fact(
            f"{share:.0%}",
            tuple(
                measured(values[place], column.kind) if len(values) > place else ""
                for values, column in zip(known, columns, strict=True)
            ),
        )
        for place, share in enumerate(QUANTILES)
    ]


def _distinct(column: ColumnProfile) -> str:
    return f"{'' if column.distinct_exact else '≈ '}{column.n_distinct:,}"


def _of_numbers(columns: Sequence[ColumnProfile]) -> list[Fact]:
    if columns[0].kind == "bool" or not any(column.numbers for column in columns):
        return []
    plain: list[tuple[str, Callable[[Numbers, ColumnProfile], str]]] = [
        ("min", lambda numbers, column: measured(numbers.min, column.kind)),
        ("mean", lambda numbers, column: measured(numbers.mean, column.kind)),
        ("sd", lambda numbers, column: spread(numbers.sd, column.kind)),
        ("median", lambda numbers, column: measured(_median(numbers), column.kind)),
        ("max", lambda numbers, column: measured(numbers.max, column.kind)),
    ]
    facts = []
    if any(column.numbers and column.numbers.n for column in columns):
        for name, words in plain:
            values = tuple(
                words(column.numbers, column) if column.numbers and column.numbers.n else ""
                for column in columns
            )
            facts.append(Fact(name, values))
    counted: list[tuple[str, Callable[[Numbers], int], str]] = [
        ("zeros", lambda numbers: numbers.n_zero, ""),
        ("below 0", lambda numbers: numbers.n_negative, ""),
        ("NaN", lambda numbers: numbers.n_nan, "doubt"),
        ("+infinity", lambda numbers: numbers.n_pos_inf, "doubt"),
        ("−infinity", lambda numbers: numbers.n_neg_inf, "doubt"),
    ]
    for name, rows, tone in counted:
        found = [rows(column.numbers) if column.numbers else 0 for column in columns]
        if any(found) and not (columns[0].kind == "time" and name in ("zeros", "below 0")):
            shares = zip(found, columns, strict=True)
            facts.append(Fact(name, tuple(_counted(n, column.numbers) for n, column in shares), tone))
    return facts


def _median(numbers: Numbers) -> float:
    return numbers.quantiles[_MIDDLE] if len(numbers.quantiles) > _MIDDLE else float("nan")


def _counted(n_values: int, numbers: Numbers | None) -> str:
    total = numbers.n + numbers.n_nan + numbers.n_pos_inf + numbers.n_neg_inf if numbers else 0
    return f"{n_values:,} ({share_words(n_values / total)})" if n_values and total else f"{n_values:,}"


def _of_lengths(columns: Sequence[ColumnProfile]) -> list[Fact]:
    if not any(column.lengths and column.lengths.n for column in columns):
        return []
    unit = {"text": "characters", "bytes": "bytes"}.get(columns[0].kind, "values a row")
    facts = []
    spans = [
        f"{item.min:,} to {item.max:,}" if item.min < item.max else f"{item.min:,}"
        for item in (column.lengths for column in columns)
        if item is not None and item.n
    ]
    if len(spans) == len(columns):
        facts.append(Fact(unit, tuple(spans)))
        facts.append(
            Fact(f"mean {unit}", tuple(number(column.lengths.mean) for column in columns if column.lengths))
        )
    empty = [column.lengths.n_zero if column.lengths else 0 for column in columns]
    if any(empty):
        facts.append(Fact("empty", tuple(f"{rows:,}" for rows in empty)))
    return facts


def _of_pictures(columns: Sequence[ColumnProfile]) -> list[Fact]:
    images = [column.images for column in columns]
    if not all(images):
        return []
    known = [item for item in images if item]
    facts = [
        Fact("formats", tuple(_named(item.formats) for item in known)),
        Fact("sizes", tuple(_named(item.sizes) for item in known)),
    ]
    if any(item.max_bytes for item in known):
        facts.append(Fact("largest", tuple(size(item.max_bytes) for item in known)))
    return facts


def _named(counts: object) -> str:
    """The most frequent two, and how many others."""
    named = (
        sorted(dict(counts).items(), key=lambda item: (-item[1], item[0])) if isinstance(counts, dict) else []
    )
    shown = ", ".join(name.replace("x", " × ") for name, _ in named[:2])
    return f"{shown} and {len(named) - 2} more" if len(named) > 2 else shown
