"""Run a transform graph on batches of rows, what becomes of texts on the distinct ones alone.

A batch of 65,536 taxi rows has about a hundred different companies: the nodes that look them up run on these, and the
result is spread over the rows. They are the same nodes; where nearly every text differs, all rows go through them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort
import pyarrow as pa
from onnx import TypeProto, ValueInfoProto, helper

from fiat.data.raw import RawColumn, as_floats, as_texts, column_of, raw_feed
from fiat.transform.model import TO_MODEL, Fitted, Part
from fiat.transform.names import inputs_of, needed_nodes
from fiat.transform.runtime import open_session, run_all
from fiat.transform.train_rows import element_type

_WORTH = 2
"""Rows for each distinct one from which on it pays to find those."""
_TYPES = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(string)": "string"}


@dataclass(frozen=True)
class _Stage:
    """A part of the graph, and what has to be computed before it: numbers that are joined to texts."""

    part: Part
    session: ort.InferenceSession
    computed: tuple[str, ...] = ()
    before: ort.InferenceSession | None = None


class DistinctRunner:
    """Runs the graph of fitted transforms.

    Args:
        fitted: the transforms.
        threads: cores to use.
    """

    def __init__(self, fitted: Fitted, *, threads: int = 1) -> None:
        self._columns = {column.name: column for column in fitted.inputs}
        self._cutter = _Cutter(onnx.ModelProto.FromString(fitted.graph), threads)
        self._stages = [self._stage(part) for part in fitted.parts]
        self._names = {TO_MODEL + output.name: output.name for output in fitted.outputs}
        self._texts = self._cutter.texts_that_leave(self._columns)
        self._rest = self._cutter.cut([name for name in self._names if name not in self._texts])

    def run(self, batch: pa.RecordBatch) -> dict[str, np.ndarray | pa.Array]:
        """Output name to array `(n_rows, ...)`; texts come as an Arrow array `(n_rows,)`.

        Raises:
            SpecError: a column is missing or of another kind, or the graph refuses a row.
        """
        rows = _Rows(batch, self._columns)
        for stage in self._stages:
            if stage.before is not None:
                rows.add(stage.computed, _run(stage.before, rows))
            _run_part(stage, rows)
        made: dict[str, np.ndarray | pa.Array] = {
            outside: rows.text(inside) for outside, inside in self._texts.items()
        }
        if self._rest is not None:
            outputs = [item.name for item in self._rest.get_outputs()]
            made.update(zip(outputs, _run(self._rest, rows), strict=True))
        return {name: made[outside] for outside, name in self._names.items()}

    def _stage(self, part: Part) -> _Stage:
        computed = tuple(
            name for name in part.inputs if name not in self._columns and name not in self._cutter.given
        )
        before = self._cutter.cut(computed) if computed else None
        if before is not None:
            self._cutter.give(before)
        session = self._cutter.cut(part.outputs, part.inputs)
        assert session is not None  # noqa: S101  # a part has outputs
        self._cutter.give(session)
        return _Stage(part, session, computed, before)


class _Cutter:
    """Cuts graphs out of one.

    Attributes:
        given: tensors that need not be computed any more, with their types.
    """

    def __init__(self, model: onnx.ModelProto, threads: int) -> None:
        self.given: dict[str, ValueInfoProto] = {item.name: item for item in model.graph.input}
        self._model = model
        self._threads = threads

    def give(self, session: ort.InferenceSession) -> None:
        """What a session computes needs not be computed again."""
        for item in session.get_outputs():
            name = _TYPES.get(item.type, item.type.removeprefix("tensor(").removesuffix(")"))
            tensor = TypeProto.Tensor(elem_type=element_type(name))
            self.given[item.name] = ValueInfoProto(name=item.name, type=TypeProto(tensor_type=tensor))

    def texts_that_leave(self, columns: Iterable[str]) -> dict[str, str]:
        """Output that holds texts to the tensor or column that it is."""
        strings = {
            item.name
            for item in (*self._model.graph.output, *self.given.values())
            if item.type.tensor_type.elem_type == onnx.TensorProto.STRING
        }
        known = {*columns, *self.given}
        return {
            node.output[0]: node.input[0]
            for node in self._model.graph.node
            if node.op_type == "Identity" and node.output[0] in strings and node.input[0] in known & strings
        }

    def cut(self, outputs: Iterable[str], inputs: Iterable[str] = ()) -> ort.InferenceSession | None:
        """The graph from `inputs` (None: all that is given) to `outputs`; None without outputs."""
        wanted = list(outputs)
        if not wanted:
            return None
        given = {name: self.given[name] for name in inputs} or self.given
        nodes = needed_nodes(self._model.graph.node, wanted, given)
        read = {name for node in nodes for name in inputs_of(node)} | {*wanted}
        graph = helper.make_graph(
            nodes,
            "part",
            [info for name, info in given.items() if name in read],
            [ValueInfoProto(name=name) for name in wanted],
            initializer=[item for item in self._model.graph.initializer if item.name in read],
        )
        model = helper.make_model(
            graph, opset_imports=self._model.opset_import, ir_version=self._model.ir_version
        )
        return open_session(model.SerializeToString(), threads=self._threads)


class _Rows:
    """A batch on its way through the stages: raw columns and what was computed from them."""

    def __init__(self, batch: pa.RecordBatch, columns: Mapping[str, RawColumn]) -> None:
        self._batch = batch
        self._columns = columns
        self._arrays: dict[str, np.ndarray] = {}
        self._texts: dict[str, pa.Array] = {}

    def add(self, names: Iterable[str], arrays: Iterable[np.ndarray]) -> None:
        self._arrays.update(zip(names, arrays, strict=True))

    def add_text(self, name: str, texts: pa.Array) -> None:
        self._texts[name] = texts

    def array(self, name: str) -> np.ndarray:
        """As a graph is fed."""
        if name not in self._arrays:
            column = self._columns.get(name)
            if column is None or column.kind == "text":
                self._arrays[name] = _objects(self.text(name))
            elif column.kind == "number":
                self._arrays[name] = as_floats(column_of(self._batch, column)).reshape(-1, 1)
            else:
                self._arrays.update(raw_feed(self._batch, [column]))
        return self._arrays[name]

    def text(self, name: str) -> pa.Array:
        if name not in self._texts:
            self._texts[name] = as_texts(column_of(self._batch, self._columns[name]))
        return self._texts[name]

    def coded(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Position of each row's value among the distinct ones `(n,)`, and those `(n_distinct, 1)`."""
        column = self._columns.get(name)
        is_text = name in self._texts or (column is not None and column.kind == "text")
        values = self.text(name) if is_text else pa.array(self.array(name).reshape(-1))
        found = values.dictionary_encode()
        distinct = found.dictionary
        arrays = _objects(distinct) if is_text else distinct.to_numpy().reshape(-1, 1)
        return found.indices.to_numpy(), arrays


