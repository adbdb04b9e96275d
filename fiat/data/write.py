"""Write the dataset format: `train.arrow`, `eval.arrow`, `test.arrow` and `dataset.json` in one folder.

The Arrow files are of the IPC file format without compression, so that they can be mapped into memory; a split
without rows has its file too. Rows keep the order of the source within each split.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fiat.data.cells import MOST_NAMED
from fiat.data.columns import ColumnChoice, choose_features, describe_columns
from fiat.data.split import SPLITS, SplitRule
from fiat.data.stream import Piece, Reading, is_tensor
from fiat.errors import EnvironmentFault, SpecError

BATCH_ROWS = 65_536
BATCH_BYTES = 32 * 1024 * 1024
MOST_CLASSES = 1000


@dataclass(frozen=True)
class Written:
    """What a dataset turned out to hold.

    Attributes:
        rows: split to number of rows.
        features: feature columns in order.
        columns: name, type and shape of every column, JSON values.
        classes: sorted distinct labels of `train`; None without a label of a kind that has classes.
        class_rows: split to label (as text) to rows; empty when `classes` is None.
        size_bytes: of all files.
    """

    rows: dict[str, int]
    features: tuple[str, ...]
    columns: list[dict[str, object]]
    classes: list[object] | None
    class_rows: dict[str, dict[str, int]] = field(default_factory=dict)
    size_bytes: int = 0


def write_dataset(
    folder: Path, reading: Reading, rule: SplitRule, choice: ColumnChoice, source_digest: str
) -> Written:
    """Read everything once and write it by splits, with bounded memory.

    Args:
        folder: a folder that does not exist yet; its parent does.
        reading: the rows.
        rule: which split each row belongs to.
        choice: label, features and the rest.
        source_digest: digest of the content that was read, kept in `dataset.json`.

    Raises:
        SpecError: rows without a label, a label or feature that is no column, no row to train on.
        EnvironmentFault: the disk is full or can't be written.
    """
    features = choose_features(reading.schema, choice)
    labels = _Labels(choice.label, reading.schema)
    try:
        folder.mkdir()
        with _SplitFiles(folder, reading.schema) as files:
            for piece in reading.pieces():
                labels.check(piece)
                _check_tensors(piece, features)
                codes = rule.assign(piece)
                for index, split in enumerate(SPLITS):
                    part = _part(piece.batch, codes == index)
                    if part.num_rows:
                        labels.count(split, part)
                        files.add(split, part)
        labels.raise_missing()
        rows = files.rows
        if not rows["train"]:
            raise SpecError("no row falls into train", hint="look at the split")
        written = Written(rows, features, describe_columns(reading.schema), labels.classes(), labels.rows())
        document = {
            "label": choice.label,
            "classes": written.classes,
            "features": list(features),
            "splits": {split: {"rows": rows[split]} for split in SPLITS},
            "columns": written.columns,
            "source_digest": source_digest,
        }
        (folder / "dataset.json").write_text(
            json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8"
        )
    except OSError as error:
        raise EnvironmentFault(
            f"the dataset can't be written: {error.strerror or error}", hint="is the disk full?"
        ) from error
    size_bytes = sum(path.stat().st_size for path in folder.iterdir())
    return Written(rows, features, written.columns, written.classes, written.class_rows, size_bytes)


class _SplitFiles:
    """Writes rows to one file a split, in record batches of a good size."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self.rows = dict.fromkeys(SPLITS, 0)
        self._schema = schema
        self._waiting: dict[str, list[pa.RecordBatch]] = {split: [] for split in SPLITS}
        self._held = dict.fromkeys(SPLITS, (0, 0))  # rows and bytes that wait
        self._writers = {split: pa.ipc.new_file(str(folder / f"{split}.arrow"), schema) for split in SPLITS}

    def __enter__(self) -> "_SplitFiles":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for split in SPLITS:
            if kind is None:
                self._flush(split)
            self._writers[split].close()

    def add(self, split: str, batch: pa.RecordBatch) -> None:
        self._waiting[split].append(batch)
        self.rows[split] += batch.num_rows
        rows, size_bytes = self._held[split]
        self._held[split] = rows + batch.num_rows, size_bytes + batch.nbytes
        if self._held[split][0] >= BATCH_ROWS or self._held[split][1] >= BATCH_BYTES:
            self._flush(split)

    def _flush(self, split: str) -> None:
        if self._waiting[split]:
            table = pa.Table.from_batches(self._waiting[split], self._schema).combine_chunks()
            self._writers[split].write_table(table, max_chunksize=BATCH_ROWS)
            self._waiting[split] = []
            self._held[split] = (0, 0)


class _Labels:
    """Checks and counts the label column."""

    def __init__(self, name: str | None, schema: pa.Schema) -> None:
        self._name = name
        self._missing: list[str] = []
        self._n_missing = 0
        self._counts: dict[str, Counter[object]] | None = None
        if name and _has_classes(schema.field(name).type):
            self._counts = {split: Counter() for split in SPLITS}

    def check(self, piece: Piece) -> None:
        """Note the rows without a label; all of them are told at once at the end."""
        if self._name is None:
            return
        missing = pc.is_null(piece.batch.column(self._name), nan_is_null=True)
        rows = np.flatnonzero(missing.to_numpy(zero_copy_only=False))
        self._n_missing += len(rows)
        place = piece.files[0]
        room = max(0, MOST_NAMED - len(self._missing))
        self._missing += [f"{place} row {piece.row_number(int(row))}" for row in rows[:room]]

    def count(self, split: str, batch: pa.RecordBatch) -> None:
        if self._counts is None or self._name is None:
            return
        found = pc.value_counts(batch.column(self._name))
        self._counts[split].update(dict(zip(*(part.to_pylist() for part in found.flatten()), strict=True)))
        if len(self._counts[split]) > MOST_CLASSES:
            self._counts = None

    def raise_missing(self) -> None:
        if self._n_missing:
            more = ", ..." if self._n_missing > len(self._missing) else ""
            rows = "row has" if self._n_missing == 1 else "rows have"
            raise SpecError(
                f"{self._n_missing} {rows} no label in column {self._name!r}: {', '.join(self._missing)}{more}",
                hint="fill in the labels, or remove these rows",
            )

    def classes(self) -> list[object] | None:
        return None if self._counts is None else sorted(self._counts["train"])  # type: ignore[type-var]  # one type

    def rows(self) -> dict[str, dict[str, int]]:
        if self._counts is None:
            return {}
        return {
            split: {str(value): count[value] for value in sorted(count)}  # type: ignore[type-var]  # one type
            for split, count in self._counts.items()
        }


def _has_classes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_boolean(kind) or pa.types.is_integer(kind))


def _part(batch: pa.RecordBatch, chosen: np.ndarray) -> pa.RecordBatch:
    return batch if chosen.all() else batch.filter(pa.array(chosen))


def _check_tensors(piece: Piece, features: tuple[str, ...]) -> None:
    for name in features:
        column = piece.batch.column(name)
        if is_tensor(column.type) and column.null_count:
            row = piece.row_number(pc.index(column.is_null(), pa.scalar(value=True)).as_py())
            raise SpecError(
                f"column {name!r} is missing in row {row} of {piece.files[0]}", hint="remove the row"
            )
