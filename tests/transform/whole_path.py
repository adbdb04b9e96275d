"""One way through a transform: fitted, run over a dataset, put before a small model."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pyarrow as pa
from onnx import TensorProto, helper, numpy_helper

from fiat.data.columns import ColumnChoice
from fiat.data.dataset import open_dataset
from fiat.data.split import ByColumn
from fiat.data.stream import Piece, Reading
from fiat.data.write import write_dataset
from fiat.transform.apply import transform_dataset
from fiat.transform.catalog import OPERATIONS
from fiat.transform.feeds import raw_feed
from fiat.transform.fit import fit_transforms
from fiat.transform.merge import merge_graphs
from fiat.transform.model import Entry, Operation, Output

Arrays = Mapping[str, np.ndarray]


class WholePath:
    """Transforms fitted on `train`, with the rows of `serving` gone through both ways.

    Args:
        folder: an empty one.
        train: rows to fit on.
        serving: rows of the same columns that fitting does not see.
        entries: the spec's `transform`.
        operations: word to operation.

    Attributes:
        trained: what a model behind the transformed dataset gives for the serving rows.
        served: what the merged graph gives for the raw ones.
    """

    def __init__(
        self,
        folder: Path,
        train: pa.Table,
        serving: pa.Table,
        entries: Sequence[Entry],
        operations: Mapping[str, Operation] = OPERATIONS,
    ) -> None:
        features = tuple(train.column_names)
        self.fitted = fit_transforms(train, features, entries, operations=operations)
        _write(folder / "raw", train, serving)
        transform_dataset(folder / "raw", self.fitted, folder / "made")
        model = _model(self.fitted.outputs)
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        merge_graphs(self.fitted.graph, folder / "model.onnx", folder / "merged.onnx")
        self.trained = _run(_session(folder / "model.onnx"), _rows(folder / "made", self.fitted.outputs))
        self._merged = _session(folder / "merged.onnx")
        self._feed = raw_feed(serving, self.fitted.inputs)
        self.served = _run(self._merged, self._feed)
        self.n_rows = serving.num_rows

    def alone(self) -> Arrays:
        """What the merged graph gives when it is asked for one row at a time."""
        rows = [
            _run(self._merged, {name: array[row : row + 1] for name, array in self._feed.items()})
            for row in range(self.n_rows)
        ]
        return {name: np.concatenate([found[name] for found in rows]) for name in self.served}

    def check(self) -> None:
        """Both ways give the same, row by row, and each row gives alone what it gives among the others.

        Raises:
            AssertionError: they don't.
        """
        assert len(next(iter(self.served.values()))) == self.n_rows
        compare(self.trained, self.served)
        if self.n_rows:
            compare(self.alone(), self.served)


def compare(left: Arrays, right: Arrays) -> None:
    """The same outputs, numbers within 1e-5.

    Raises:
        AssertionError: they differ.
    """
    assert left.keys() == right.keys()
    for name, array in left.items():
        assert array.shape == right[name].shape, name
        if array.dtype.kind == "f":
            np.testing.assert_allclose(array, right[name], rtol=1e-5, atol=1e-5, err_msg=name)
        else:
            assert np.array_equal(array, right[name]), name


def _write(folder: Path, train: pa.Table, serving: pa.Table) -> None:
    parts = pa.array(["train"] * train.num_rows + ["test"] * serving.num_rows, pa.string())
    table = pa.concat_tables([train, serving]).append_column("part", parts).combine_chunks()
    reading = Reading(table.schema, lambda: iter([Piece(table.to_batches()[0], ("f",), 1)]))
    write_dataset(folder, reading, ByColumn("part"), ColumnChoice(drop=("part",)), "abc")


def _rows(folder: Path, outputs: Sequence[Output]) -> Arrays:
    """The transformed test split as a model is given it."""
    table = open_dataset(folder).test.table()
    found = {}
    for output in outputs:
        column = table.column(output.name).combine_chunks()
        if output.dtype == "string":
            found[output.name] = np.array(column.to_pylist(), object).reshape(-1, 1)
        else:
            flat = column.storage.flatten().to_numpy(zero_copy_only=False)
            found[output.name] = flat.reshape(table.num_rows, *output.shape)
    return found


def _model(outputs: Sequence[Output]) -> onnx.ModelProto:
    """Gives back all that it is given, and a score of the numbers."""
    nodes, stored, inputs, results = [], [], [], []
    for output in outputs:
        kind = (
            TensorProto.STRING
            if output.dtype == "string"
            else helper.np_dtype_to_tensor_dtype(np.dtype(output.dtype))
        )
        inputs.append(helper.make_tensor_value_info(output.name, kind, ["n", *output.shape]))
        results.append(helper.make_tensor_value_info(f"out.{output.name}", kind, ["n", *output.shape]))
        nodes.append(helper.make_node("Identity", [output.name], [f"out.{output.name}"]))
        if output.name == "features":
            weights = np.random.default_rng(0).normal(size=(*output.shape, 1)).astype(np.float32)
            stored.append(numpy_helper.from_array(weights, "weights"))
            nodes.append(helper.make_node("Tanh", ["features"], ["bounded"]))
            nodes.append(helper.make_node("MatMul", ["bounded", "weights"], ["score"]))
            results.append(helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 1]))
    graph = helper.make_graph(nodes, "small", inputs, results, initializer=stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def _session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _run(session: ort.InferenceSession, feed: Arrays) -> Arrays:
    names = [item.name for item in session.get_outputs()]
    given = {item.name: feed[item.name] for item in session.get_inputs()}
    return dict(zip(names, session.run(names, given), strict=True))
