"""Texts and bytes of one column: each different value is looked at once while they are few."""

import polars as pl

from fiat.profile.counting import ROWS, VALUE, Counting, steps
from fiat.profile.lengths import LengthTally

NUMERIC = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
"""A text that is written as a number."""


class TextTally:
    """Takes values as bytes, says how long they are and what they are written like.

    Attributes:
        counting: the values, as bytes.
        lengths: in characters, or bytes.
        n_invalid: values that are no UTF-8.
        n_numeric: values written as a number.
    """

    def __init__(self, *, characters: bool) -> None:
        """Begin.

        Args:
            characters: lengths are those of texts; else of bytes.
        """
        self.counting = Counting()
        self.lengths = LengthTally()
        self.n_invalid = self.n_numeric = 0
        self._characters = characters

    def add(self, values: pl.Series, rows: pl.Series | None = None) -> None:
        """Take bytes without nulls, each once or `rows` times."""
        for start, length in steps(len(values)):
            part = None if rows is None else rows.slice(start, length)
            left = self.counting.add(values.slice(start, length), part)
            if left is not None:
                self._measure(*left)

    def finish(self) -> None:
        """Look at the values that were only counted so far; once, after the last `add`."""
        if self.counting.is_exact:
            table = self.counting.counted()
            if table.height:
                self._measure(table[VALUE], table[ROWS])

    def _measure(self, values: pl.Series, rows: pl.Series | None) -> None:
        times = None if rows is None else rows.to_numpy()
        texts, sound = as_texts(values, replace=self._characters)
        if sound is not None:
            self.n_invalid += int((~sound).sum()) if rows is None else int(rows.filter(~sound).sum())
        if not self._characters or texts is None:
            self.lengths.add(values.bin.size().to_numpy(), times)
            return
        self.lengths.add(texts.str.len_chars().to_numpy(), times)
        numeric = texts.str.contains(NUMERIC)
        if sound is not None:
            numeric = numeric & sound
        self.n_numeric += int(numeric.sum()) if rows is None else int(rows.filter(numeric).sum())


def as_texts(values: pl.Series, *, replace: bool) -> tuple[pl.Series | None, pl.Series | None]:
    """Bytes as texts.

    Args:
        values: bytes without nulls.
        replace: make texts also where some of them are no UTF-8, with replacement characters; else None then.

    Returns:
        The texts, and which of the values are UTF-8: None for all.
    """
    try:
        return values.cast(pl.String), None
    except pl.exceptions.ComputeError:
        items = values.to_list()
        sound = pl.Series([_is_utf8(item) for item in items], dtype=pl.Boolean)
        if not replace:
            return None, sound
        return pl.Series([item.decode("utf-8", "replace") for item in items], dtype=pl.String), sound


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
