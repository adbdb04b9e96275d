"""`fiat why`: which commit, data, gates, verdict and approver a model comes of."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json
from fiat.cli.output import print_json
from fiat.errors import EXIT_DONE
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf
from fiat.wiring.views import show_why
from fiat.wiring.why import find_why


def command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="URL|MODEL", help="Address of a server, or a model: NAME, NAME@ALIAS, digest."
        ),
    ],
    json: Json = False,
) -> int:
    """Say why a model is what it is: commit, spec, data, parameters, gates, verdict, where it was put, and who agreed."""
    with open_shelf(Path.cwd(), read_settings(os.environ)) as shelf:
        stories = find_why(shelf, name)
        if json:
            print_json(stories)
        else:
            for story in stories:
                show_why(story)
        return EXIT_DONE
