"""What a server prints when it is ready: where it is, and a request to try it with."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import numpy as np

from fiat.serving.loaded import LoadedVersion
from fiat.serving.tensors import BYTES, ServedTensor

_LONGEST = 2000
_MOST_SHOWN = 256


def greet(url: str, models: Sequence[LoadedVersion]) -> str:
    """Lines for people.

    Args:
        url: of the server.
        models: stable version of each.
    """
    lines = [f"ready: {url}"]
    for loaded in models:
        digest = f" ({loaded.version.digest})" if loaded.version.digest else ""
        lines.append(f"  model {loaded.info.name}, version {loaded.version.name}{digest}")
    lines += [f"try:\n  {line}" for loaded in models[:1] if (line := example(url, loaded))]
    return "\n".join(lines) + "\n"


def example(url: str, loaded: LoadedVersion) -> str:
    """A command that asks a model about one row; empty when the row is too long to show."""
    inputs = []
    for tensor in loaded.info.inputs:
        data = _data(tensor, None if loaded.row is None else loaded.row.get(tensor.name))
        if data is None:
            return ""
        shape = [1, *(size if size > 0 else 1 for size in tensor.shape[1:])]
        inputs.append({"name": tensor.name, "shape": shape, "datatype": tensor.datatype, "data": data})
    body = json.dumps({"inputs": inputs}).replace("'", "'\\''")
    line = f"curl {url}/v2/models/{quote(loaded.info.name, safe='')}/infer -d '{body}'"
    return line if len(line) <= _LONGEST else ""


def _data(tensor: ServedTensor, row: Any) -> list[object] | None:
    size = int(np.prod([size if size > 0 else 1 for size in tensor.shape[1:]], dtype=np.int64))
    if row is not None:
        found: list[object] = np.asarray(row).reshape(-1).tolist()
        if any(isinstance(value, float) and not np.isfinite(value) for value in found):
            return None
        return found if len(found) <= _MOST_SHOWN else None
    if size > _MOST_SHOWN:
        return None
    return [""] * size if tensor.datatype == BYTES else [0] * size
