"""Moments in time from what data holds: times, dates, texts in ISO 8601, and numbers counted since 1970.

A number tells its unit by its size: between 1973 and 2103 seconds, milliseconds, microseconds and nanoseconds since 1970
have 9 to 10, 12 to 13, 15 to 16 and 18 to 19 digits, which never overlap. Eight digits that are a date (20240501) are that
date. Any other number is no moment, because a guess would put rows into the wrong split.
"""

import re
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fiat.data.stream import file_fault
from fiat.errors import SpecError

_UNITS_US = (10.0**6, 10.0**3, 1.0, 10.0**-3)
_FIRST, _BEHIND = 1e8, 4.2e9  # 1973-03-03 and 2103-02-03, in seconds
_DIGITS = re.compile(r"\d{8,19}(\.\d{1,9})?")
_FIRST_DATE, _LAST_DATE = 19000101, 21001231
MOMENT = pa.timestamp("us")
"""How moments are kept: microseconds since 1970, UTC."""


def moment(text: str, name: str = "") -> np.datetime64:
    """An ISO 8601 time in UTC, or a number since 1970; one without a zone is taken as UTC.

    Raises:
        SpecError: it is no such time.
    """
    found = _moment(text)
    if found is None:
        message = f"{text!r} is no time in ISO 8601"
        raise file_fault(name, message) if name else SpecError(message)
    return found


def moments(values: pa.Array) -> np.ndarray | None:
    """Each value as a moment, `datetime64[us]` `(n_rows,)`; NaT where it is missing or none.

    Returns:
        None for a column whose type can't hold moments.
    """
    kind = values.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        cast = pc.cast(values, pa.timestamp("us", getattr(kind, "tz", None)), safe=False)
        return np.asarray(cast.to_numpy(zero_copy_only=False), "datetime64[us]")
    if pa.types.is_string(kind):
        return _from_texts(values)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _from_numbers(values)
    return None


def moment_array(values: pa.Array) -> pa.Array:
    """Texts or numbers as a column of MOMENT; missing where they are none."""
    found = moments(values)
    assert found is not None  # noqa: S101 - texts and numbers can hold moments
    return pa.array(found, MOMENT)


def _from_texts(values: pa.Array) -> np.ndarray:
    try:
        # Arrow reads what has no zone; where one value has, all go the slow way.
        plain = pc.cast(pc.utf8_trim_whitespace(values), MOMENT)
        return np.asarray(plain.to_numpy(zero_copy_only=False), "datetime64[us]")
    except pa.ArrowInvalid:
        coded = values.dictionary_encode()
        found = [_moment(text) for text in coded.dictionary.to_pylist()]
        table = np.array([item if item is not None else np.datetime64("NaT") for item in found] + ["NaT"],
                         "datetime64[us]")  # fmt: skip
        indices = pc.fill_null(coded.indices, len(found)).to_numpy(zero_copy_only=False)
        return np.asarray(table[indices])


def _from_numbers(values: pa.Array) -> np.ndarray:
    numbers = pc.fill_null(pc.cast(values, pa.float64(), safe=False), float("nan")).to_numpy(
        zero_copy_only=False
    )
    out = np.full(len(numbers), "NaT", "datetime64[us]")
    scale = 1.0
    for to_us in _UNITS_US:
        chosen = (numbers >= _FIRST * scale) & (numbers < _BEHIND * scale)
        if chosen.any():
            out[chosen] = _scaled(values, numbers, chosen, to_us)
        scale *= 1000.0
    dates = (numbers >= _FIRST_DATE) & (numbers <= _LAST_DATE) & (np.floor(numbers) == numbers)
    for number in np.unique(numbers[dates]):
        found = _iso_moment(str(int(number)))
        if found is not None:
            out[numbers == number] = found
    return out


def _scaled(values: pa.Array, numbers: np.ndarray, chosen: np.ndarray, to_us: float) -> np.ndarray:
    """Microseconds; integers stay exact, which doubles of nanoseconds are not."""
    if pa.types.is_integer(values.type):
        whole = pc.fill_null(pc.cast(values, pa.int64(), safe=False), 0).to_numpy(zero_copy_only=False)[
            chosen
        ]
        scaled = whole * int(to_us) if to_us >= 1 else whole // round(1 / to_us)
    else:
        scaled = np.round(numbers[chosen] * to_us).astype(np.int64)
    return np.asarray(scaled.astype("datetime64[us]"))


def _moment(text: str) -> np.datetime64 | None:
    found = _iso_moment(text.strip())
    return _from_digits(text.strip()) if found is None else found


def _iso_moment(text: str) -> np.datetime64 | None:
    try:
        parsed = datetime.fromisoformat(text)
        if parsed.tzinfo is not None:
            parsed = parsed.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
    return np.datetime64(parsed, "us")


def _from_digits(text: str) -> np.datetime64 | None:
    if not _DIGITS.fullmatch(text):
        return None
    found = _from_numbers(pa.array([float(text) if "." in text else int(text)]))[0]
    return None if np.isnat(found) else found
