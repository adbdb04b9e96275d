"""Role `train`: call the function, hand the model that it returns to its exporter."""

import json
import os
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from fiat.builtin.child_call import call
from fiat.errors import SpecError

GROUP = "fiat.exporter"


def work(request: Mapping[str, Any]) -> None:
    """Train and save.

    Raises:
        SpecError: the function returned nothing that an exporter takes.
    """
    model = call(request, {})
    exporter = find_exporter(model)
    folder = Path(request["outputs"]["model"])
    folder.mkdir(parents=True)
    exporter.save(model, folder)
    if not any(folder.iterdir()):
        raise SpecError(f"exporter {exporter.name} saved nothing of a {_kind(model)}")
    document = {"exporter": exporter.name, "class": _kind(model)}
    (folder / "model.json").write_text(json.dumps(document, sort_keys=True), "utf-8")


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
        f"the train function returned a {_kind(model)}, which no installed exporter takes",
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


def _try(point: EntryPoint) -> Any:
    try:
        return point.load()()
    except ImportError:
        return None


def _kind(model: Any) -> str:
    return f"{type(model).__module__}.{type(model).__qualname__}"
