"""`fiat stop`: end a service."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.errors import EXIT_DONE
from fiat.wiring.places import find_places, make_placer, require_one, stop
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A spec, model, target or place.")],
    target: Annotated[str, typer.Argument(metavar="[TARGET]", help="Its target, when it has several.")] = "",
) -> int:
    """End a service: running requests are answered, then its processes end. The next deploy starts it again."""
    with open_shelf(Path.cwd(), read_settings(os.environ)) as shelf:
        services = [
            one for one in find_places(shelf, name, target, stopped=True) if target or one.kind == "service"
        ]
        place = require_one(services or find_places(shelf, name, target))
        ran = stop(shelf, make_placer(shelf), place)
        said = "stopped" if ran else "stopped already" if place.state == "stopped" else "nothing ran"
        print(f"{place.place}: {said}; `fiat deploy` starts it again")
        return EXIT_DONE
