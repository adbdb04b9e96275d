"""`fiat status`: what stands on the targets, and whether it is what git says."""

import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json
from fiat.cli.output import print_json
from fiat.errors import EXIT_DONE, EXIT_REFUSED
from fiat.wiring.place_rows import all_rows, held_at, plain_sight
from fiat.wiring.places import find_places, look_at, make_placer
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf
from fiat.wiring.views import show_places

_CLEAR = "\033[H\033[J"


def command(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="A spec, model, target or place; left out: all.")
    ] = "",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again every two seconds.")] = False,
    json: Json = False,
) -> int:
    """Show what stands on the targets of this checkout, and whether it is what was put there.

    Files are compared and processes asked. Exit code 0: all is as it should be; 1: something differs, and `fiat deploy`
    mends it.
    """
    with open_shelf(Path.cwd(), read_settings(os.environ)) as shelf:
        placer = make_placer(shelf)
        while True:
            sights = look_at(placer, find_places(shelf, name))
            if json:
                print_json([{**plain_sight(sight), "holds": held_at(shelf, sight)} for sight in sights])
            else:
                if watch and sys.stdout.isatty():
                    sys.stdout.write(_CLEAR)
                show_places(all_rows(shelf, sights, name))
            if not watch:
                return EXIT_REFUSED if any(sight.drift for sight in sights) else EXIT_DONE
            sys.stdout.flush()
            time.sleep(2.0)
