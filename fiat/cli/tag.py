"""`fiat tag`: give a version of a model named values."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json, ModelName
from fiat.cli.output import print_json
from fiat.wiring.registry_marks import give_tags
from fiat.wiring.registry_names import acting_person
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf


def command(
    model: ModelName,
    tags: Annotated[list[str], typer.Argument(metavar="NAME=VALUE", help="Tags; NAME= takes one away.")],
    json: Json = False,
) -> int:
    """Give a version of a model named values, such as reviewed=yes. Who gave them is written down."""
    with open_shelf(Path.cwd(), read_settings(os.environ)) as shelf:
        who = acting_person()
        done = give_tags(shelf.store, model, tags, who=who)
        if json:
            print_json({"tags": tags, "who": who, **vars(done)})
        else:
            typer.echo(f"{done.model}@{done.version}: {', '.join(tags)}")
        return 0
