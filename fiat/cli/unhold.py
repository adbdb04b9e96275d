"""`fiat unhold`: lift what keeps models away from a target."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.errors import EXIT_DONE
from fiat.wiring.places import held_places
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A spec, model, target or place.")],
    target: Annotated[str, typer.Argument(metavar="[TARGET]", help="Only this target of it.")] = "",
) -> int:
    """Lift every hold of a target: one that somebody set, and that of a commit whose rollout failed."""
    with open_shelf(Path.cwd(), read_settings(os.environ)) as shelf:
        for place in held_places(shelf, name, target):
            lifted = shelf.store.deployments.unhold(place)
            print(f"{place}: {lifted} lifted" if lifted else f"{place}: nothing was held")
        return EXIT_DONE
