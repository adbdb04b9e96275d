"""Join the answers of all blocks: scores in the order of the input, failed rows by name, and an account of it all."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from fiat.builtin.batch_place import ABOUT, FAILED, SCORES
from fiat.builtin.batch_score import ERROR, FILE, FILE_ROW, ROW, part_path
from fiat.builtin.batch_stage import Block
from fiat.errors import EnvironmentFault, SpecError

_NAMED = 10
_FAILED_SCHEMA = pa.schema(
    [(ROW, pa.int64()), (FILE, pa.string()), (FILE_ROW, pa.int64()), ("reason", pa.string())]
)


def join_parts(
    work: Path,
    blocks: Sequence[Block],
    folder: Path,
    form: str,
    labels: Sequence[str],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Write scores, failed rows and the account.

    Args:
        work: has the answers of every block.
        blocks: in order.
        folder: empty, gets the files.
        form: `parquet`, `csv`, or `folder` (a Parquet file a block).
        labels: names of the classes, in the order of scores; empty for none.
        about: what the account says beside counts and files.

    Returns:
        The account.

    Raises:
        SpecError: every row failed.
        EnvironmentFault: not every row of the input has its row in the answers.
    """
    schema = _schema(work, blocks)
    n_rows, failed = 0, 0
    named: list[dict[str, object]] = []
    with (
        pq.ParquetWriter(folder / FAILED, _FAILED_SCHEMA) as refused,
        _Sink(folder, form, schema, labels) as sink,
    ):
        for block in blocks:
            part = _part(work, block)
            wrong = _failed_rows(part, block)
            sink.write(part.drop_columns([ERROR]), block)
            refused.write_table(wrong)
            n_rows, failed = n_rows + part.num_rows, failed + wrong.num_rows
            named += wrong.slice(0, max(0, _NAMED - len(named))).to_pylist()
    expected = sum(block.n_rows for block in blocks)
    if n_rows != expected:
        raise EnvironmentFault(f"{expected:,} rows went in and {n_rows:,} came out", hint="deploy again")
    if failed == n_rows:
        first = (
            f"; the first: {named[0]['file']} row {named[0]['file_row']}: {named[0]['reason']}"
            if named
            else ""
        )
        raise SpecError(
            f"none of the {n_rows:,} rows could be scored{first}",
            hint="look at the input: is it what the model was trained on?",
        )
    files = {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    account = {**about, "rows": n_rows, "failed": failed, "failed_rows": named, "files": files}
    (folder / ABOUT).write_text(json.dumps(account, indent=1, sort_keys=True) + "\n", "utf-8")
    return account


class _Sink:
    """Writes tables one behind another in one format."""

    def __init__(self, folder: Path, form: str, schema: pa.Schema, labels: Sequence[str]) -> None:
        self._form = form
        self._folder = folder / SCORES
        self._schema = schema
        self._labels = labels
        self._writer: Any = None
        if form == "folder":
            self._folder.mkdir()
        elif form == "parquet":
            self._writer = pq.ParquetWriter(folder / f"{SCORES}.parquet", schema)
        self._csv = folder / f"{SCORES}.csv"

    def __enter__(self) -> "_Sink":
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, part: pa.Table, block: Block) -> None:
        empty = [field for field in self._schema if field.name not in part.schema.names]
        for field in empty:  # no row of this block was scored
            part = part.append_column(field, pa.nulls(part.num_rows, field.type))
        table = part.select(self._schema.names).cast(self._schema)
        if self._form == "folder":
            pq.write_table(table, self._folder / f"part-{block.number:06}.parquet")
        elif self._form == "parquet":
            self._writer.write_table(table)
        else:
            flat = _flat(table, self._labels)
            if self._writer is None:
                self._writer = arrow_csv.CSVWriter(str(self._csv), flat.schema)
            self._writer.write_table(flat)


def _schema(work: Path, blocks: Sequence[Block]) -> pa.Schema:
    """Columns of the answers: those of the first block that has any answer."""
    schema = pa.schema([(ROW, pa.int64())])
    for block in blocks:
        found = _part(work, block).drop_columns([ERROR]).schema
        if len(found) > 1:
            return found
    return schema


def _part(work: Path, block: Block) -> pa.Table:
    part = pa.ipc.open_file(pa.memory_map(str(part_path(work, block.number)))).read_all()
    if part.num_rows != block.n_rows:
        raise EnvironmentFault(
            f"{block.n_rows:,} rows from row {block.file_row} of {block.file} went in and {part.num_rows:,} came out",
            hint="deploy again",
        )
    return part


def _failed_rows(part: pa.Table, block: Block) -> pa.Table:
    wrong = np.flatnonzero(part.column(ERROR).is_valid().to_numpy())
    columns = [
        pa.array(wrong + block.first_row, pa.int64()),
        pa.array([block.file] * len(wrong), pa.string()),
        pa.array(wrong + block.file_row, pa.int64()),
        part.column(ERROR).take(pa.array(wrong)).combine_chunks(),
    ]
    return pa.Table.from_arrays(columns, schema=_FAILED_SCHEMA)


def _flat(table: pa.Table, labels: Sequence[str]) -> pa.Table:
    """A column for each place of lists, which CSV has none of: `probabilities.cat`, or `scores.0`."""
    columns: dict[str, Any] = {}
    for name, values in zip(table.column_names, table.columns, strict=True):
        if not pa.types.is_fixed_size_list(values.type):
            columns[name] = values
            continue
        width = values.type.list_size
        words = labels if len(labels) == width else [str(index) for index in range(width)]
        for index, word in enumerate(words):
            columns[f"{name}.{word}"] = pc.list_element(values, index)
    return pa.table(columns)
