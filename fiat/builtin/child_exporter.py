"""Which exporter a trained model belongs to: found by its class, or by the note beside a saved one."""

import json
import os
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from fiat.errors import SpecError

GROUP = "fiat.exporter"


def find_exporter(model: Any) -> Any:
    """The exporter for a trained model.

    Raises:
        SpecError: none of the installed ones takes it.
    """
    if isinstance(model, (str, os.PathLike)):
        return load_exporter("onnx")
    if model is None:
        raise SpecError("the train function returned nothing", hint="return the trained model")
    roots = [kind.__module__.partition(".")[0] for kind in type(model).__mro__]
    points = {point.name: point for point in entry_points(group=GROUP)}
    for root in roots:
        if root in points:
            return points[root].load()()
    for point in points.values():
        exporter = _try(point)
        if exporter is not None and set(roots) & set(exporter.frameworks):
            return exporter
    raise SpecError(
        f"the train function returned a {model_class(model)}, which no installed exporter takes",
        hint=f"installed: {', '.join(sorted(points)) or 'none'}; pip install fiat-torch or fiat-sklearn",
    )


def load_exporter(name: str) -> Any:
    """The exporter of that name.

    Raises:
        SpecError: it is not installed.
    """
    found = tuple(entry_points(group=GROUP, name=name))
    if not found:
        raise SpecError(f"exporter {name} is not installed", hint=f"pip install fiat-{name}")
    return found[0].load()()


def saved_exporter(folder: Path) -> Any:
    """The exporter that a trained model was saved by; what a `run:` made is ONNX already.

    Args:
        folder: the output of a training, a folder or an ONNX file.

    Raises:
        SpecError: it is not installed.
    """
    note = folder / "model.json"
    return load_exporter(json.loads(note.read_text("utf-8"))["exporter"] if note.is_file() else "onnx")


def model_class(model: Any) -> str:
    """The full name of a model's class."""
    return f"{type(model).__module__}.{type(model).__qualname__}"


def _try(point: EntryPoint) -> Any:
    try:
        return point.load()()
    except ImportError:
        return None
