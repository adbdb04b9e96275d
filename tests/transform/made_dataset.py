"""A dataset in its folder, made of a table."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from fiat.data.columns import ColumnChoice
from fiat.data.split import ByColumn
from fiat.data.stream import Piece, Reading
from fiat.data.write import write_dataset

PART = "part"


def make_dataset(
    folder: Path, table: pa.Table, parts: Sequence[str], *, label: str | None = None, drop: Sequence[str] = ()
) -> Path:
    """Write the rows, each into the split that `parts` names for it; the column `part` stays in the dataset."""
    whole = table.append_column(PART, pa.array(parts, pa.string())).combine_chunks()
    reading = Reading(whole.schema, lambda: (Piece(batch, ("rows",), 1) for batch in whole.to_batches()))
    write_dataset(folder, reading, ByColumn(PART), ColumnChoice(label, drop=(*drop, PART)), "abc")
    return folder
