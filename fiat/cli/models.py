"""`fiat models`: released models and their versions."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json
from fiat.cli.output import print_json
from fiat.wiring.registry_names import require_name
from fiat.wiring.registry_views import ListedVersion, list_versions, show_models, show_versions
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf


def command(
    name: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="A model's name; left out: all models.")
    ] = None,
    json: Json = False,
) -> int:
    """List released models, or the versions of one: commit, metric, aliases, tags, and where it is deployed."""
    with open_shelf(Path.cwd(), read_settings(os.environ)) as shelf:
        registry = shelf.store.registry
        if name is None:
            models = registry.models()
            if json:
                print_json({"models": models})
            else:
                show_models(models)
            return 0
        model = require_name(shelf.store, name).model
        versions, moves = list_versions(shelf.store, model), registry.alias_moves(model)
        if json:
            print_json(
                {"model": model, "versions": [_document(one) for one in versions], "alias_moves": moves}
            )
        else:
            show_versions(versions, moves)
        return 0


def _document(one: ListedVersion) -> dict[str, object]:
    return {**vars(one.version), "metric": {"name": one.metric, "value": one.value} if one.metric else None}
