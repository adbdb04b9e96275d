"""The folder of fitted transforms: `transform.onnx`, and `transform.json` for people and other programs."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fiat.errors import EnvironmentFault
from fiat.transform.model import Fitted, Output, Part, RawColumn

GRAPH, DOCUMENT = "transform.onnx", "transform.json"


def write_transform(folder: Path, fitted: Fitted) -> None:
    """Write both files; the same bytes for the same transforms.

    Args:
        folder: made when it is not there.
        fitted: the transforms.

    Raises:
        EnvironmentFault: the disk is full or can't be written.
    """
    document = {
        "inputs": [asdict(column) for column in fitted.inputs],
        "outputs": [asdict(output) for output in fitted.outputs],
        "learned": [dict(item) for item in fitted.learned],
        "parts": [asdict(part) for part in fitted.parts],
    }
    try:
        folder.mkdir(exist_ok=True)
        (folder / GRAPH).write_bytes(fitted.graph)
        text = json.dumps(document, indent=1, ensure_ascii=False)
        (folder / DOCUMENT).write_text(text + "\n", "utf-8")
    except OSError as error:
        raise EnvironmentFault(
            f"the transforms can't be written: {error.strerror or error}", hint="is the disk full?"
        ) from error


def read_transform(folder: Path) -> Fitted:
    """Read what `write_transform` wrote.

    Raises:
        EnvironmentFault: it is not there, or damaged.
    """
    try:
        document = json.loads((folder / DOCUMENT).read_text("utf-8"))
        return Fitted(
            (folder / GRAPH).read_bytes(),
            tuple(RawColumn(**_tuples(item)) for item in document["inputs"]),
            tuple(Output(**_tuples(item)) for item in document["outputs"]),
            tuple(document["learned"]),
            tuple(Part(**_tuples(item)) for item in document["parts"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EnvironmentFault(f"{folder} holds no transforms that can be read: {error}") from error


def _tuples(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in item.items()}
