"""`fiat data`: describe data, check them, compare them."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json, Overrides
from fiat.cli.output import print_json
from fiat.errors import EXIT_DONE, EXIT_REFUSED, EnvironmentFault, SpecError
from fiat.wiring.data_diff import compare_targets
from fiat.wiring.data_page import data_page
from fiat.wiring.data_target import FileWords, Target, is_spec, open_target
from fiat.wiring.data_words import inferred_text, show_description, show_difference, show_findings
from fiat.wiring.settings import read_settings

group = typer.Typer(
    help="Describe data, check them against a schema, compare them; of a spec, or straight from files.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
What = Annotated[
    str,
    typer.Argument(metavar="TARGET", help="Spec file or its folder; or a data file, or a folder of them."),
]
Name = Annotated[str | None, typer.Option("--data", metavar="NAME", help="Which dataset of the spec.")]
Format = Annotated[
    str | None, typer.Option(metavar="FORMAT", help="Format of the files; left out: by their names.")
]
NoHeader = Annotated[bool, typer.Option("--no-header", help="The first line of a CSV holds data already.")]
Delimiter = Annotated[str | None, typer.Option(metavar="CHAR", help="Between the fields of a CSV.")]
Label = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column to predict, of files.")]
SchemaFile = Annotated[
    Path | None, typer.Option("--schema", metavar="FILE", help="Schema of files; left out: inferred.")
]
Environment = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="Which columns of the schema of files are expected: training or serving."
    ),
]
Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write the data report there, one HTML page.")
]


@group.command()
def describe(
    target: What,
    overrides: Overrides = None,
    json: Json = False,
    html: Html = None,
    data: Name = None,
    format: Format = None,  # noqa: A002 - the option's name
    no_header: NoHeader = False,
    delimiter: Delimiter = None,
    label: Label = None,
) -> int:
    """Count, measure and show every column, for each split and slice."""
    words = FileWords(format, not no_header, delimiter, label)
    _check_words(target, overrides or [], words, data)
    with open_target(target, overrides or [], read_settings(os.environ), words, data) as opened:
        _check_label(opened, label)
        if html is not None:
            _write(html, data_page(opened))
        if json:
            print_json(opened.profile())
        else:
            show_description(opened)
            _warn(opened)
        return EXIT_DONE


@group.command()
def check(
    target: What,
    overrides: Overrides = None,
    json: Json = False,
    html: Html = None,
    data: Name = None,
    schema: SchemaFile = None,
    environment: Environment = "training",
    format: Format = None,  # noqa: A002 - the option's name
    no_header: NoHeader = False,
    delimiter: Delimiter = None,
    label: Label = None,
) -> int:
    """Hold data against their schema and checks.

    Exit code 1 when there are errors. Without a schema one is inferred from the train split; without checks, rows
    that repeat or are in two splits, and columns that give the label away, are looked for.
    """
    words = FileWords(format, not no_header, delimiter, label, schema, environment)
    _check_words(target, overrides or [], words, data)
    with open_target(target, overrides or [], read_settings(os.environ), words, data) as opened:
        _check_label(opened, label)
        if opened.desk is None and opened.declared and environment not in opened.declared.environments:
            known = ", ".join(opened.declared.environments)
            raise SpecError(f"the schema has no environment {environment}", hint=f"it has {known}")
        findings = opened.findings()
        if html is not None:
            _write(html, data_page(opened, findings))
        if json:
            print_json(
                {"errors": len(findings.errors), **_plain(findings), "warnings": list(opened.warnings)}
            )
        else:
            show_findings(opened, findings)
            _warn(opened)
        return EXIT_REFUSED if findings.errors else EXIT_DONE


@group.command()
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="Spec, data file or folder: before.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Spec, data file or folder: after.")],
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN", help="Column that names a row, as often as needed; left out: whole rows."
        ),
    ] = None,
    json: Json = False,
    data: Name = None,
    format: Format = None,  # noqa: A002 - the option's name
    no_header: NoHeader = False,
    delimiter: Delimiter = None,
) -> int:
    """Compare data row by row and column by column.

    Says what was added, removed and changed, and which columns drifted.
    """
    words = FileWords(format, not no_header, delimiter)
    settings = read_settings(os.environ)
    with (
        open_target(a, [], settings, words, data) as before,
        open_target(b, [], settings, words, data) as after,
    ):
        found = compare_targets(before, after, tuple(key or ()))
        if json:
            print_json(found)
        else:
            show_difference(found)
        return EXIT_DONE


@group.command()
def schema(
    target: What,
    overrides: Overrides = None,
    json: Json = False,
    data: Name = None,
    format: Format = None,  # noqa: A002 - the option's name
    no_header: NoHeader = False,
    delimiter: Delimiter = None,
    label: Label = None,
) -> int:
    """Print the schema that is inferred from data, as YAML to review."""
    words = FileWords(format, not no_header, delimiter, label)
    _check_words(target, overrides or [], words, data)
    with open_target(target, overrides or [], read_settings(os.environ), words, data) as opened:
        _check_label(opened, label)
        if json:
            print_json(opened.schema())
        else:
            sys.stdout.write(inferred_text(opened))
        return EXIT_DONE


def _check_words(target: str, overrides: Sequence[str], words: FileWords, data: str | None) -> None:
    """Refuse options that nothing would look at, rather than pass them over."""
    if is_spec(Path(target)):
        given = {
            "--format": words.format is not None,
            "--no-header": not words.header,
            "--delimiter": words.delimiter is not None,
            "--label": words.label is not None,
            "--schema": words.schema is not None,
            "--environment": words.environment != FileWords.environment,
        }
        if idle := [name for name, there in given.items() if there]:
            raise SpecError(
                f"{', '.join(idle)}: for files only, and {target} is a spec",
                hint="an override says it for this time, such as data.NAME.schema=FILE",
            )
    elif data is not None or overrides:
        idle = ["--data"] if data is not None else []
        raise SpecError(
            f"{', '.join([*idle, *overrides])}: for specs only, and {target} is none",
            hint="name a spec, or leave it out",
        )


def _check_label(opened: Target, label: str | None) -> None:
    if label is None:
        return
    names = [column.name for profile in opened.profile().profiles[:1] for column in profile.columns]
    if label not in names:
        hint = f"it has {', '.join(names[:20])}"
        raise SpecError(f"{opened.title} has no column {label!r} to predict", hint=hint)


def _plain(findings: object) -> dict[str, object]:
    return dict(vars(findings))


def _warn(opened: Target) -> None:
    for warning in opened.warnings:
        typer.echo(f"warning: {warning}", err=True)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise EnvironmentFault(f"can't write {path}: {error.strerror}", hint="choose another file") from None
    typer.echo(f"wrote {path}", err=True)
