"""`fiat alias`: let a name mean a version of a model."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json, ModelName
from fiat.cli.output import print_json
from fiat.errors import SpecError
from fiat.wiring.registry_marks import give_alias, take_alias
from fiat.wiring.registry_names import acting_person
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf


def command(
    model: ModelName,
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="The alias, such as champion.")],
    version: Annotated[
        str | None,
        typer.Argument(
            metavar="[VERSION]",
            help="Number, alias or digest of the version; left out: the one that MODEL means.",
        ),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the alias away.")] = False,
    reason: Annotated[str, typer.Option(help="Why, for those who ask later.")] = "",
    json: Json = False,
) -> int:
    """Give an alias to a version of a model; a baseline that names the alias follows. Who moved it is written down."""
    if remove and version:
        raise SpecError("--remove takes the alias away from whatever it means", hint="leave out VERSION")
    with open_shelf(Path.cwd(), read_settings(os.environ)) as shelf:
        who = acting_person()
        if remove:
            done = take_alias(shelf.store, model, alias, who=who, reason=reason)
        else:
            done = give_alias(shelf.store, model, alias, version or "", who=who, reason=reason)
        if json:
            print_json({"alias": alias, "who": who, **vars(done)})
        elif remove:
            typer.echo(f"{done.model} has no alias {alias} any more")
        else:
            verb = "means" if done.changed else "means already"
            typer.echo(f"{done.model}@{alias} {verb} version {done.version} ({done.digest})")
        return 0
