"""The dataset as user code sees it: `data.train`, `data.eval`, `data.test`, whole or in batches."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from fiat.data.batch import Batch, Meaning
from fiat.data.layout import layout_of
from fiat.data.part import WHOLE, Part
from fiat.data.picked import Mapped, Picked
from fiat.data.split import SPLITS
from fiat.errors import EnvironmentFault

Rows = slice | np.ndarray | Sequence[int]
_HELD = ("_table", "_mapped")


class Split:
    """The rows of `train`, `eval` or `test`, on disk until you ask for them.

    Attributes:
        name: `train`, `eval` or `test`.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        meaning: Meaning,
        part: Part = WHOLE,
        on_rows: Callable[[int], None] | None = None,
    ) -> None:
        self.name = name
        self._path = path
        self._meaning = meaning
        self._part = part
        self._on_rows = on_rows

    def __len__(self) -> int:
        return self.n_rows

    def __getstate__(self) -> dict[str, object]:
        """Without the mapped rows: a copy in another process maps the file itself, and nobody counts what it reads."""
        return {key: value for key, value in self.__dict__.items() if key not in _HELD} | {"_on_rows": None}

    def __repr__(self) -> str:
        return f"Split({self.name}: {self.n_rows:,} rows)"

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self._table.num_rows)

    def table(self) -> pa.Table:
        """All rows and columns as a `pyarrow.Table` that is mapped from disk, not loaded."""
        return self._table

    def take(self, rows: Rows) -> Batch:
        """Chosen rows, in the order asked for.

        Args:
            rows: a slice, or row numbers from 0.

        Raises:
            IndexError: a row that is not there.
        """
        if isinstance(rows, slice):
            start, stop, step = rows.indices(self.n_rows)
            if step == 1:
                return Batch(Picked(self._mapped, rows), self._meaning)
            rows = np.arange(start, stop, step)
        numbers = np.asarray(rows, np.int64)
        numbers = np.where(numbers < 0, numbers + self.n_rows, numbers)
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < self.n_rows):
            raise IndexError(f"there is no such row: {self.n_rows:,} rows")
        return Batch(Picked(self._mapped, numbers), self._meaning)

    def batches(
        self, size: int = 1024, *, shuffle: int | None = None, shared: bool = True
    ) -> Iterator[Batch]:
        """Go through all rows once, `size` at a time (the last batch may be smaller), in bounded memory.

        Where several workers share the step each is given its part of every batch, so that together they go through
        the same batches as one worker alone. Their parts differ by one row at most. A last batch that is no more than
        a part goes to each of them whole; see `Part.of`.

        Args:
            size: rows a batch over all workers, 1 or more.
            shuffle: seed of a random order of all rows; None keeps their order. Use another seed each epoch.
            shared: False gives this worker all rows, as if it were alone.

        Raises:
            ValueError: size below 1.
        """
        if size < 1:
            raise ValueError(f"size is {size}, expected 1 or more")
        part = self._part if shared else WHOLE
        order = None if shuffle is None else np.random.default_rng(shuffle).permutation(self.n_rows)
        for start in range(0, self.n_rows, size):
            own = part.of(min(size, self.n_rows - start), size)
            rows = slice(start + own.start, start + own.stop)
            if self._on_rows is not None:
                self._on_rows(rows.stop - rows.start)
            yield self.take(rows if order is None else order[rows])

    @property
    def features(self) -> np.ndarray:
        """Features of all rows as one array; see `Batch.features`."""
        return self._whole.features

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """Each feature column of all rows as an array; see `Batch.columns`."""
        return self._whole.columns

    @property
    def labels(self) -> np.ndarray:
        """Labels of all rows as they are; see `Batch.labels`."""
        return self._whole.labels

    @property
    def codes(self) -> np.ndarray:
        """Labels of all rows as indices into the classes; see `Batch.codes`."""
        return self._whole.codes

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """What the exported model is fed with for all rows; see `Batch.inputs`."""
        return self._whole.inputs

    @property
    def _whole(self) -> Batch:
        return self.take(slice(None))

    @cached_property
    def _mapped(self) -> Mapped:
        return Mapped(self._table)

    @cached_property
    def _table(self) -> pa.Table:
        try:
            return pa.ipc.open_file(pa.memory_map(str(self._path))).read_all()
        except (OSError, pa.ArrowInvalid) as error:
            raise EnvironmentFault(f"{self._path.name} of the dataset can't be read: {error}") from error


