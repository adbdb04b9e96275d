"""Make up a row that a graph takes: medians, most frequent values, tensors of zeros. No row of anybody's data."""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fiat.errors import SpecError
from fiat.model.warmup import AnyArray, Row
from fiat.profile.model import ColumnProfile, Profile
from fiat.transform.runtime import open_session, run_rows

_STRING = "string"
_TRIES = 64
_LEAST_ROWS = 2


def accepted_row(graph: Path, rows: Iterable[Row]) -> Row | None:
    """The first row that the graph predicts; None when it takes none of them.

    Args:
        graph: one that was looked at (`precheck_model`) and has run before.
        rows: to try.

    Raises:
        SpecError: onnxruntime can't load the graph.
    """
    session = None
    for row in rows:
        session = session or open_session(graph.read_bytes())
        try:
            run_rows(session, [item.name for item in session.get_outputs()], row)
        except SpecError:
            continue
        return row
    return None


def made_up_rows(signature: Mapping[str, Any], train: Profile | None) -> Iterator[Row]:
    """Rows to try, the likeliest first: input name to array `(1, ...)`, of the types that the graph takes.

    Args:
        signature: of the graph, as `signature.json` has it.
        train: of the rows that were trained on; without it there are zeros and empty texts.
    """
    draw = np.random.default_rng(0)
    for attempt in range(_TRIES):
        yield _row(signature, train, draw if attempt else None)


def _row(signature: Mapping[str, Any], train: Profile | None, draw: np.random.Generator | None) -> Row:
    inputs, features = signature["inputs"], list(signature["features"])
    columns = [train.column(name) if train else None for name in features]
    if signature["layout"] == "matrix":
        values = [_number(column, draw) for column in columns]
        return {inputs[0]["name"]: np.array([values], inputs[0]["dtype"])}
    by_name = dict(zip(features, columns, strict=True))
    in_order = columns if len(columns) == len(inputs) else [None] * len(inputs)
    same = {item["name"] for item in inputs} == set(features)
    return {
        item["name"]: _array(item, by_name[item["name"]] if same else column, draw)
        for item, column in zip(inputs, in_order, strict=True)
    }


def _array(
    item: Mapping[str, Any], column: ColumnProfile | None, draw: np.random.Generator | None
) -> AnyArray:
    shape = (1, *(size or 1 for size in item["shape"][1:]))
    if item["dtype"] == _STRING:
        return np.full(shape, _text(column, draw), object)
    dtype = np.dtype(item["dtype"])
    if math.prod(shape) != 1 or (column is not None and column.kind in ("tensor", "image")):
        return np.zeros(shape, dtype)
    value = _number(column, draw)
    if dtype.kind in "iub":
        value = 0 if math.isnan(value) else round(value)
    return np.full(shape, value, dtype)


def _number(column: ColumnProfile | None, draw: np.random.Generator | None) -> float:
    """The most frequent of few values (a median may be none of them), else the median; NaN without any."""
    if column is None:
        return 0.0
    values = [value for value, _ in column.top if isinstance(value, int | float)]
    if values and (column.counts or column.kind in ("int", "bool") or len(values) == column.n_distinct):
        return float(values[0 if draw is None else int(draw.integers(len(values)))])
    numbers = column.numbers
    if numbers is None or not numbers.quantiles:
        return math.nan
    return float(numbers.quantiles[len(numbers.quantiles) // 2])


def _text(column: ColumnProfile | None, draw: np.random.Generator | None) -> str:
    """The most frequent text; empty, which is missing, where none is there twice."""
    values = [text for text, n in column.top if n >= _LEAST_ROWS and isinstance(text, str)] if column else []
    return values[0 if draw is None else int(draw.integers(len(values)))] if values else ""
