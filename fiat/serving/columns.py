"""Rows of a table as a graph's inputs: data columns by name, as `fiat.data.layout` and `fiat.data.raw` lay them out."""

from collections.abc import Mapping, Sequence
from typing import Any

from fiat.serving.decode_json import JsonData
from fiat.serving.refusal import BadRequest, shown
from fiat.serving.requests import AnyArray
from fiat.serving.tensors import BYTES, ModelInfo

MATRIX = "matrix"


class TableInputs:
    """Feeds one model with columns and with tensors; made once a version."""

    def __init__(self, info: ModelInfo) -> None:
        self._readers = {tensor.name: JsonData(tensor) for tensor in info.inputs}
        self._tensors = {tensor.name: tensor for tensor in info.inputs}
        self._matrix = info.layout == MATRIX
        self.features = info.features
        names = tuple(self._tensors)
        own = set(names) == set(info.features) or len(names) != len(info.features)
        self._columns = dict(zip(names if own else info.features, names, strict=True))

    @property
    def input_names(self) -> tuple[str, ...]:
        """Of the graph, in order."""
        return tuple(self._tensors)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that it reads, in order."""
        return self.features if self._matrix else tuple(self._columns)

    def from_columns(self, columns: Mapping[str, Sequence[Any]], n_rows: int) -> dict[str, AnyArray]:
        """The inputs for rows of data.

        Args:
            columns: name to JSON values, `n_rows` each; what the model doesn't read is passed over.
            n_rows: of every column.

        Raises:
            BadRequest: a column is missing, or holds what its input can't take.
        """
        wanted = self.columns
        missing = [name for name in wanted if name not in columns]
        if missing:
            raise BadRequest(
                f"the table lacks the column{'s' if len(missing) > 1 else ''} {shown(', '.join(missing))}, which the"
                " model reads"
            )
        if self._matrix:
            ((name, reader),) = self._readers.items()
            rows = [list(map(_number, row)) for row in zip(*(columns[name] for name in wanted), strict=True)]
            return {name: reader.convert(rows, (n_rows, len(wanted)))}
        return {
            name: self._column(name, list(columns[column]), n_rows) for column, name in self._columns.items()
        }

    def from_tensor(self, name: str, value: object) -> AnyArray:
        """One input from nested lists that have its shape.

        Raises:
            BadRequest: the model has no such input, or the lists don't fit it.
        """
        tensor = self._tensors.get(name)
        if tensor is None:
            raise BadRequest(
                f"the model has no input {shown(name)}; it takes {shown(', '.join(self._tensors))}"
            )
        if not isinstance(value, list):
            raise BadRequest(f"input {shown(name)} ({tensor}) is no list")
        shape = _nested_shape(value, len(tensor.shape))
        if not value:
            shape = (0, *(max(size, 0) for size in tensor.shape[1:]))
        return self._readers[name].convert(value, shape)

    def cells(self, column: str, texts: list[str]) -> list[object]:
        """Texts of a CSV's column as values: numbers where the model takes numbers, None where a cell is empty.

        Raises:
            BadRequest: a cell is no number.
        """
        name = self._columns.get(column, "")
        if self._matrix and column in self.features:
            name = next(iter(self._tensors))
        tensor = self._tensors.get(name)
        if tensor is None or tensor.datatype == BYTES:
            return [text or None for text in texts]
        return [_cell(column, text, whole=tensor.dtype.kind in "iu") for text in texts]

    def _column(self, name: str, values: list[Any], n_rows: int) -> AnyArray:
        tensor = self._tensors[name]
        if len(tensor.shape) > 1 and tensor.shape[1:] not in ((1,), (-1,)):
            return self.from_tensor(name, values)
        if tensor.dtype.kind == "f":
            values = list(map(_number, values))
        return self._readers[name].convert(values, (n_rows,))


def _number(value: object) -> object:
    """A truth value as the number that it is in data: models are trained on such columns as numbers."""
    return int(value) if type(value) is bool else value


def _cell(column: str, text: str, *, whole: bool) -> object:
    words = {"": None, "true": True, "false": False}
    word = text.strip().lower()
    if word in words:
        return words[word]
    try:
        if "_" in word:
            raise ValueError
        return int(word) if whole else float(word)
    except ValueError as error:
        raise BadRequest(f"column {shown(column)} has the cell {shown(text)}, expected a number") from error


def _nested_shape(value: object, most: int) -> tuple[int, ...]:
    shape: list[int] = []
    while isinstance(value, list) and len(shape) <= most:
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)
