"""`fiat compare`: two runs side by side."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json
from fiat.cli.output import print_json
from fiat.wiring.compare import compare_runs
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf
from fiat.wiring.views import show_comparison


def command(
    a: Annotated[str, typer.Argument(metavar="A", help="Run id, the beginning of one, or `last`.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The run to compare it with.")],
    json: Json = False,
) -> int:
    """Compare two runs: parameters, data, and metrics with direction and interval."""
    with open_shelf(Path.cwd(), read_settings(os.environ)) as shelf:
        comparison = compare_runs(shelf.store, shelf.store.runs.find(a), shelf.store.runs.find(b))
        if json:
            print_json(comparison)
        else:
            show_comparison(comparison)
        return 0
