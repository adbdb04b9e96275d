"""`fiat rollback`: bring the earlier model back, at once, without training."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json
from fiat.cli.output import print_json
from fiat.errors import EXIT_DONE, EXIT_REFUSED
from fiat.wiring.place_rows import place_rows
from fiat.wiring.places import find_places, make_placer, require_one, roll_back
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf
from fiat.wiring.views import show_places


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A spec, model, target or place.")],
    target: Annotated[str, typer.Argument(metavar="[TARGET]", help="Its target, when it has several.")] = "",
    to: Annotated[
        str, typer.Option("--to", metavar="VERSION", help="A version or alias; left out: the model before.")
    ] = "",
    json: Json = False,
) -> int:
    """Put the model back that a target had before, and hold what it has now, so that no run brings it again.

    The same is reached for good by reverting the commit in git; `fiat unhold` lifts the hold.
    """
    with open_shelf(Path.cwd(), read_settings(os.environ)) as shelf:
        current = require_one(find_places(shelf, name, target))
        sight = roll_back(shelf, make_placer(shelf), current, to)
        if json:
            print_json(sight)
        else:
            show_places(place_rows(shelf.store, [sight]))
        return EXIT_REFUSED if sight.drift else EXIT_DONE
