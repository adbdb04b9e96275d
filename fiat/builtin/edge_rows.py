"""Rows to calibrate and measure a converted model with: of the dataset that the model reads, or made up."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fiat.data.dataset import Dataset, open_dataset
from fiat.errors import SpecError
from fiat.evaluate.feeds import GraphInputs, read_feeds
from fiat.ports.edge import Arrays

MOST_ROWS = 10_000
CALIBRATION_ROWS = 1024
MOST_BYTES = 256 << 20
"""Of measured rows, and of those to calibrate with: pictures are large."""
_CALIBRATION_BATCH = 64
_MADE_UP_ROWS = 64
_FREE_AXIS = 1
SPLITS = ("test", "eval", "train")


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows to measure with.

    Attributes:
        feeds: batches, input name to array.
        source: the split, or `made up`.
        labels: Arrow array of the rows' labels, None without.
        classes: of the labels, None when they are none.
        train: rows to calibrate with, as batches; empty without data.
    """

    feeds: tuple[Arrays, ...]
    source: str
    labels: Any = None
    classes: tuple[object, ...] | None = None
    train: tuple[Arrays, ...] = field(default=())

    @property
    def n_rows(self) -> int:
        """How many."""
        return sum(len(next(iter(feed.values()))) for feed in self.feeds)


def read_rows(signature: Mapping[str, Any], folders: Sequence[Path], seed: int) -> Rows:
    """Rows of the first dataset that fits the model; made-up ones when there is none.

    Args:
        signature: of the package.
        folders: of datasets.
        seed: same seed, same rows.

    Raises:
        SpecError: there are datasets, and the model fits none of them.
    """
    inputs = GraphInputs(
        layout=signature["layout"],
        features=tuple(signature["features"]),
        names=tuple(item["name"] for item in signature["inputs"]),
        dtypes=tuple(item["dtype"] for item in signature["inputs"]),
    )
    reason: SpecError | None = None
    for folder in folders:
        try:
            return _rows_of(open_dataset(folder), inputs, seed)
        except SpecError as error:
            reason = reason or error
    if reason is not None:
        raise reason
    return Rows((_made_up(signature["inputs"], seed),), "made up")


def _rows_of(dataset: Dataset, inputs: GraphInputs, seed: int) -> Rows:
    name = next((name for name in SPLITS if dataset.split(name).n_rows), None)
    if name is None:
        raise SpecError("the dataset has no rows")
    whole = dataset.split(name).table()
    most = max(1, MOST_BYTES * whole.num_rows // max(1, whole.nbytes))
    table = whole.slice(0, min(MOST_ROWS, most))
    label = table.column(dataset.label).combine_chunks() if dataset.label in table.column_names else None
    if isinstance(label, pa.ChunkedArray):
        label = label.chunk(0)
    feeds = tuple(read_feeds(table, inputs))
    train = dataset.train.table()
    count = min(CALIBRATION_ROWS, most, train.num_rows)
    chosen = np.sort(np.random.default_rng(seed).choice(train.num_rows, count, replace=False))
    batches = [
        feed
        for start in range(0, count, _CALIBRATION_BATCH)
        for feed in read_feeds(train.take(pa.array(chosen[start : start + _CALIBRATION_BATCH])), inputs)
    ]
    return Rows(feeds, name, label, dataset.classes, tuple(batches))


def _made_up(inputs: Sequence[Mapping[str, Any]], seed: int) -> Arrays:
    draws = np.random.default_rng(seed)
    feed: dict[str, Any] = {}
    for item in inputs:
        shape = (_MADE_UP_ROWS, *(size or _FREE_AXIS for size in item["shape"][1:]))
        if item["dtype"] == "string":
            feed[item["name"]] = np.full(shape, "", dtype=object)
        elif item["dtype"].startswith("float"):
            feed[item["name"]] = draws.standard_normal(shape).astype(item["dtype"])
        else:
            feed[item["name"]] = draws.integers(0, 2, shape).astype(item["dtype"])
    return feed


def read_json(path: Path) -> Any:
    """A JSON file of the package, whose bytes were compared with its manifest before."""
    return json.loads(path.read_bytes())
