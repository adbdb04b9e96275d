"""Rows of the train split as what an operation learns from."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.compute as pc
from onnx import ValueInfoProto, helper

from fiat.transform.feeds import as_texts, column_of, raw_feed
from fiat.transform.graph import Graph
from fiat.transform.model import RawColumn, Seen, Value
from fiat.transform.runtime import open_session, run_all, run_parts

Feed = dict[str, np.ndarray]


class TrainRows:
    """Some raw columns of the train split, read once.

    One column of texts, or several columns, are kept as their distinct rows and how often each was there.

    Args:
        table: the train split.
        columns: raw columns.
    """

    def __init__(self, table: pa.Table, columns: Sequence[RawColumn]) -> None:
        self._table = table
        self._columns = tuple(columns)

    def seen(self, graph: Graph, value: Value) -> Seen:
        """What a value was for these rows: the nodes before it are run when somebody asks."""
        if value.tensor in {column.name for column in self._columns}:
            return Seen(lambda: self._read[0][value.tensor], lambda: self._read[1])
        return Seen(
            lambda: run_all(self._session(graph, value), ["found"], self._read[0])[0],
            lambda: self._read[1],
            lambda: (part for (part,) in run_parts(self._session(graph, value), ["found"], self._read[0])),
        )

    def _session(self, graph: Graph, value: Value) -> ort.InferenceSession:
        infos = [input_info(column) for column in self._columns]
        model = graph.model(infos, [(value.tensor, value_info("found", value))])
        return open_session(model.SerializeToString())

    @cached_property
    def _read(self) -> tuple[Feed, np.ndarray | None]:
        if len(self._columns) > 1 and all(column.kind != "tensor" for column in self._columns):
            return self._read_several()
        column = self._columns[0]
        if column.kind != "text" or len(self._columns) > 1:
            return raw_feed(self._table, self._columns), None
        found = pc.value_counts(as_texts(column_of(self._table, column)))
        texts, counts = found.field("values"), found.field("counts")
        return {column.name: _objects(texts)}, counts.to_numpy(zero_copy_only=False).astype(np.int64)

    def _read_several(self) -> tuple[Feed, np.ndarray]:
        names = [str(place) for place in range(len(self._columns))]
        arrays = [column_of(self._table, column) for column in self._columns]
        texts = [
            as_texts(array) if column.kind == "text" else array
            for array, column in zip(arrays, self._columns, strict=True)
        ]
        rows = pa.table(texts, names=names)
        found = rows.group_by(names, use_threads=False).aggregate([([], "count_all")])
        counts = found.column("count_all").to_numpy().astype(np.int64)
        named = found.select(names).rename_columns([column.name for column in self._columns])
        return raw_feed(named, self._columns), counts


def input_info(column: RawColumn) -> ValueInfoProto:
    """A raw column as an input of a graph."""
    shape = list(column.shape) if column.kind == "tensor" else [1]
    return helper.make_tensor_value_info(column.name, element_type(column.dtype), [None, *shape])


def value_info(name: str, value: Value) -> ValueInfoProto:
    """A value as an output of a graph."""
    kinds = {"number": "float64", "whole": "int64", "text": "string", "tokens": "string"}
    width: list[int | None] = [None] if value.kind == "tokens" else [len(value.names)]
    shape = list(value.shape) if value.kind == "tensor" else width
    return helper.make_tensor_value_info(
        name, element_type(kinds.get(value.kind, value.dtype)), [None, *shape]
    )


def element_type(dtype: str) -> int:
    """ONNX's number of a type: a NumPy name, or `string`."""
    return 8 if dtype == "string" else int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def _objects(texts: pa.Array) -> np.ndarray:
    return np.array(texts.to_pylist() or [], object).reshape(-1, 1)
