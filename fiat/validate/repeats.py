"""Values that occur more than once in a column, counted exactly over its rows."""

import numpy as np
import polars as pl
import pyarrow as pa

from fiat.validate.model import MOST_EXAMPLES, Example
from fiat.validate.rows_look import RowsLook, Seen, as_json


def find_repeats(look: RowsLook, split: str, column: str) -> Seen:
    """Rows whose value another row has, too; rows without a value are none. Holds one column in memory."""
    values = _column(look, split, column)
    if values is None:
        return Seen()
    repeated = (values.is_duplicated() & values.is_not_null()).to_numpy()
    rows = np.flatnonzero(repeated)
    examples = [Example(split, int(row) + 1, as_json(values[int(row)])) for row in rows[:MOST_EXAMPLES]]
    return Seen(len(rows), tuple(examples))


def count_distinct(look: RowsLook, split: str, column: str) -> int | None:
    """How many different values there are; None without files. Holds one column in memory."""
    values = _column(look, split, column)
    return None if values is None else values.drop_nulls().n_unique()


def _column(look: RowsLook, split: str, column: str) -> pl.Series | None:
    arrays = list(look.arrays(split, column))
    return pl.Series(pl.from_arrow(pa.chunked_array(arrays))) if arrays else None
