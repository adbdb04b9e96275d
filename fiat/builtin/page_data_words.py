"""Words of the data report: shares, values, times, and what a schema asks, as people say it."""

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from fiat.builtin.page_data_names import LONGEST_NAME, cut, name_words, value_words
from fiat.builtin.view_data import share_words
from fiat.builtin.view_text import count, number, size
from fiat.profile.model import Kind
from fiat.validate.model import ColumnSchema, Domain, ImageDomain, Schema
from fiat.validate.movement_words import METRICS

MOST_VALUES = 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_S, _LATEST_S = -62_000_000_000.0, 253_000_000_000.0
_DAY_S = 86_400.0
_MOST_WHOLE = 1e15

_TYPES = {
    "int": "whole numbers",
    "float": "numbers",
    "bool": "true or false",
    "text": "texts",
    "bytes": "bytes",
    "time": "times",
    "list": "lists",
    "tensor": "tensors",
    "image": "pictures",
}


def part(share: float) -> str:
    """A share (0..1) within a sentence, where none is `0%`."""
    return share_words(share) if share > 0 else "0%"


def axis_ends(low: float, high: float) -> tuple[str, str]:
    """Both ends of an axis of times, as short as their distance lets them be."""
    form = "%Y-%m-%d" if high - low >= 2 * _DAY_S else "%m-%d %H:%M"
    ends = []
    for seconds in (low, high):
        near = _EARLIEST_S < seconds < _LATEST_S
        ends.append((_EPOCH + timedelta(seconds=seconds)).strftime(form) if near else moment_words(seconds))
    return ends[0], ends[1]


def measured(value: float, kind: Kind) -> str:
    """A number of a column; of times the moment."""
    if kind == "int" and abs(value) < _MOST_WHOLE and value == int(value):
        return f"{int(value):,}"
    return moment_words(value) if kind == "time" else number(value)


def spread(value: float, kind: Kind) -> str:
    """A standard deviation; of times as a duration."""
    if kind != "time" or not math.isfinite(value):
        return number(value)
    return f"{number(value / _DAY_S)} days" if value >= _DAY_S else f"{number(value)} s"


def moment_words(seconds: float) -> str:
    """Seconds since 1970 as date and time, the date alone at midnight."""
    if not _EARLIEST_S < seconds < _LATEST_S:
        return f"{number(seconds)} s"
    when = _EPOCH + timedelta(seconds=seconds)
    return when.strftime("%Y-%m-%d") if seconds % _DAY_S == 0 else when.strftime("%Y-%m-%d %H:%M:%S")


def asked_of_data(schema: Schema) -> list[str]:
    """What a schema asks of the rows as a whole."""
    said = (
        [f"{_between(schema.min_rows, schema.max_rows)} rows in each split"] if _limits_rows(schema) else []
    )
    said += [f"the label is {name_words(schema.label)}"] if schema.label else []
    return said


def asked_of_column(column: ColumnSchema, kind: Kind | None = None) -> list[str]:
    """What a schema asks of a column, a phrase each.

    Args:
        column: of the schema.
        kind: what the column holds where the schema does not say; None when unknown.
    """
    said = [_TYPES[column.type]] if column.type else []
    said += _presence(column)
    said += _domain(column.domain, column.type or kind)
    said += _pictures(column.image) if column.image else []
    said += _shape(column)
    said += _movement(column)
    if column.severity == "warn":
        said.append("what does not hold is a warning")
    return said


def _presence(column: ColumnSchema) -> Iterator[str]:
    where = _listed(column.in_environments)
    yield ("must be there" if column.required else "may be absent") + (f" in {where}" if where else "")
    if column.not_in_environments:
        yield f"may be absent in {_listed(column.not_in_environments)}"
    if column.min_present is not None and column.min_present > 0:
        whole = column.min_present >= 1
        yield (
            "a value in every row"
            if whole
            else f"a value in at least {_percent(column.min_present)} of the rows"
        )
    if column.min_count is not None and column.min_count > 0:
        yield f"a value in at least {count(column.min_count, 'row')}"


def _domain(domain: Domain, kind: str | None) -> Iterator[str]:
    if domain.min is not None or domain.max is not None:
        yield _between(domain.min, domain.max, _moment if kind == "time" else number)
    if domain.values is not None:
        names = [value_words(value) for value in domain.values[:MOST_VALUES]]
        more = len(domain.values) - len(names)
        tail = f" and {more:,} more" if more > 0 else ""
        tolerance = f", for at least {_percent(domain.mass)} of the values" if domain.mass < 1 else ""
        yield f"one of {', '.join(names)}{tail}{tolerance}"
    if domain.regex is not None:
        yield f"matches {cut(domain.regex)}"
    if domain.min_length is not None or domain.max_length is not None:
        yield f"{_between(domain.min_length, domain.max_length)} characters"


def _pictures(image: ImageDomain) -> Iterator[str]:
    if image.formats:
        yield f"format {' or '.join(image.formats)}"
    if image.min_supported < 1:
        yield f"at least {_percent(image.min_supported)} can be read as pictures"
    for name, low, high in (
        ("wide", image.min_width, image.max_width),
        ("high", image.min_height, image.max_height),
    ):
        if low is not None or high is not None:
            yield f"{_between(low, high)} pixels {name}"
    if image.max_bytes is not None:
        yield f"at most {size(image.max_bytes)}"


def _shape(column: ColumnSchema) -> Iterator[str]:
    if column.min_values is not None or column.max_values is not None:
        yield f"{_between(column.min_values, column.max_values)} values a row"
    if column.shape is not None:
        yield f"shape {' × '.join('any' if axis is None else str(axis) for axis in column.shape) or 'of one value'}"
    if column.unique:
        yield "no value twice"
    if column.min_unique is not None or column.max_unique is not None:
        yield f"{_between(column.min_unique, column.max_unique)} different values"
    if not column.nan:
        yield "no NaN"
    if not column.inf:
        yield "no infinities"


def _movement(column: ColumnSchema) -> Iterator[str]:
    for limit, against in ((column.drift, "the data before"), (column.skew, "what is served")):
        if limit is not None:
            yield f"{METRICS[limit.metric]} to {against} of at most {_plain(limit.max)}"


def _between(
    low: float | None, high: float | None, words: Callable[[float | None], str] | None = None
) -> str:
    words = words or _plain
    if low is not None and high is not None:
        return f"exactly {words(low)}" if low == high else f"{words(low)} to {words(high)}"
    return f"at least {words(low)}" if low is not None else f"at most {words(high)}"


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:,.10g}"


def _moment(value: float | None) -> str:
    return moment_words(math.nan if value is None else value)


def _limits_rows(schema: Schema) -> bool:
    return schema.min_rows is not None or schema.max_rows is not None


def _percent(share: float) -> str:
    return share_words(share) if share < 0.001 or share != round(share, 2) else f"{share:.0%}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(cut(name, LONGEST_NAME) for name in names)
