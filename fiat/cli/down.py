"""`fiat down`: stop the warm Ray."""

import os
from pathlib import Path

import typer

from fiat.cli.options import Json
from fiat.cli.output import print_json
from fiat.wiring.cluster import stop_cluster
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf


def command(json: Json = False) -> int:
    """Stop the Ray that `fiat up` started here."""
    shelf = open_shelf(Path.cwd(), read_settings(os.environ))
    stopped = stop_cluster(shelf.state_dir)
    if json:
        print_json({"stopped": stopped})
    else:
        typer.echo("Ray is down" if stopped else "no Ray was up")
    return 0
