"""`fiat up`: a warm Ray."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json
from fiat.cli.output import print_json
from fiat.wiring.cluster import start_cluster
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf


def command(
    cpus: Annotated[int | None, typer.Option(min=1, help="CPU cores to offer; left out: all.")] = None,
    gpus: Annotated[int | None, typer.Option(min=0, help="GPUs to offer; left out: all.")] = None,
    json: Json = False,
) -> int:
    """Start a Ray that stays warm between runs, on loopback only, behind a token; `fiat down` stops it."""
    shelf = open_shelf(Path.cwd(), read_settings(os.environ))
    host = start_cluster(shelf.state_dir, cpus=cpus, gpus=gpus)
    if json:
        print_json(host)
    else:
        typer.echo(f"Ray is up at {host.address}; `fiat down` stops it")
    return 0