class Dataset:
    """Data for one model, split into `train`, `eval` and `test`.

    Attributes:
        train: rows to learn from.
        eval: rows to choose by while training; may be empty.
        test: rows to judge by; may be empty.
        label: name of the column to predict, or None.
        classes: sorted distinct labels of `train`, or None (see `Meaning.classes`).
        feature_names: feature columns in order.
        layout: `tensor`, `matrix` or `columns`: what `features` is and what inputs the exported model has.
        source_digest: digest of the content it was made from.
        path: the folder it lies in.

    Example:
        for batch in data.train.batches(128, shuffle=epoch):
            loss = step(torch.from_numpy(batch.features), torch.from_numpy(batch.codes))
    """

    def __init__(
        self,
        path: Path,
        meaning: Meaning,
        source_digest: str,
        part: Part = WHOLE,
        on_rows: Callable[[int], None] | None = None,
    ) -> None:
        self.path = path
        self.source_digest = source_digest
        self._meaning = meaning
        self.train, self.eval, self.test = (
            Split(name, path / f"{name}.arrow", meaning, part, on_rows) for name in SPLITS
        )

    def __repr__(self) -> str:
        rows = ", ".join(f"{split.name} {split.n_rows:,}" for split in (self.train, self.eval, self.test))
        return (
            f"Dataset({rows} rows; {len(self.feature_names)} features as {self.layout}; label {self.label!r})"
        )

    @property
    def label(self) -> str | None:
        """Column to predict."""
        return self._meaning.label

    @property
    def classes(self) -> tuple[object, ...] | None:
        """Sorted distinct labels of `train`."""
        return self._meaning.classes

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Feature columns in order."""
        return self._meaning.feature_names

    @property
    def layout(self) -> str:
        """`tensor`, `matrix` or `columns`."""
        return self._meaning.layout

    def split(self, name: str) -> Split:
        """The split of that name.

        Raises:
            KeyError: it is none of train, eval and test.
        """
        return {split.name: split for split in (self.train, self.eval, self.test)}[name]

    def inputs(self, split: Split | str, rows: Rows | None = None) -> dict[str, np.ndarray]:
        """Exactly what the exported model is fed with, by input name, in input order.

        Args:
            split: a split or its name.
            rows: which rows; None for all.
        """
        chosen = self.split(split) if isinstance(split, str) else split
        return chosen.inputs if rows is None else chosen.take(rows).inputs


def open_dataset(
    folder: Path, part: tuple[int, int] = (0, 1), on_rows: Callable[[int], None] | None = None
) -> Dataset:
    """Open a folder of the dataset format; nothing is loaded yet.

    Args:
        folder: as `write_dataset` made it.
        part: which of how many workers goes through it: `batches` gives it its part of every batch.
        on_rows: told how many rows each batch has that `batches` hands out.

    Raises:
        EnvironmentFault: it is no such folder, or damaged.
    """
    try:
        document = json.loads((folder / "dataset.json").read_text("utf-8"))
        schema = pa.ipc.open_file(pa.memory_map(str(folder / "train.arrow"))).schema
        features = tuple(document["features"])
        classes = None if document["classes"] is None else tuple(document["classes"])
        meaning = Meaning(document["label"], classes, features, layout_of(schema, features))
        return Dataset(folder, meaning, document["source_digest"], Part(*part), on_rows)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowInvalid) as error:
        raise EnvironmentFault(f"{folder} holds no dataset that can be read: {error}") from error
