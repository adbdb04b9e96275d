"""Cut the input into blocks: rows in order, each a stretch of one file, kept as they were read until all are scored.

Blocks of files are copies in Arrow's format with the columns that the model reads and no others, so that what is scored
can't change half-way. Numbers of a CSV are read as texts and looked at cell by cell: a row with a cell that is none is a
failed row and not a missing value.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fiat.data.read import read_files
from fiat.data.stream import Reading, ReadOptions, SourceFile
from fiat.errors import SpecError
from fiat.evaluate.feeds import GraphInputs, read_feeds

FAULT = "\0fault"
"""Column of a block: why a row can't be scored, null for most."""
_BLOCKS = "blocks.json"
_NUMBER = r"^[+-]?((\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|(?i:inf(inity)?))$"


@dataclass(frozen=True)
class Block:
    """A stretch of rows.

    Attributes:
        number: of the block, 0 and up.
        path: Arrow file that holds it.
        start: its first row in that file.
        n_rows: how many.
        first_row: number of its first row over the whole input, 0 and up.
        file: what people call the file it came from.
        file_row: number of its first row within that file, 1 and up.
    """

    number: int
    path: str
    start: int
    n_rows: int
    first_row: int
    file: str
    file_row: int


def staged_blocks(
    work: Path, files: Sequence[SourceFile], kind: str, inputs: GraphInputs, block_rows: int
) -> list[Block]:
    """The blocks of the input; those that an earlier try has cut are taken as they are.

    Args:
        work: folder of this model and this input.
        files: in order.
        kind: format of the files, or `dataset`.
        inputs: what the model reads.
        block_rows: most rows of a block.

    Raises:
        SpecError: the files are damaged, or are not what the model reads.
    """
    listing = work / _BLOCKS
    if listing.exists():
        return [Block(**item) for item in json.loads(listing.read_bytes())]
    if kind == "dataset":
        blocks = list(_split_blocks(files, inputs, block_rows))
    else:
        blocks = list(_file_blocks(work, files, kind, inputs, block_rows))
    draft = listing.with_suffix(".draft")
    draft.write_text(json.dumps([asdict(block) for block in blocks]), "utf-8")
    draft.replace(listing)
    return blocks


def block_table(block: Block) -> pa.Table:
    """The rows of a block, mapped from disk."""
    whole = pa.ipc.open_file(pa.memory_map(block.path)).read_all()
    return whole.slice(block.start, block.n_rows)


def _split_blocks(files: Sequence[SourceFile], inputs: GraphInputs, block_rows: int) -> Iterator[Block]:
    number = first = 0
    for file in files:
        table = pa.ipc.open_file(pa.memory_map(str(file.path))).read_all()
        if table.num_rows:
            _try_feed(table, inputs)
        for start in range(0, table.num_rows, block_rows):
            n_rows = min(block_rows, table.num_rows - start)
            yield Block(number, str(file.path), start, n_rows, first + start, file.name, start + 1)
            number += 1
        first += table.num_rows


def _file_blocks(
    work: Path, files: Sequence[SourceFile], kind: str, inputs: GraphInputs, block_rows: int
) -> Iterator[Block]:
    first = 0
    stretches = _stretches(_reading(files, kind, inputs), kind, inputs, block_rows)
    for number, (table, file, file_row) in enumerate(stretches):
        if not number:
            _try_feed(table, inputs)
        path = work / f"block-{number:06}.arrow"
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        yield Block(number, str(path), 0, table.num_rows, first, file, file_row)
        first += table.num_rows


def _reading(files: Sequence[SourceFile], kind: str, inputs: GraphInputs) -> Reading:
    if kind not in ("csv", "jsonl"):
        return read_files(files, ReadOptions(kind))
    types = dict.fromkeys(_numbers(inputs), "text" if kind == "csv" else "float")
    reading = read_files(files, ReadOptions(kind, types=types))
    # What looks like numbers in a column of texts, such as postal codes, must keep its zeros.
    texts = {
        name: "text"
        for name in inputs.features
        if name not in types and name in reading.schema.names and _is_plain(reading.schema.field(name).type)
    }
    return read_files(files, ReadOptions(kind, types={**types, **texts})) if texts else reading


def _stretches(
    reading: Reading, kind: str, inputs: GraphInputs, block_rows: int
) -> Iterator[tuple[pa.Table, str, int]]:
    """Rows of one file that make a block: the table, the file, and the number of its first row there."""
    held: list[pa.RecordBatch] = []
    file, file_row, n_rows = "", 1, 0
    for piece in reading.pieces():
        batch = _chosen(piece.batch, kind, inputs)
        start = 0
        if held and piece.files[0] != file:
            yield pa.Table.from_batches(held), file, file_row
            held, n_rows = [], 0
        while start < batch.num_rows:
            if not held:
                file, file_row = piece.files[0], piece.first_row + start
            part = batch.slice(start, block_rows - n_rows)
            held.append(part)
            start += part.num_rows
            n_rows += part.num_rows
            if n_rows == block_rows:
                yield pa.Table.from_batches(held), file, file_row
                held, n_rows = [], 0
    if held:
        yield pa.Table.from_batches(held), file, file_row


def _chosen(batch: pa.RecordBatch, kind: str, inputs: GraphInputs) -> pa.RecordBatch:
    missing = [name for name in inputs.features if name not in batch.schema.names]
    if missing:
        raise SpecError(
            f"the model reads the columns {', '.join(missing)}, which the input doesn't have",
            hint="give the columns that the model was trained on",
        )
    columns: dict[str, Any] = {name: batch.column(name) for name in inputs.features}
    faults = pa.nulls(batch.num_rows, pa.string())
    for name in _numbers(inputs) if kind == "csv" else ():
        columns[name], faults = _as_numbers(name, columns[name], faults)
    return pa.RecordBatch.from_pydict({**columns, FAULT: faults})


def _as_numbers(name: str, texts: pa.Array, faults: pa.Array) -> tuple[pa.Array, pa.Array]:
    """A column of texts as numbers, and what is wrong with each row."""
    fits = pc.match_substring_regex(texts, _NUMBER)
    bools = pc.index_in(pc.ascii_lower(texts), pa.array(["false", "true"]))
    numbers = pc.cast(pc.if_else(fits, texts, pa.scalar(None, pa.string())), pa.float64())
    numbers = pc.coalesce(numbers, pc.cast(bools, pa.float64()))
    bad = pc.and_(texts.is_valid(), numbers.is_null())
    if not pc.any(bad).as_py():
        return numbers, faults
    said = pc.binary_join_element_wise(
        f"{name} is `", pc.utf8_slice_codeunits(pc.fill_null(texts, ""), 0, 80), "`, not a number", ""
    )
    return numbers, pc.if_else(pc.and_(bad, faults.is_null()), said, faults)


def _numbers(inputs: GraphInputs) -> list[str]:
    """Features that the model takes as numbers."""
    if inputs.layout == "matrix":
        return list(inputs.features)
    by_name = set(inputs.features) == set(inputs.names)
    kinds = dict(zip(inputs.names if by_name else inputs.features, inputs.dtypes, strict=False))
    return [name for name in inputs.features if kinds.get(name) != "string"]


def _is_plain(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _try_feed(table: pa.Table, inputs: GraphInputs) -> None:
    """Find out with one row whether these columns are what the model takes."""
    next(read_feeds(table.slice(0, 1).select(list(inputs.features)), inputs), None)
