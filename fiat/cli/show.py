"""`fiat show`: a run, or a released model."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json
from fiat.cli.output import print_json
from fiat.wiring.models import find_model
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf
from fiat.wiring.trained import trained_of
from fiat.wiring.views import show_model, show_run


def command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL", help="Run id or `last`; a model's name, NAME@ALIAS, digest, or folder."
        ),
    ],
    json: Json = False,
) -> int:
    """Show a run (steps, gates, metrics) or a model (signature, metrics, where it comes from)."""
    with open_shelf(Path.cwd(), read_settings(os.environ)) as shelf:
        model = find_model(shelf, name)
        if model is not None:
            if json:
                print_json(model)
            else:
                show_model(model)
            return 0
        run = shelf.store.runs.find(name)
        if json:
            print_json(run)
        else:
            show_run(run, trained_of(shelf.store, shelf.state_dir, run))
        return 0
