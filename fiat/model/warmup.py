"""`warmup.json`: one made-up row as the inputs of a graph, so that a server can try a model before clients do.

Made by `warmup_row.py`. A model that takes no made-up row (it refuses pairs of values that training did not see) has no
such file.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fiat.errors import EnvironmentFault

FILE = "warmup.json"
FORMAT = 1
_STRING = "string"

AnyArray = npt.NDArray[Any]
Row = dict[str, AnyArray]


def warmup_text(row: Mapping[str, AnyArray]) -> str:
    """The file's text: for each input name, NumPy type, shape, and the values row by row; left out when all are 0."""
    inputs = [
        {"name": name, "dtype": _STRING if array.dtype == object else array.dtype.name, "shape": array.shape}
        | ({"data": _plain(array)} if array.dtype == object or array.any() else {})
        for name, array in row.items()
    ]
    return (
        json.dumps({"format": FORMAT, "inputs": inputs}, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    )


def _plain(array: AnyArray) -> list[object]:
    values: Sequence[object] = array.reshape(-1).tolist()
    return [None if isinstance(value, float) and not math.isfinite(value) else value for value in values]


def read_warmup(folder: Path) -> Row | None:
    """The row of a package: input name to array `(1, ...)`; None for a package without one.

    Raises:
        EnvironmentFault: the file is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        document = json.loads(path.read_bytes())
        if document["format"] != FORMAT:
            return None  # of a later version: the model is served without it
        return {item["name"]: _read(item) for item in document["inputs"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EnvironmentFault(f"{path} can't be read: {error}", hint="package the model again") from error


def _read(item: Mapping[str, Any]) -> AnyArray:
    shape, dtype = tuple(item["shape"]), item["dtype"]
    if "data" not in item:
        return np.zeros(shape, dtype)
    if dtype == _STRING:
        return np.array(item["data"], object).reshape(shape)
    return np.array([math.nan if value is None else value for value in item["data"]], dtype).reshape(shape)
