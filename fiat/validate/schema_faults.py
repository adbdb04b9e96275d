"""What contradicts itself in what is said of a column: a range upside down, a pattern for numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fiat.validate.model import ColumnSchema, Limit
from fiat.validate.schema_words import (
    ASKED_OF,
    METRICS_TO_ONE,
    NUMBER_METRICS,
    choices,
    matching,
    nearest,
    regex_fault,
    shown,
)

INT_RANGE = range(-(2**63), 2**64)


@dataclass(frozen=True)
class Fault:
    """Something that can't be meant.

    Attributes:
        key: where, below the column, such as `("range", "min")`.
        message: what is wrong.
        hint: what to write instead.
    """

    key: tuple[str, ...]
    message: str
    hint: str = ""


def column_faults(column: ColumnSchema, environments: Sequence[str]) -> Iterator[Fault]:
    """Every contradiction in what is said of a column.

    Args:
        column: what is said.
        environments: those that the schema knows.
    """
    asked = tuple(_asked(column))
    for key in asked:
        fitting = ASKED_OF.get(key, ())
        if fitting and column.type is not None and column.type not in fitting:
            yield Fault(
                (key,), f"`{key}` does not fit the type `{column.type}`", f"it fits {choices(fitting)}"
            )
    yield from _bounds(column)
    yield from _values(column)
    yield from _environments(column, environments)
    for key, limit in (("drift", column.drift), ("skew", column.skew)):
        if limit is not None:
            yield from _limit(key, limit, column)


def _asked(column: ColumnSchema) -> Iterator[str]:
    """The keys that are asked of a column and don't fit every type."""
    domain = column.domain
    said = {
        "values": domain.values is not None,
        "range": domain.min is not None or domain.max is not None,
        "regex": domain.regex is not None,
        "length": domain.min_length is not None or domain.max_length is not None,
        "per_row": column.min_values is not None or column.max_values is not None,
        "shape": column.shape is not None,
        "nan": not column.nan,
        "inf": not column.inf,
        "image": column.image is not None,
    }
    return (key for key, is_said in said.items() if is_said)


def _bounds(column: ColumnSchema) -> Iterator[Fault]:
    domain, image = column.domain, column.image
    pairs: list[tuple[tuple[str, ...], float | None, float | None]] = [
        (("range",), domain.min, domain.max),
        (("length",), domain.min_length, domain.max_length),
        (("per_row",), column.min_values, column.max_values),
        (("distinct",), column.min_unique, column.max_unique),
    ]
    if image is not None:
        pairs += [
            (("image", "width"), image.min_width, image.max_width),
            (("image", "height"), image.min_height, image.max_height),
        ]
    for key, low, high in pairs:
        if low is not None and high is not None and low > high:
            yield Fault((*key, "min"), f"`min` {low} is more than `max` {high}", "nothing could ever fit")


def _values(column: ColumnSchema) -> Iterator[Fault]:
    domain = column.domain
    if domain.values is None and domain.mass != 1.0:
        yield Fault(
            ("mass",), "`mass` without `values`", "it is the least share of values that must be listed"
        )
    why = regex_fault(domain.regex) if domain.regex is not None else ""
    if why:
        hint = "patterns are RE2's: no look-ahead, no back references; in double quotes a backslash is written twice"
        yield Fault(("regex",), f"the pattern can't be used: {why}", hint)
    if domain.values is None:
        return
    if not domain.values:
        yield Fault(("values",), "the list is empty", "name the values that are allowed, or take the key out")
    seen: set[str] = set()
    for index, value in enumerate(domain.values):
        if value in seen:
            yield Fault(("values", str(index)), f"{shown(value)} is listed twice")
        seen.add(value)
        if column.type == "int" and not _is_whole(value):
            yield Fault(("values", str(index)), f"expected a whole number, found {shown(value)}")
        if column.type == "bool" and value not in ("true", "false"):
            yield Fault(("values", str(index)), f"expected `true` or `false`, found {shown(value)}")
    if domain.regex is not None and not why:
        for index, fits in enumerate(matching(domain.values, domain.regex)):
            if not fits:
                message = f"{shown(domain.values[index])} is listed but does not match `regex`"
                yield Fault(("values", str(index)), message)


def _is_whole(value: str) -> bool:
    digits = value.removeprefix("-")
    canonical = digits.isascii() and digits.isdigit() and len(value) <= 20 and str(int(value)) == value
    return canonical and int(value) in INT_RANGE


def _environments(column: ColumnSchema, environments: Sequence[str]) -> Iterator[Fault]:
    if column.in_environments and column.not_in_environments:
        yield Fault(("not_in",), "`environments` and `not_in` are both said", "say one of them")
    for key, names in (("environments", column.in_environments), ("not_in", column.not_in_environments)):
        for index, name in enumerate(names):
            if name not in environments:
                close = nearest(name, environments)
                hint = f"did you mean `{close}`?" if close else f"the schema knows {choices(environments)}"
                yield Fault((key, str(index)), f"unknown environment {shown(name)}", hint)
    if set(environments) <= set(column.not_in_environments):
        yield Fault(("not_in",), "the column belongs to no environment", "take the column out instead")


def _limit(key: str, limit: Limit, column: ColumnSchema) -> Iterator[Fault]:
    if limit.metric in METRICS_TO_ONE and limit.max > 1:
        yield Fault((key, "max"), f"`{limit.metric}` is never above 1, `max` is {limit.max:g}")
    if limit.metric in NUMBER_METRICS and column.type in ("text", "bytes", "bool", "image"):
        message = f"`{limit.metric}` is a distance of numbers, the column is `{column.type}`"
        yield Fault((key, "metric"), message, "choose `linf` or `js`")
