"""What a check is about: one column of one split, what is asked of it, and the files to look rows up in."""

from dataclasses import dataclass, replace

from fiat.profile.model import ColumnProfile
from fiat.profile.shown import text_of
from fiat.validate.model import Anomaly, ColumnSchema
from fiat.validate.rows_look import Mask, RowsLook, Seen, Show


@dataclass(frozen=True)
class Subject:
    """A column of a split under check.

    Attributes:
        split: `train`, `eval` or `test`.
        asked: what must hold of it.
        found: what it holds.
        look: where rows are looked up.
    """

    split: str
    asked: ColumnSchema
    found: ColumnProfile
    look: RowsLook

    @property
    def n_present(self) -> int:
        """Rows with a value."""
        return self.found.n_rows - self.found.n_missing

    def rows(self, mask: Mask, show: Show | None = None) -> Seen:
        """The rows that a mask holds for."""
        return self.look.find(self.split, self.asked.name, mask, show)

    def anomaly(
        self,
        kind: str,
        message: str,
        *,
        field: str,
        seen: Seen | None = None,
        n_rows: int = 0,
        value: float | None = None,
        limit: float | None = None,
    ) -> Anomaly:
        """An anomaly of this column.

        Args:
            kind: one of KINDS.
            message: one sentence without a full stop at its end.
            field: what asked, below `columns.<name>`.
            seen: rows that were looked up.
            n_rows: rows that it concerns as the profile knows, where `seen` does not.
            value: the number judged.
            limit: the number it was judged by.
        """
        known = n_rows if seen is None or seen.n_rows is None else seen.n_rows
        return Anomaly(
            kind=kind,
            column=self.asked.name,
            message=message,
            n_rows=known,
            examples=seen.examples if seen else (),
            severity=self.asked.severity,
            split=self.split,
            key=f"columns.{self.asked.name}.{field}",
            value=value,
            limit=limit,
        )

    def not_judged(self, field: str, what: str) -> Anomaly:
        """Something that the profile alone can't tell, where there are no rows to look at: always a warning."""
        message = f"without the rows it can't be told {what}"
        return replace(self.anomaly("not_judged", message, field=field), severity="warn")


def counted(n_rows: int, singular: str, plural: str) -> str:
    """Rows in words: `1 row is`, `1,200 rows are`."""
    return f"1 row {singular}" if n_rows == 1 else f"{n_rows:,} rows {plural}"


def plain(number: float) -> str:
    """A number as people write it: 7 for 7.0, and no more than six digits of a fraction."""
    if isinstance(number, int) or (abs(number) < 1e15 and number == int(number)):
        return f"{int(number):,}"
    return f"{number:.6g}"


def known_counts(found: ColumnProfile) -> dict[str, int] | None:
    """Every value (as text) with its rows, where the profile holds them all; None where it does not."""
    if found.counts:
        return dict(found.counts)
    if found.kind == "float" and found.top_exact and len(found.top) == found.n_distinct:
        return {text_of(value): rows for value, rows in found.top}
    return None
