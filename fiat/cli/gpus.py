"""`fiat gpus`: who has which GPU, and who waits."""

import os
import sys
import time
from json import dumps
from typing import Annotated

import typer

from fiat.cli.options import Json
from fiat.cli.output import plain, print_json
from fiat.wiring.gpus import look_at_gpus, show_gpus

_CLEAR = "\033[H\033[J"


def command(
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Look again every two seconds; with --json a line each.")
    ] = False,
    json: Json = False,
) -> int:
    """Show this machine's GPUs: memory and load, which steps of your runs have them, and which wait, in order.

    All runs of one user share them, whatever started these: on compute `local` and on a Ray that Fiat started. A Ray
    at RAY_ADDRESS places GPUs itself.
    """
    while True:
        sight = look_at_gpus(os.environ)
        if json and watch:
            sys.stdout.write(f"{dumps(plain(sight))}\n")
        elif json:
            print_json(sight)
        else:
            if watch and sys.stdout.isatty():
                sys.stdout.write(_CLEAR)
            show_gpus(sight)
        if not watch:
            return 0
        sys.stdout.flush()
        time.sleep(2.0)
