"""`fiat keys`: keys that sign models."""

from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json
from fiat.cli.output import print_json
from fiat.wiring.registry_keys import make_key

group = typer.Typer(no_args_is_help=True, help="Make keys that sign models.")


@group.callback()
def _several() -> None:
    """Keeps `new` a word of its own."""


@group.command("new", short_help="Make a key pair.")
def new(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="The private key; PATH.pub is the public one.")
    ],
    json: Json = False,
) -> int:
    """Make a key pair (ECDSA P-256): PATH, which only you can read, and PATH.pub for everybody who checks.

    Keep PATH out of the checkout: code of specs can read what lies there.
    """
    made = make_key(path)
    if json:
        print_json(made)
    else:
        typer.echo(f"private key  {made.private}\npublic key   {made.public}\nid           {made.id}")
    return 0
