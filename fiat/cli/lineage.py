"""`fiat lineage`: what made a model, and what came from data."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json
from fiat.cli.output import print_json
from fiat.wiring.registry_lineage import look_up, show_ancestry, show_descendants
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf


def command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|DATA",
            help="A model (NAME, NAME@ALIAS, NAME@3, digest, folder); or data: a dataset's name, digest, file or folder.",
        ),
    ],
    json: Json = False,
) -> int:
    """Show what made a model (data, code, parameters, commit, run), or which models came from data and where they are."""
    with open_shelf(Path.cwd(), read_settings(os.environ)) as shelf:
        found = look_up(shelf, name)
        if json:
            print_json(
                {"data": name, "models": found}
                if isinstance(found, tuple)
                else {"model": name, **vars(found)}
            )
        elif isinstance(found, tuple):
            show_descendants(name, found)
        else:
            show_ancestry(found)
        return 0
