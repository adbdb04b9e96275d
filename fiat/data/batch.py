"""Rows in memory: features, labels and model inputs as NumPy arrays."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fiat.data.layout import COLUMNS, TENSOR, as_array, as_floats, as_inputs, side_by_side
from fiat.data.picked import Picked
from fiat.errors import SpecError


@dataclass(frozen=True)
class Meaning:
    """What the columns of a dataset are to a model.

    Attributes:
        label: column to predict, None for none.
        classes: sorted distinct labels of `train`, None where the label has none (a float, or over 1,000 values).
        feature_names: feature columns, in the order of `features`.
        layout: `tensor`, `matrix` or `columns`; see `fiat.data.layout.layout_of`.
    """

    label: str | None
    classes: tuple[object, ...] | None
    feature_names: tuple[str, ...]
    layout: str


class Batch:
    """Some rows. Arrays are copies: change them as you like; each is read when you ask for it."""

    def __init__(self, rows: Picked, meaning: Meaning) -> None:
        self._rows = rows
        self._meaning = meaning

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"Batch({len(self):,} rows)"

    @property
    def table(self) -> pa.Table:
        """The rows with all columns, a `pyarrow.Table`."""
        return self._rows.table

    @property
    def features(self) -> np.ndarray:
        """Features as one array.

        `(n, *shape)` of the column's own dtype when the only feature is a tensor; float32 `(n, n_features)`, NaN where
        a value is missing, when all of them are numbers: just what the exported model is fed with.

        Raises:
            SpecError: some features are texts; use `columns`.
        """
        meaning = self._meaning
        if meaning.layout == TENSOR:
            return self._array(meaning.feature_names[0])
        if meaning.layout == COLUMNS:
            raise SpecError(
                "the features are not all numbers, so they are no single array",
                hint="use `.columns`, an array a column, or name numeric columns under `features`",
            )
        names = meaning.feature_names
        return side_by_side((self._numbers(name) for name in names), (len(self), len(names)))

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """Each feature column as an array `(n,)` or `(n, *shape)`; texts as objects, None where missing."""
        return {name: self._array(name) for name in self._meaning.feature_names}

    @property
    def labels(self) -> np.ndarray:
        """The label column as it is, `(n,)`.

        Raises:
            SpecError: the dataset has no label.
        """
        return self._array(_label(self._meaning))

    @property
    def codes(self) -> np.ndarray:
        """Labels as int64 indices into `Dataset.classes`, `(n,)`: what a classifier trains on.

        Raises:
            SpecError: there are no classes, or a label is none of them (a class that `train` does not have).
        """
        meaning = self._meaning
        label = _label(meaning)
        if meaning.classes is None:
            kind = self._rows.column(label).type
            message = f"label {label!r} has no classes: it is {kind} or has over 1,000 values"
            raise SpecError(message, hint="use `.labels`")
        whole_numbers = self._rows.array(label)
        if whole_numbers is not None:
            return _places(whole_numbers, np.asarray(meaning.classes, whole_numbers.dtype))
        values = self._rows.column(label)
        found = pc.index_in(values, pa.array(meaning.classes, values.type))
        if found.null_count:
            raise _unseen(pc.unique(pc.filter(values, pc.is_null(found))).to_pylist()[0])
        return np.array(found.to_numpy(), np.int64)

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """What the exported model is fed with for these rows, by input name."""
        return as_inputs(self.table, self._meaning.feature_names)

    def _numbers(self, name: str) -> np.ndarray:
        found = self._rows.array(name)
        return as_floats(self._rows.column(name)) if found is None else found

    def _array(self, name: str) -> np.ndarray:
        found = self._rows.array(name)
        return as_array(self._rows.column(name)) if found is None else found


def _places(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Where each value stands among the sorted classes. Arrow does that, too, but loads pandas for it."""
    places = np.searchsorted(classes, values)
    known = classes[np.minimum(places, classes.size - 1)] == values
    if not known.all():
        raise _unseen(values[~known][0].item())
    return places.astype(np.int64, copy=False)


def _unseen(label: object) -> SpecError:
    return SpecError(f"label {label!r} is no class of train", hint="use `.labels`, or change the split")


def _label(meaning: Meaning) -> str:
    if meaning.label is None:
        raise SpecError("the dataset has no label", hint="set `label` under `data`")
    return meaning.label
