"""Role `export`: the trained model becomes an ONNX graph with a signature and the framework's own predictions."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fiat.builtin.child_exporter import saved_exporter
from fiat.builtin.child_feeds import DatasetFeeds, Feeds, TransformedFeeds
from fiat.data.dataset import Dataset, open_dataset
from fiat.errors import SpecError
from fiat.model.clean import clean_graph
from fiat.model.precheck import precheck_model
from fiat.model.signature import read_signature
from fiat.ports.exporter import ExportRequest
from fiat.transform.merge import merge_graphs

SAMPLE_ROWS = 4
COMPARED_ROWS = 64
BATCH_ROWS = 1024


def work(request: Mapping[str, Any]) -> None:
    """Export, check, sign, and predict the test split with the framework's model.

    Raises:
        SpecError: the model can't be exported, or the graph is not one that can be served.
    """
    said = request["export"]
    folder = Path(said["model"])
    exporter = saved_exporter(folder)
    model = exporter.load(folder)
    dataset = open_dataset(Path(request["datasets"][request["data"]]))
    target = Path(request["outputs"]["onnx"])
    target.mkdir(parents=True)
    labels = _labels(model, dataset)
    feeds = _feeds(request, dataset)
    rows = slice(0, SAMPLE_ROWS)
    sample = feeds.model(_filled(dataset), rows)
    if len(next(iter(sample.values()))) < 2:
        raise SpecError("the data has fewer than two rows, too few to export a model with")
    path = target / "model.onnx"
    # What is ONNX already can't be exported anew: it is raised to the transforms' opset when they are merged.
    opset = said.get("opset") or (None if exporter.name == "onnx" else feeds.opset)
    exporter.export(model, ExportRequest(path, sample, opset, labels))
    clean_graph(path)
    precheck_model(path)
    if isinstance(feeds, TransformedFeeds):
        merge_graphs(feeds.graph, path, path, sample=feeds.served(_filled(dataset), slice(0, COMPARED_ROWS)))
        precheck_model(path)
    signature = read_signature(
        path,
        layout=feeds.layout,
        features=dataset.feature_names,
        labels=labels,
        sample=feeds.served(_filled(dataset), rows),
    )
    signature.write(target / "signature.json")
    _write_predictions(exporter, model, feeds, dataset.test.n_rows, target / "framework.arrow")


def _feeds(request: Mapping[str, Any], dataset: Dataset) -> Feeds:
    """What the model and the served graph are fed with: the same, unless transforms come between."""
    folder = request["inputs"].get("transform")
    return DatasetFeeds(dataset) if folder is None else TransformedFeeds(dataset, Path(folder))


def _labels(model: Any, dataset: Dataset) -> tuple[object, ...]:
    """Classes in the order of the model's scores: its own when it says so, else the dataset's."""
    own = getattr(model, "classes_", None)
    if own is not None and getattr(own, "ndim", 1) == 1:
        return tuple(item.item() if isinstance(item, np.generic) else item for item in own)
    return dataset.classes or ()


def _filled(dataset: Dataset) -> str:
    return next(
        (split.name for split in (dataset.train, dataset.test, dataset.eval) if split.n_rows > 1), "train"
    )


def _write_predictions(exporter: Any, model: Any, feeds: Feeds, n_rows: int, path: Path) -> None:
    """The framework's outputs on the test split: a column an output, rows in order."""
    writer: Any = None
    with path.open("wb") as file:
        for start in range(0, n_rows, BATCH_ROWS):
            batch = _as_batch(exporter.predict(model, feeds.model("test", slice(start, start + BATCH_ROWS))))
            writer = writer or pa.ipc.new_file(file, batch.schema)
            writer.write_batch(batch)
        if writer is None:
            writer = pa.ipc.new_file(file, pa.schema([]))
        writer.close()


def _as_batch(outputs: Mapping[str, np.ndarray]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([_column(array) for array in outputs.values()], names=list(outputs))


def _column(array: np.ndarray) -> pa.Array:
    if array.ndim == 1:
        return pa.array(array.tolist(), pa.string()) if array.dtype.kind in "OUS" else pa.array(array)
    if array.dtype.kind in "OUS":
        return pa.array([[str(item) for item in row] for row in _rows(array)])
    return pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(array))


def _rows(array: np.ndarray) -> Iterator[list[object]]:
    for row in array.reshape(len(array), -1):
        yield row.tolist()
