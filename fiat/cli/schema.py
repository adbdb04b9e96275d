"""`fiat schema`: JSON Schemas of Fiat's documents; the schema of a spec's data, frozen and compared."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json, Overrides, SpecName
from fiat.cli.output import print_json
from fiat.errors import EXIT_DONE
from fiat.wiring.data_schema import compare_schema, freeze_schema
from fiat.wiring.data_target import FileWords, open_target
from fiat.wiring.data_words import show_changes
from fiat.wiring.documents import SCHEMAS
from fiat.wiring.settings import read_settings

group = typer.Typer(
    help="Print the JSON Schema of the spec language (spec) or of a runner's settings (runner); freeze the schema of "
    "a spec's data, and say what changed in it.",
    invoke_without_command=True,
    rich_markup_mode=None,
)
Name = Annotated[str | None, typer.Option("--data", metavar="NAME", help="Which dataset of the spec.")]


@group.callback()
def _no_word(context: typer.Context) -> int:
    return print_schema("spec") if context.invoked_subcommand is None else EXIT_DONE


@group.command()
def spec() -> int:
    """Print the JSON Schema of the spec language, for editors to complete and check by."""
    return print_schema("spec")


@group.command()
def runner() -> int:
    """Print the JSON Schema of a runner's settings."""
    return print_schema("runner")


@group.command()
def freeze(
    spec: SpecName,
    overrides: Overrides = None,
    data: Name = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="File to write; left out: the spec's, or schemas/NAME.yaml.",
        ),
    ] = None,
    ranges: Annotated[
        bool, typer.Option("--ranges", help="Also smallest and largest numbers, as they are in train.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a schema that is there.")] = False,
) -> int:
    """Write the schema inferred from train, to review and commit.

    As YAML, beside the spec. It holds on the data that it was made from; what is too narrow there is yours to widen.
    """
    settings = read_settings(os.environ)
    with open_target(spec, overrides or [], settings, FileWords(), data, freezing=True) as target:
        path, line = freeze_schema(target, output, ranges=ranges, force=force)
        typer.echo(f"wrote {path}")
        if line:
            typer.echo(f"review it, commit it, and add to data.{target.name} of the spec:  {line}")
        return EXIT_DONE


@group.command()
def diff(spec: SpecName, overrides: Overrides = None, data: Name = None, json: Json = False) -> int:
    """Say what changed in the schema of data.

    Against the spec's schema file; where it names none, against the data that were accepted before.
    """
    with open_target(spec, overrides or [], read_settings(os.environ), FileWords(), data) as target:
        title, changes = compare_schema(target)
        if json:
            print_json({"against": title, "changes": changes})
        else:
            show_changes(title, changes)
        return EXIT_DONE


def print_schema(document: str) -> int:
    """Print one of the JSON Schemas."""
    print_json(SCHEMAS[document]())
    return EXIT_DONE
