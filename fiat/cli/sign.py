"""`fiat sign`: sign a model's package."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json, ModelName
from fiat.cli.output import print_json
from fiat.errors import SpecError
from fiat.wiring.registry_names import require_name
from fiat.wiring.registry_signing import sign_model
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf


def command(
    model: ModelName,
    key: Annotated[
        Path | None,
        typer.Option("--key", "-k", help="PEM file of the private key; left out: that of FIAT_SIGNING_KEY."),
    ] = None,
    json: Json = False,
) -> int:
    """Sign a package (OpenSSF Model Signing), and how it was made (in-toto, SLSA provenance).

    Both lie beside the package, which stays as it was judged. `fiat keys new PATH` makes a key.
    """
    settings = read_settings(os.environ)
    used = key or settings.signing_key
    if used is None:
        raise SpecError("no key is named", hint="give --key FILE, or set FIAT_SIGNING_KEY")
    with open_shelf(Path.cwd(), settings) as shelf:
        signed = sign_model(shelf.store, require_name(shelf.store, model), used)
        if json:
            print_json(signed)
        else:
            typer.echo(f"{signed.model} {signed.digest} is signed by the key {signed.key[:12]}")
            typer.echo(f"signature   {signed.signature}")
            typer.echo(f"provenance  {signed.provenance}")
        return 0
