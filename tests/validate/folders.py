"""Datasets on disk for tests of the rows themselves."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from fiat.data.split import SPLITS


def dataset(folder: Path, chunk_rows: int = 1000, **splits: pa.Table | Mapping[str, object]) -> Path:
    """The Arrow files of a dataset; `eval_` stands for eval, and splits that are not given have no rows."""
    tables = {
        name.rstrip("_"): part if isinstance(part, pa.Table) else pa.table(dict(part))
        for name, part in splits.items()
    }
    empty = next(iter(tables.values())).slice(0, 0)
    folder.mkdir()
    for split in SPLITS:
        table = tables.get(split, empty)
        with pa.ipc.new_file(str(folder / f"{split}.arrow"), table.schema) as writer:
            writer.write_table(table, chunk_rows)
    return folder
