"""`fiat runs`: list runs."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json
from fiat.cli.output import print_json
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf
from fiat.wiring.views import show_runs


def command(
    spec: Annotated[str | None, typer.Option(help="Only runs of the spec with this name.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=10_000, help="So many of the newest.")
    ] = 20,
    json: Json = False,
) -> int:
    """List runs, newest first."""
    with open_shelf(Path.cwd(), read_settings(os.environ)) as shelf:
        runs = shelf.store.runs.newest(spec=spec, limit=limit)
        if json:
            hidden = ("steps", "config", "metrics", "gates")
            print_json({"runs": [_without(run, hidden) for run in runs]})
        else:
            show_runs(runs)
        return 0


def _without(run: object, names: tuple[str, ...]) -> dict[str, object]:
    return {key: value for key, value in vars(run).items() if key not in names}
