"""Are a column's values among those that it may have? The profile answers where it can, the rows where it can't."""

import math

import pyarrow as pa

from fiat.profile.model import ColumnProfile
from fiat.validate.model import Anomaly
from fiat.validate.row_masks import (
    above,
    below,
    infinite,
    is_nan,
    longer,
    not_among,
    not_matching,
    shorter,
)
from fiat.validate.rows_look import Seen
from fiat.validate.subject import Subject, counted, known_counts, plain

_TEXTS_SHOWN = 5
_PATTERN_SHOWN = 60


def check_domain(subject: Subject) -> tuple[Anomaly, ...]:
    """Range, values, pattern, length, NaN and infinities of a column whose type is as asked."""
    return (
        *_check_range(subject),
        *_check_values(subject),
        *_check_regex(subject),
        *_check_lengths(subject),
        *_check_finite(subject),
    )


def _check_range(subject: Subject) -> tuple[Anomaly, ...]:
    low, high = subject.asked.domain.min, subject.asked.domain.max
    smallest, largest = _ends(subject.found)
    out = []
    if low is not None and smallest is not None and smallest < low:
        seen = subject.rows(below(low))
        message = f"{seen.words('is', 'are')} below {plain(low)}, the smallest {plain(smallest)}"
        out.append(
            subject.anomaly(
                "out_of_range_low", message, field="range.min", seen=seen, value=smallest, limit=low
            )
        )
    if high is not None and largest is not None and largest > high:
        seen = subject.rows(above(high))
        message = f"{seen.words('is', 'are')} above {plain(high)}, the largest {plain(largest)}"
        out.append(
            subject.anomaly(
                "out_of_range_high", message, field="range.max", seen=seen, value=largest, limit=high
            )
        )
    return tuple(out)


def _ends(found: ColumnProfile) -> tuple[float | None, float | None]:
    """Smallest and largest number; infinities count, NaN does not."""
    numbers = found.numbers
    if numbers is None:
        return None, None
    smallest = -math.inf if numbers.n_neg_inf else numbers.min if numbers.n else None
    largest = math.inf if numbers.n_pos_inf else numbers.max if numbers.n else None
    return (
        math.inf if smallest is None and numbers.n_pos_inf else smallest,
        -math.inf if largest is None and numbers.n_neg_inf else largest,
    )


def _check_values(subject: Subject) -> tuple[Anomaly, ...]:
    allowed, mass = subject.asked.domain.values, subject.asked.domain.mass
    if allowed is None or not subject.n_present or subject.found.kind == "float":
        return ()
    if subject.asked.type == "bool" and subject.found.kind == "int":
        return ()
    counts = known_counts(subject.found) if subject.found.kind not in ("list", "tensor") else None
    if counts is not None:
        others = {value: rows for value, rows in counts.items() if value not in set(allowed)}
        n_other = sum(others.values())
        if not _too_many(n_other, subject.n_present, mass):
            return ()
        seen = subject.rows(not_among(allowed))
    else:
        others = {}
        seen = subject.rows(not_among(allowed))
        n_other = seen.n_rows or 0
        if seen.n_rows is not None and not _too_many(n_other, subject.n_present, mass):
            return ()
        if seen.n_rows is None:
            return (subject.not_judged("values", "whether all values are in the list"),)
    share = n_other / subject.n_present
    tolerance = f", expected a share of at most {1 - mass:.4g}" if mass < 1 else ""
    message = f"{n_other:,} of {subject.n_present:,} rows ({share:.4g}) hold values that are not in the list{tolerance}"
    shown = _shown(others, seen)
    if shown:
        message += f": {shown}"
    return (
        subject.anomaly(
            "unexpected_values",
            message,
            field="values",
            seen=seen,
            n_rows=n_other,
            value=1 - share,
            limit=mass,
        ),
    )


def _too_many(n_other: int, n_present: int, mass: float) -> bool:
    return n_present - n_other < mass * n_present * (1 - 1e-12)


def _shown(others: dict[str, int], seen: Seen) -> str:
    """The most frequent values, or those of the examples."""
    found = sorted(others, key=lambda value: (-others[value], value))
    if not found:
        found = list(dict.fromkeys(str(example.value) for example in seen.examples))
    more = ", ..." if len(found) > _TEXTS_SHOWN else ""
    return ", ".join(repr(value[:80]) for value in found[:_TEXTS_SHOWN]) + more


def _check_regex(subject: Subject) -> tuple[Anomaly, ...]:
    pattern = subject.asked.domain.regex
    if pattern is None or subject.found.kind != "text" or not subject.n_present:
        return ()
    mask, counts = not_matching(pattern), known_counts(subject.found)
    n_rows = 0
    if counts is not None:
        wrong = mask(pa.array(list(counts), pa.string()))
        n_rows = sum(rows for rows, is_wrong in zip(counts.values(), wrong, strict=True) if is_wrong)
        if not n_rows:
            return ()
    seen = subject.rows(mask)
    if seen.n_rows is None and counts is None:
        return (subject.not_judged("regex", "whether all texts match"),)
    if seen.n_rows == 0:
        return ()
    about = counted(n_rows, "does", "do") if seen.n_rows is None else seen.words("does", "do")
    shown = pattern if len(pattern) <= _PATTERN_SHOWN else pattern[:_PATTERN_SHOWN] + "…"
    message = f"{about} not match {shown!r}"
    return (subject.anomaly("regex_mismatch", message, field="regex", seen=seen, n_rows=n_rows),)


def _check_lengths(subject: Subject) -> tuple[Anomaly, ...]:
    low, high = subject.asked.domain.min_length, subject.asked.domain.max_length
    lengths = subject.found.lengths
    if lengths is None or not lengths.n or subject.found.kind not in ("text", "bytes"):
        return ()
    unit = "characters" if subject.found.kind == "text" else "bytes"
    out = []
    if low is not None and lengths.min < low:
        seen = subject.rows(shorter(low))
        message = f"{seen.words('has', 'have')} fewer than {low:,} {unit}, the shortest {lengths.min:,}"
        out.append(
            subject.anomaly(
                "text_too_short", message, field="length.min", seen=seen, value=lengths.min, limit=low
            )
        )
    if high is not None and lengths.max > high:
        seen = subject.rows(longer(high))
        message = f"{seen.words('has', 'have')} more than {high:,} {unit}, the longest {lengths.max:,}"
        out.append(
            subject.anomaly(
                "text_too_long", message, field="length.max", seen=seen, value=lengths.max, limit=high
            )
        )
    return tuple(out)


def _check_finite(subject: Subject) -> tuple[Anomaly, ...]:
    numbers = subject.found.numbers
    if numbers is None:
        return ()
    out = []
    if not subject.asked.nan and numbers.n_nan:
        seen = subject.rows(is_nan())
        message = f"{seen.words('holds', 'hold')} NaN, expected none"
        out.append(subject.anomaly("has_nan", message, field="nan", seen=seen, n_rows=numbers.n_nan, limit=0))
    n_inf = numbers.n_pos_inf + numbers.n_neg_inf
    if not subject.asked.inf and n_inf:
        seen = subject.rows(infinite())
        message = f"{seen.words('holds', 'hold')} an infinity, expected none"
        out.append(subject.anomaly("has_inf", message, field="inf", seen=seen, n_rows=n_inf, limit=0))
    return tuple(out)
