"""`fiat hold`: let nothing be put on a target until it is lifted."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.errors import EXIT_DONE
from fiat.wiring.places import find_places, hold
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A spec, model, target or place.")],
    target: Annotated[str, typer.Argument(metavar="[TARGET]", help="Only this target of it.")] = "",
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why, for whoever meets it.")] = "",
) -> int:
    """Keep every new model away from a target, such as during an incident; what stands there stays, and is not mended."""
    with open_shelf(Path.cwd(), read_settings(os.environ)) as shelf:
        places = [one.place for one in find_places(shelf, name, target)]
        hold(shelf, places, reason)
        for place in places:
            print(f"{place}: held; `fiat unhold {place}` lifts it")
        return EXIT_DONE
