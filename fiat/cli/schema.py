"""`fiat schema`: JSON Schemas of Fiat's documents."""

from typing import Annotated

import typer

from fiat.cli.output import print_json
from fiat.errors import SpecError
from fiat.wiring.documents import SCHEMAS


def command(
    document: Annotated[
        str, typer.Argument(metavar="DOCUMENT", help="Which document: spec, or runner: its settings.")
    ] = "spec",
) -> int:
    """Print the JSON Schema of the spec language or of a runner's settings, for editors to complete and check by."""
    if document not in SCHEMAS:
        raise SpecError(f"there is no schema of {document!r}", hint=f"one of: {', '.join(SCHEMAS)}")
    print_json(SCHEMAS[document]())
    return 0
