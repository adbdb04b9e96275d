"""`fiat verify`: check a model's package and its signature."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json, ModelName
from fiat.cli.output import print_json
from fiat.errors import EXIT_DONE, EXIT_REFUSED
from fiat.wiring.registry_names import require_name
from fiat.wiring.registry_views import show_verification
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf
from fiat.wiring.verify import verify_model


def command(
    model: ModelName,
    key: Annotated[
        Path | None,
        typer.Option("--key", "-k", help="PEM file of the public key; left out: that of FIAT_VERIFY_KEY."),
    ] = None,
    json: Json = False,
) -> int:
    """Check a package: files, digest, signature, and that the statement of how it was made is about it.

    MODEL may be the folder of a package, such as one that a target has. Exit code 1 when something does not hold; without a
    key the signature is not looked at.
    """
    settings = read_settings(os.environ)
    with open_shelf(Path.cwd(), settings) as shelf:
        found = verify_model(shelf.store, require_name(shelf.store, model), model, key or settings.verify_key)
        if json:
            print_json({"good": found.good, **vars(found)})
        else:
            show_verification(found)
        return EXIT_DONE if found.good else EXIT_REFUSED
