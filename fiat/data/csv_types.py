"""Which type each column of a CSV has, from all of its values.

A column is int64 when every value is an integer, double when every value is a number, bool when every value is
true or false, and text otherwise; missing values fit any type. Dates stay text as written. Because every value
counts, the order of rows and the size of chunks change nothing. A column of numbers with a few stray texts is a
fault and no text column: see `STRAY_RATIO`.
"""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fiat.data.cells import MOST_NAMED, BadCell, listed, shown_value
from fiat.data.delimited import RowChunk, row_lines
from fiat.data.stream import file_fault
from fiat.errors import SpecError

STRAY_RATIO = 1000
"""At most one text in so many numbers (or a single one among 100 or more) makes these texts a fault."""
_STRAY_ALONE = 100
_NUMBER = r"^[ \t]*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?[ \t]*$"


@dataclass
class ColumnTally:
    """What was seen of one column so far.

    Attributes:
        name: the column.
        n_whole: values that are integers.
        n_numbers: values that are other numbers, or numbers beside texts.
        n_flags: values that are true or false.
        n_texts: all other values.
        strays: the first values that are no numbers, at most MOST_NAMED.
    """

    name: str
    n_whole: int = 0
    n_numbers: int = 0
    n_flags: int = 0
    n_texts: int = 0
    strays: list[BadCell] = field(default_factory=list)

    def add(self, values: pa.ChunkedArray, file: str, chunk: RowChunk) -> None:
        """Count the values of one chunk, as Arrow inferred them."""
        kind = values.type
        n_values = len(values) - values.null_count
        if not n_values:
            return
        if pa.types.is_integer(kind):
            self.n_whole += n_values
        elif pa.types.is_floating(kind):
            self.n_numbers += n_values
        elif pa.types.is_boolean(kind):
            self.n_flags += n_values
            self._keep_stray(values, pc.is_valid(values), file, chunk)
        elif pa.types.is_string(kind):
            self._add_texts(values, file, chunk)
        else:
            self.n_texts += n_values
            self._keep_stray(values, pc.is_valid(values), file, chunk)

    def type(self) -> pa.DataType:
        """The column's type; double when it has no value at all."""
        if self.n_texts or (self.n_flags and (self.n_whole or self.n_numbers)):
            return pa.string()
        if self.n_flags:
            return pa.bool_()
        return pa.int64() if self.n_whole and not self.n_numbers else pa.float64()

    def likely(self) -> pa.DataType | None:
        """The type that more values will have if they are like those so far; None where only a look can tell."""
        if self.n_texts or self.n_flags or not (self.n_whole or self.n_numbers):
            return None
        return self.type()

    def is_empty(self) -> bool:
        """Whether no row has a value."""
        return not (self.n_whole or self.n_numbers or self.n_flags or self.n_texts)

    def stray_fault(self) -> SpecError | None:
        """The fault of a column of numbers that holds a few texts, or None."""
        n_texts, n_numbers = self.n_texts + self.n_flags, self.n_whole + self.n_numbers
        if not n_texts or not self.strays or n_numbers < _STRAY_ALONE:
            return None
        if n_texts > max(1, n_numbers // STRAY_RATIO):
            return None
        first = self.strays[0]
        cells = [str(cell) for cell in self.strays]
        held = repr(first.value) if n_texts == 1 else f"{n_texts:,} texts ({listed(cells, n_texts)})"
        return file_fault(
            first.file,
            f"column {self.name!r} holds {held}, but {n_numbers:,} of its values are numbers",
            line=first.line,
            hint="mend the value, leave it empty if it is missing, or list the column under `drop`",
        )

    def _add_texts(self, values: pa.ChunkedArray, file: str, chunk: RowChunk) -> None:
        n_values = len(values) - values.null_count
        if self.n_texts > _STRAY_ALONE and self.n_texts > self.n_whole + self.n_numbers:
            self.n_texts += n_values
            return
        numeric = pc.match_substring_regex(values, _NUMBER)
        n_numbers = pc.sum(numeric).as_py() or 0
        self.n_numbers += n_numbers
        self.n_texts += n_values - n_numbers
        self._keep_stray(values, pc.invert(numeric), file, chunk)

    def _keep_stray(
        self, values: pa.ChunkedArray, stray: pa.ChunkedArray, file: str, chunk: RowChunk
    ) -> None:
        room = MOST_NAMED - len(self.strays)
        if room <= 0:
            return
        rows = np.flatnonzero(pc.fill_null(stray, fill_value=False).to_numpy())[:room]
        if rows.size:
            for row, line in zip(rows.tolist(), row_lines(chunk, rows.tolist()), strict=True):
                self.strays.append(BadCell(file, line, self.name, shown_value(values[row].as_py())))
