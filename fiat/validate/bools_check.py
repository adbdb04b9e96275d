"""Bools that are written as 0 and 1, or as two texts, are bools; anything beside them is named."""

from fiat.validate.model import Anomaly
from fiat.validate.row_masks import above, below, neither, not_among, present
from fiat.validate.subject import Subject, known_counts, plain

BOOL_TEXTS = ("true", "false")
Judged = tuple[tuple[Anomaly, ...], bool]
"""The anomalies, and whether the values can be checked further."""


def check_bool(subject: Subject, found_name: str) -> Judged:
    """What is wrong with a column that should be bools and is of another type.

    Args:
        subject: the column.
        found_name: what it holds, in words.
    """
    judge = {"int": _check_ints, "float": _check_floats, "text": _check_texts}.get(subject.found.kind)
    if judge is not None:
        return judge(subject)
    return (_no_bools(subject, f"{found_name} ({subject.found.dtype})"),), False


def _check_ints(subject: Subject) -> Judged:
    numbers = subject.found.numbers
    if numbers is None or (numbers.min >= 0 and numbers.max <= 1):
        return (), True
    if _has_none(subject, ("0", "1")):
        return (_no_bools(subject, "whole numbers, none of them 0 or 1"),), False
    out = []
    if numbers.max > 1:
        seen = subject.rows(above(1))
        message = (
            f"{seen.words('is', 'are')} above 1, the largest {plain(numbers.max)}, expected bools as 0 and 1"
        )
        out.append(
            subject.anomaly("bool_above", message, field="type", seen=seen, value=numbers.max, limit=1)
        )
    if numbers.min < 0:
        seen = subject.rows(below(0))
        message = (
            f"{seen.words('is', 'are')} below 0, the smallest {plain(numbers.min)}, expected bools as 0 and 1"
        )
        out.append(
            subject.anomaly("bool_below", message, field="type", seen=seen, value=numbers.min, limit=0)
        )
    return tuple(out), False


def _check_floats(subject: Subject) -> Judged:
    numbers, counts = subject.found.numbers, known_counts(subject.found)
    finite = numbers is not None and not numbers.n_nan + numbers.n_pos_inf + numbers.n_neg_inf
    if counts is not None and finite and {float(value) for value in counts} <= {0.0, 1.0}:
        return (), True
    if _has_none(subject, ("0", "1", "0.0", "1.0")):
        return (_no_bools(subject, "numbers, none of them 0 or 1"),), False
    seen = subject.rows(neither(0, 1))
    message = f"{seen.words('is', 'are')} neither 0 nor 1, expected bools"
    return (subject.anomaly("bool_other_float", message, field="type", seen=seen),), False


def _check_texts(subject: Subject) -> Judged:
    allowed, counts = subject.asked.domain.values or BOOL_TEXTS, known_counts(subject.found)
    if counts is not None and set(counts) <= set(allowed):
        return (), True
    if _has_none(subject, allowed):
        return (_no_bools(subject, "texts"),), False
    seen = subject.rows(not_among(allowed))
    message = f"{seen.words('is', 'are')} neither {' nor '.join(map(repr, allowed))}, expected bools"
    return (subject.anomaly("bool_other_text", message, field="type", seen=seen),), False


def _has_none(subject: Subject, allowed: tuple[str, ...]) -> bool:
    """Whether no value at all is one of these, as far as the profile tells."""
    counts = known_counts(subject.found)
    return counts is not None and not set(counts) & set(allowed)


def _no_bools(subject: Subject, found: str) -> Anomaly:
    message = f"expected bools, found {found}"
    return subject.anomaly(
        "not_bool", message, field="type", seen=subject.rows(present), n_rows=subject.n_present
    )
