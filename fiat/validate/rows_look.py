"""The second look: which rows of a dataset's files an anomaly is about. Reads the concerned column only."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from fiat.data.stream import is_tensor
from fiat.errors import EnvironmentFault
from fiat.validate.model import MOST_EXAMPLES, Example

Mask = Callable[[pa.Array], np.ndarray]
"""Which rows of a batch of a column are meant: bool `(n_rows,)`."""

Show = Callable[[pa.Array, int], object]
"""The value at a place of a batch as JSON has it."""

_MOST_CHARACTERS = 200
_MOST_ELEMENTS = 10


@dataclass(frozen=True)
class Seen:
    """Rows that were found.

    Attributes:
        n_rows: how many; None when there are no files to look at.
        examples: the first MOST_EXAMPLES of them.
    """

    n_rows: int | None = None
    examples: tuple[Example, ...] = ()

    def words(self, singular: str, plural: str) -> str:
        """How many as words: `1 row is`, `1,200 rows are`, `some rows are`."""
        if self.n_rows is None:
            return f"some rows {plural}"
        return f"1 row {singular}" if self.n_rows == 1 else f"{self.n_rows:,} rows {plural}"


class RowsLook:
    """Looks rows up in the split files of a dataset folder.

    Attributes:
        folder: the dataset, None when there is only a profile: then nothing is found.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def find(self, split: str, column: str, mask: Mask, show: Show | None = None) -> Seen:
        """Count the rows that a mask holds for, and keep the first ones.

        Args:
            split: `train`, `eval` or `test`.
            column: the only one that is read.
            mask: which rows are meant.
            show: what an example has of a value; None for `example_value`.

        Raises:
            EnvironmentFault: the split's file can't be read.
        """
        if self.folder is None:
            return Seen()
        n_rows, start, shown = 0, 0, show or example_value
        examples: list[Example] = []
        for values in self.arrays(split, column):
            held = mask(values)
            n_held = int(np.count_nonzero(held))
            if n_held and len(examples) < MOST_EXAMPLES:
                first = np.flatnonzero(held)[: MOST_EXAMPLES - len(examples)].tolist()
                examples += [Example(split, start + i + 1, shown(values, i)) for i in first]
            n_rows += n_held
            start += len(values)
        return Seen(n_rows, tuple(examples))

    def arrays(self, split: str, column: str) -> Iterator[pa.Array]:
        """One column of a split, batch by batch; nothing without a folder.

        Raises:
            EnvironmentFault: the split's file can't be read.
        """
        if self.folder is None:
            return
        path = self.folder / f"{split}.arrow"
        try:
            with pa.memory_map(str(path)) as mapped:
                index = pa.ipc.open_file(mapped).schema.get_field_index(column)
                if index < 0:
                    raise EnvironmentFault(
                        f"{path.name} of the dataset lacks column {column!r} of its profile"
                    )
                options = pa.ipc.IpcReadOptions(included_fields=[index], use_threads=False)
                reader = pa.ipc.open_file(mapped, options=options)
                for number in range(reader.num_record_batches):
                    yield reader.get_batch(number).column(0)
        except (OSError, pa.ArrowInvalid) as error:
            raise EnvironmentFault(f"{path.name} of the dataset can't be read: {error}") from error


def example_value(values: pa.Array, index: int) -> object:
    """One value as JSON has it: texts cut at 200 characters, lists at 10 values, NaN and infinities as texts."""
    if is_tensor(values.type):
        if not values[index].is_valid:
            return None
        shape = "x".join(str(size) for size in values.type.shape)
        first = values.storage[index].as_py()[:_MOST_ELEMENTS]
        return {"shape": shape, "first": [as_json(item) for item in first]}
    return as_json(values[index].as_py())


def as_json(value: object) -> object:
    """A Python value of Arrow as JSON has it; see `example_value`."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value if len(value) <= _MOST_CHARACTERS else value[:_MOST_CHARACTERS] + "…"
    if isinstance(value, bytes):
        return as_json(value[:_MOST_CHARACTERS].decode("utf-8", "backslashreplace")) + (  # type: ignore[operator]
            "…" if len(value) > _MOST_CHARACTERS else ""
        )
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value[:_MOST_ELEMENTS]] + ["…"] * (len(value) > _MOST_ELEMENTS)
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
