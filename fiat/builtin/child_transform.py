"""Role `transform`: the user's function makes an ONNX model of some columns, which becomes part of the served graph."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from fiat.builtin.child_call import call
from fiat.data.dataset import Dataset, open_dataset
from fiat.errors import SpecError
from fiat.model.clean import clean_graph
from fiat.model.precheck import precheck_model
from fiat.transform.feeds import raw_columns, raw_feed
from fiat.transform.graph import Graph
from fiat.transform.model import Entry
from fiat.transform.own_graph import include_graph


def work(request: Mapping[str, Any]) -> None:
    """Call the function, and try what it returned as the transform step will use it.

    The function may name `columns`: column to array of the train split, as the served graph is given them: numbers float64
    `(n, 1)` with NaN where missing, texts `(n, 1)` with the empty text where missing, tensors `(n, *shape)`.

    Raises:
        SpecError: the function returned no ONNX model, or one that can't stand between these columns and a model.
    """
    columns = tuple(request["columns"])
    dataset = open_dataset(Path(request["datasets"][request["data"]]))
    _require_features(dataset, columns)
    train = dataset.train.table()
    raw = raw_columns(train.schema, columns)
    returned = call(request, {"columns": lambda: raw_feed(train, raw)})
    target = Path(request["outputs"]["graph"])
    target.write_bytes(_content(returned, request["call"]))
    precheck_model(target)
    clean_graph(target)
    include_graph(Graph(), Entry(columns, graph=target.read_bytes(), key=request["call"]), raw, train)


def _require_features(dataset: Dataset, columns: tuple[str, ...]) -> None:
    for name in columns:
        if name not in dataset.feature_names:
            raise SpecError(
                f"{name!r} is no feature column", hint=f"there are {', '.join(dataset.feature_names[:20])}"
            )


def _content(returned: Any, name: str) -> bytes:
    if isinstance(returned, bytes):
        return returned
    if isinstance(returned, onnx.ModelProto):
        return bytes(returned.SerializeToString(deterministic=True))
    if not isinstance(returned, (str, os.PathLike)):
        raise SpecError(
            f"{name} returned {'nothing' if returned is None else type(returned).__name__}",
            hint="expected an onnx.ModelProto, its bytes, or the path of an ONNX file",
        )
    try:
        return Path(returned).read_bytes()
    except OSError as error:
        raise SpecError(f"{name} returned {returned}, which can't be read: {error.strerror}") from None
