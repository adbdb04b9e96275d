"""`fiat bom`: a model's bill of materials."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import ModelName
from fiat.wiring.registry_bom import bom_text, write_bom
from fiat.wiring.registry_names import require_name
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf


def command(
    model: ModelName,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it to this file instead of printing it.")
    ] = None,
) -> int:
    """Write a model's bill of materials: CycloneDX 1.6 in JSON, with model card, data, code, libraries and hashes."""
    with open_shelf(Path.cwd(), read_settings(os.environ)) as shelf:
        text = bom_text(shelf.store, require_name(shelf.store, model))
    if output is None:
        sys.stdout.write(text)
    else:
        write_bom(output, text)
        typer.echo(f"wrote {output}")
    return 0
