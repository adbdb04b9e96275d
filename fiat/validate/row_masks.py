"""Which rows of a column break a rule: masks for the second look, over Arrow arrays of any type with values inside.

A missing value breaks none of them but `missing`. A row with several values (a list, a tensor) is meant when any of
its values is. Patterns run in RE2, whose time grows with the text's length and nothing else.

Source: https://github.com/google/re2/wiki/Syntax
"""

import math
from collections.abc import Callable, Collection

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from fiat.data.stream import is_tensor
from fiat.validate.rows_look import Mask

_DAY_S = 86_400.0
_UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_Holds = Callable[[pa.Array], pa.Array]


def below(limit: float) -> Mask:
    """Numbers (or texts that are numbers, or times as seconds since 1970) below a limit."""
    return _any_value(lambda values: _compared(as_numbers(values), np.less, limit, math.ceil))


def above(limit: float) -> Mask:
    """Numbers above a limit."""
    return _any_value(lambda values: _compared(as_numbers(values), np.greater, limit, math.floor))


def not_among(allowed: Collection[str]) -> Mask:
    """Values whose text is not one of these."""
    texts = pa.array(sorted(allowed), pa.string())
    return _any_value(lambda values: pc.invert(pc.is_in(as_texts(values), value_set=texts)), valid_only=True)


def not_matching(pattern: str) -> Mask:
    """Texts that a pattern does not match as a whole."""
    whole = rf"\A(?:{pattern})\z"
    return _any_value(lambda values: pc.invert(pc.match_substring_regex(as_texts(values), whole)))


def shorter(limit: int) -> Mask:
    """Texts of fewer characters, or bytes of fewer bytes."""
    return _any_value(lambda values: pc.less(_lengths(values), limit))


def longer(limit: int) -> Mask:
    """Texts of more characters, or bytes of more bytes."""
    return _any_value(lambda values: pc.greater(_lengths(values), limit))


def neither(first: float, other: float) -> Mask:
    """Numbers that are none of two; NaN is such."""
    return _any_value(
        lambda values: pc.and_(
            pc.not_equal(as_numbers(values), first), pc.not_equal(as_numbers(values), other)
        )
    )


def is_nan() -> Mask:
    """NaN."""
    return _any_value(pc.is_nan)


def infinite() -> Mask:
    """Either infinity."""
    return _any_value(pc.is_inf)


def fractional(values: pa.Array) -> np.ndarray:
    """Numbers that are not whole: fractions, NaN and infinities."""
    whole = _as_bools(pc.and_(pc.is_finite(values), pc.equal(pc.floor(values), values)))
    found: np.ndarray = np.logical_and(~whole, present(values))
    return found


def no_number(*, whole: bool) -> Mask:
    """Texts that are no (whole) number."""
    return _any_value(lambda values: pc.is_null(parsed(values, whole=whole)), valid_only=True)


def no_utf8() -> Mask:
    """Bytes that are no UTF-8."""
    return _any_value(lambda values: pa.array([not _is_utf8(item) for item in _raw(values)], pa.bool_()))


def missing(values: pa.Array) -> np.ndarray:
    """Rows without a value."""
    return _as_bools(pc.is_null(values))


def present(values: pa.Array) -> np.ndarray:
    """Rows with a value."""
    return _as_bools(pc.is_valid(values))


def fewer_values(limit: int) -> Mask:
    """Lists of fewer values."""
    return lambda values: _as_bools(pc.less(_list_lengths(values), limit))


def more_values(limit: int) -> Mask:
    """Lists of more values."""
    return lambda values: _as_bools(pc.greater(_list_lengths(values), limit))


def other_values(number: int) -> Mask:
    """Lists of another number of values."""
    return lambda values: _as_bools(pc.not_equal(_list_lengths(values), number))


def pictures(wrong: Callable[[bytes], bool]) -> Mask:
    """Encoded pictures that something is wrong with."""
    return lambda values: np.fromiter(
        (item is not None and wrong(item) for item in values.to_pylist()), bool, len(values)
    )


def as_numbers(values: pa.Array) -> pa.Array:
    """Numbers as they are, bools as 0 and 1, times as seconds since 1970, texts as what they say or null."""
    kind = values.type
    if pa.types.is_boolean(kind):
        return pc.cast(values, pa.int8())
    if pa.types.is_temporal(kind):
        return _seconds(values)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return parsed(values, whole=False)
    return values


def _seconds(values: pa.Array) -> pa.Array:
    """Times as a profile measures them."""
    if pa.types.is_date32(values.type):
        return pc.multiply(pc.cast(values.view(pa.int32()), pa.float64()), _DAY_S)
    unit = "ms" if pa.types.is_date64(values.type) else values.type.unit
    physical = pa.int32() if pa.types.is_time32(values.type) else pa.int64()
    return pc.divide(pc.cast(values.view(physical), pa.float64(), safe=False), _UNITS[unit])


def _compared(
    numbers: pa.Array, holds: Callable[..., np.ndarray], limit: float, to_whole: Callable[[float], int]
) -> pa.Array:
    """Numbers against a limit, whole ones exactly: Arrow would refuse those that no double can hold."""
    if pa.types.is_integer(numbers.type):
        found = holds(np.asarray(pc.fill_null(numbers, 0)), to_whole(limit))
    else:
        found = holds(np.asarray(pc.cast(numbers, pa.float64())), float(limit))
    return pc.and_(pa.array(found, pa.bool_()), pc.is_valid(numbers))


def parsed(values: pa.Array, *, whole: bool) -> pa.Array:
    """Texts as the (whole) numbers that they say, null where they say none."""
    texts = pl.Series(pl.from_arrow(values)).str.strip_chars()
    numbers = texts.cast(pl.Int64 if whole else pl.Float64, strict=False)
    return numbers.to_arrow()


def as_texts(values: pa.Array) -> pa.Array:
    """Values as texts, such as `7`, `true` and `Berlin`."""
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return values
    return pc.cast(values, pa.string())


def _list_lengths(values: pa.Array) -> pa.Array:
    return pc.list_value_length(values.storage if is_tensor(values.type) else values)


def _lengths(values: pa.Array) -> pa.Array:
    binary = pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type)
    return pc.binary_length(values) if binary else pc.utf8_length(values)


def _any_value(holds: _Holds, *, valid_only: bool = False) -> Mask:
    def mask(column: pa.Array) -> np.ndarray:
        values, rows = _elements(column)
        held = _as_bools(holds(values))
        if valid_only:
            held &= _as_bools(pc.is_valid(values))
        if rows is None:
            return held
        out = np.zeros(len(column), bool)
        out[rows[held]] = True
        return out

    return mask


def _elements(column: pa.Array) -> tuple[pa.Array, np.ndarray | None]:
    """All values of a column, and the row of each; None for one value a row."""
    values = column.storage if is_tensor(column.type) else column
    rows: np.ndarray | None = None
    while _is_list(values.type):
        parents = np.asarray(pc.list_parent_indices(values))
        rows = parents if rows is None else rows[parents]
        values = pc.list_flatten(values)
    return values, rows


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _as_bools(values: pa.Array) -> np.ndarray:
    return np.array(pc.fill_null(values, fill_value=False).to_numpy(zero_copy_only=False), bool)


def _raw(values: pa.Array) -> list[bytes | None]:
    """Bytes, also of texts that are no UTF-8 although they should be."""
    plain = values.view(pa.binary()) if pa.types.is_string(values.type) else values
    return list(plain.to_pylist())


def _is_utf8(value: bytes | str | None) -> bool:
    if not isinstance(value, bytes):
        return True
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
