"""`fiat reproduce`: run a run again from its commit and compare the digests."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json, RunName
from fiat.cli.output import print_json
from fiat.errors import EXIT_DONE, EXIT_REFUSED
from fiat.wiring.reproduce import reproduce_run
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf
from fiat.wiring.views import make_reporter, show_reproduction


def command(
    run: RunName = "last",
    compute: Annotated[str | None, typer.Option(help="Where steps run: ray or local.")] = None,
    json: Json = False,
) -> int:
    """Run a run again from its commit, in a clean folder with an empty store, and compare the digests.

    Exit code 1 when a digest differs.
    """
    settings = read_settings(os.environ)
    with open_shelf(Path.cwd(), settings) as shelf:
        with make_reporter(json=json, verbose=False) as reporter:
            outcome = reproduce_run(
                shelf, shelf.store.runs.find(run), reporter, compute=compute or settings.compute
            )
        if json:
            print_json(outcome)
        else:
            show_reproduction(outcome)
        return EXIT_DONE if outcome.same else EXIT_REFUSED
