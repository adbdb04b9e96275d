"""What a trained model is fed with, and what the graph is fed with that is served."""

from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime as ort

from fiat.data.dataset import Dataset
from fiat.data.raw import RAW, raw_columns, raw_feed
from fiat.transform.graph import OPSET
from fiat.transform.model import TO_MODEL

Arrays = dict[str, np.ndarray]


class Feeds(Protocol):
    """Rows of a split as inputs by name.

    Attributes:
        layout: how the data's columns become inputs of the served graph.
        opset: that the model must at least have; None leaves the choice to its exporter.
    """

    layout: str
    opset: int | None

    def model(self, split: str, rows: slice) -> Arrays:
        """What the framework's model takes."""
        ...

    def served(self, split: str, rows: slice) -> Arrays:
        """What the served graph takes."""
        ...


class DatasetFeeds:
    """Without transforms: the dataset's own inputs for both."""

    opset: int | None = None

    def __init__(self, dataset: Dataset) -> None:
        self.layout = dataset.layout
        self._dataset = dataset

    def model(self, split: str, rows: slice) -> Arrays:
        """See Feeds."""
        return self._dataset.inputs(split, rows)

    served = model


class TransformedFeeds:
    """Raw columns for the served graph, and what its first half, the transforms, makes of them for the model.

    Args:
        dataset: the raw rows.
        folder: the output of the transform step.
    """

    layout = RAW
    opset: int | None = OPSET

    def __init__(self, dataset: Dataset, folder: Path) -> None:
        self.graph = (folder / "transform.onnx").read_bytes()
        self._dataset = dataset
        self._columns = raw_columns(dataset.train.table().schema, dataset.feature_names)
        self._session = ort.InferenceSession(self.graph, providers=["CPUExecutionProvider"])
        self._outputs = [item.name for item in self._session.get_outputs()]

    def model(self, split: str, rows: slice) -> Arrays:
        """See Feeds."""
        outputs = self._session.run(self._outputs, self.served(split, rows))
        names = [name.removeprefix(TO_MODEL) for name in self._outputs]
        return dict(zip(names, outputs, strict=True))

    def served(self, split: str, rows: slice) -> Arrays:
        """See Feeds."""
        return raw_feed(self._dataset.split(split).take(rows).table, self._columns)