def _run(session: ort.InferenceSession, rows: _Rows) -> list[np.ndarray]:
    feed = {item.name: rows.array(item.name) for item in session.get_inputs()}
    return run_all(session, [item.name for item in session.get_outputs()], feed)


def _run_part(stage: _Stage, rows: _Rows) -> None:
    """On distinct rows, which are spread over all rows again."""
    names = stage.part.inputs
    coded = [rows.coded(name) for name in names]
    places, codes = _together(coded)
    if len(places) * _WORTH > len(codes):
        found, codes = _run(stage.session, rows), np.arange(len(codes))
    else:
        feed = {name: distinct[code[places]] for name, (code, distinct) in zip(names, coded, strict=True)}
        taken = {item.name: feed[item.name] for item in stage.session.get_inputs()}
        found = run_all(stage.session, stage.part.outputs, taken)
    for name, array in zip(stage.part.outputs, found, strict=True):
        if array.dtype == object:
            rows.add_text(name, pa.array(array.reshape(-1), pa.string()).take(pa.array(codes)))
        else:
            rows.add([name], [array[codes]])


def _together(coded: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """A row for each combination of codes that there is `(n_distinct,)`, and the combination of each row `(n,)`."""
    joined = coded[0][0].astype(np.int64)
    for codes, distinct in coded[1:]:
        found = pa.array(joined * max(1, len(distinct)) + codes).dictionary_encode()
        joined = found.indices.to_numpy().astype(np.int64)
    n_distinct = int(joined.max()) + 1 if len(joined) else 0
    places = np.zeros(n_distinct, np.int64)
    places[joined[::-1]] = np.arange(len(joined))[::-1]
    return places, joined


def _objects(texts: pa.Array) -> np.ndarray:
    return np.array(texts.to_numpy(zero_copy_only=False), object).reshape(-1, 1)
