"""What is missing in rows that clients send: a NaN and an empty text, for a request has no other way to say it."""

from dataclasses import replace

from fiat.profile.model import ColumnProfile

NUMBERS = ("int", "float", "bool")
"""Kinds that are sent as numbers."""


def as_clients_send(column: ColumnProfile) -> ColumnProfile:
    """A column of data whose NaN and empty texts count as missing, as they do in what clients send."""
    numbers = column.numbers
    if column.kind in NUMBERS and numbers is not None and numbers.n_nan:
        return replace(column, n_missing=column.n_missing + numbers.n_nan, numbers=replace(numbers, n_nan=0))
    if column.kind == "text" and (empty := dict(column.top).get("") or column.counts.get("", 0)):
        return replace(
            column,
            n_missing=column.n_missing + empty,
            top=tuple((value, n) for value, n in column.top if value != ""),
            counts={value: n for value, n in column.counts.items() if value},
        )
    return column
