"""Cells that are not what their column is said to hold: counted, and the first of each column named."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fiat.errors import SpecError, SpecErrors, Where

MOST_NAMED = 10
"""So many cells, lines or rows are named for each fault; all of them are counted."""
_LONGEST_VALUE = 80
_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "time": "a time in ISO 8601",
    "text": "a text",
}


@dataclass(frozen=True)
class BadCell:
    """A value that can't be read as what its column is said to hold.

    Attributes:
        file: name of its file.
        line: 1-based line of the file that its row starts in.
        column: its column.
        value: as it is written, cut off after 80 characters.
    """

    file: str
    line: int
    column: str
    value: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.value!r}"


class CellTally:
    """Collects the bad cells of columns.

    Args:
        types: column to what it is said to hold.
        tolerant: columns whose bad cells are told and not refused.
        loose: columns whose bad cells nobody wants to know of.
    """

    def __init__(
        self, types: Mapping[str, str], tolerant: frozenset[str], loose: frozenset[str] = frozenset()
    ) -> None:
        self._types = types
        self._tolerant = tolerant | loose
        self._loose = loose
        self._counts: Counter[str] = Counter()
        self._named: dict[str, list[BadCell]] = {}

    def room(self, column: str) -> int:
        """How many more cells of a column will be named."""
        return MOST_NAMED - len(self._named.get(column, ()))

    def add(self, column: str, n_cells: int, named: Sequence[BadCell]) -> None:
        """Count cells of a column, and name some of them."""
        self._counts[column] += n_cells
        self._named.setdefault(column, []).extend(named[: self.room(column)])

    def raise_refused(self) -> None:
        """Raise for all columns that tolerate no bad cell.

        Raises:
            SpecError: a column has one; names file and line of the first MOST_NAMED.
        """
        faults = [self._fault(column) for column in self._counts if column not in self._tolerant]
        if faults:
            raise faults[0] if len(faults) == 1 else SpecErrors(faults)

    @property
    def cells(self) -> tuple[BadCell, ...]:
        """Named cells of columns that tolerate them."""
        return tuple(cell for column in self.counts for cell in self._named[column])

    @property
    def counts(self) -> dict[str, int]:
        """Column that tolerates bad cells to how many it has."""
        tolerated = self._tolerant - self._loose
        return {column: count for column, count in self._counts.items() if column in tolerated}

    def _fault(self, column: str) -> SpecError:
        n_cells, named = self._counts[column], self._named[column]
        return SpecError(
            f"column {column!r} should hold {_EXPECTED[self._types[column]]} in each row, "
            f"and {n_cells:,} of its values {'is' if n_cells == 1 else 'are'} not: "
            + listed([str(cell) for cell in named], n_cells),
            hint="mend these values, leave them empty if they are missing, or give the column "
            "`severity: warn` in the schema to read them as missing",
            where=Where(named[0].file, line=named[0].line),
        )


def shown_value(value: object) -> str:
    """A value as text for people, cut off where it is long."""
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "..."


def listed(named: Sequence[str], n_all: int) -> str:
    """Some of many: `a, b and 12 more`."""
    more = n_all - len(named)
    return ", ".join(named) + (f" and {more:,} more" if more > 0 else "")
