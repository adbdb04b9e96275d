"""`fiat init`: a working starter spec in an empty repository."""

from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json
from fiat.cli.output import print_json
from fiat.wiring.starter import write_starter


def command(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder to write into; made if missing.")
    ] = Path(),
    json: Json = False,
) -> int:
    """Write a small working spec into this repository: data, training code, gates.

    Existing files are never overwritten.
    """
    written = write_starter(folder)
    if json:
        print_json({"written": written})
        return 0
    for path in written:
        typer.echo(f"wrote {path}")
    typer.echo(f"next: fiat run {folder if str(folder) != '.' else 'spec.yaml'}")
    return 0
