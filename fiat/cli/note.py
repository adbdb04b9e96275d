"""`fiat note`: write something about a version of a model."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json, ModelName
from fiat.cli.output import print_json
from fiat.wiring.registry_marks import write_note
from fiat.wiring.registry_names import acting_person
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf


def command(
    model: ModelName,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The note, in quotes.")],
    json: Json = False,
) -> int:
    """Write a note about a version of a model. Who wrote it, and when, is kept; notes are never changed."""
    with open_shelf(Path.cwd(), read_settings(os.environ)) as shelf:
        who = acting_person()
        done = write_note(shelf.store, model, text, who=who)
        if json:
            print_json({"note": text, "who": who, **vars(done)})
        else:
            typer.echo(f"{done.model}@{done.version}: noted")
        return 0
