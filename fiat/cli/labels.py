"""`fiat labels`: bring labels that came later to a service."""

from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json
from fiat.cli.output import print_json
from fiat.errors import EXIT_DONE
from fiat.wiring.monitor_labels import bring_labels


def command(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="CSV, JSON Lines or Parquet with request_id, label and, if need be, row."
        ),
    ],
    name: Annotated[
        str,
        typer.Argument(
            metavar="[NAME]",
            help="A spec, model, target or place; or the folder of a service; or a server's URL.",
        ),
    ] = "",
    json: Json = False,
) -> int:
    """Bring labels to a service, so that `fiat monitor` can say how good its model truly is.

    A label belongs to a request by its id; of several for one row the newest counts.
    """
    brought = bring_labels(file, name, Path.cwd())
    if json:
        print_json(brought)
    else:
        missing = (
            f", {brought.n_missing:,} rows without a label or an id left out" if brought.n_missing else ""
        )
        typer.echo(f"{brought.n_labels:,} labels to {brought.to}{missing}")
    return EXIT_DONE
