"""`fiat report`: a run as one HTML page."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json, RunName
from fiat.cli.output import print_json
from fiat.errors import EnvironmentFault
from fiat.wiring.pages import run_page
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf


def command(
    run: RunName = "last",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="File to write; left out: fiat-report-RUN.html."),
    ] = None,
    json: Json = False,
) -> int:
    """Write a run's report as one self-contained HTML page."""
    with open_shelf(Path.cwd(), read_settings(os.environ)) as shelf:
        found = shelf.store.runs.find(run)
        path = output or Path(f"fiat-report-{found.id}.html")
        try:
            path.write_text(run_page(shelf, found), encoding="utf-8")
        except OSError as error:
            raise EnvironmentFault(
                f"can't write {path}: {error.strerror}", hint="choose another file with -o"
            ) from None
        if json:
            print_json({"run": found.id, "path": path})
        else:
            typer.echo(f"wrote {path}")
        return 0
