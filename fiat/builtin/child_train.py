"""Role `train`: call the function, hand the model that it returns to its exporter."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fiat.builtin.child_call import call
from fiat.builtin.child_exporter import find_exporter, model_class
from fiat.builtin.child_gang import gang_of, unwrapped
from fiat.builtin.child_warm import offered
from fiat.errors import SpecError


def work(request: Mapping[str, Any]) -> None:
    """Train and save.

    Raises:
        SpecError: the function returned nothing that an exporter takes.
    """
    model = unwrapped(call(request, offered(request)))
    if gang_of().rank:
        return
    exporter = find_exporter(model)
    folder = Path(request["outputs"]["model"])
    folder.mkdir(parents=True)
    exporter.save(model, folder)
    if not any(folder.iterdir()):
        raise SpecError(f"exporter {exporter.name} saved nothing of a {model_class(model)}")
    document = {"exporter": exporter.name, "class": model_class(model)}
    (folder / "model.json").write_text(json.dumps(document, sort_keys=True), "utf-8")
