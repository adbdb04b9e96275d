"""Read JSON values of unknown shape: what is there in the right type, or nothing. Never raises."""

import math
from collections.abc import Iterator, Mapping


def mapping(value: object) -> Mapping[str, object]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def items(value: object) -> list[object]:
    """The value if it is a list, else an empty one."""
    return list(value) if isinstance(value, list | tuple) else []


def real(value: object) -> float:
    """The value as a number; NaN when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:  # JSON knows no end of whole numbers
        return math.nan


def reals(value: object) -> list[float]:
    """The numbers of a list; NaN for what is none."""
    return [real(item) for item in items(value)]


def whole(value: object) -> int:
    """The value as a whole number; 0 when it is none."""
    number = real(value)
    return int(number) if math.isfinite(number) else 0


def text(value: object) -> str:
    """The value as people read it; empty for None."""
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value)


def leaves(value: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Dotted keys and values of nested mappings; lists are values."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from leaves(item, f"{prefix}.{key}" if prefix else str(key))
    elif prefix:
        yield prefix, value
