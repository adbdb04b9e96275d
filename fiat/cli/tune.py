"""`fiat tune`: what a search for parameters found."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json
from fiat.cli.output import print_json
from fiat.errors import EXIT_DONE, EnvironmentFault
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf
from fiat.wiring.tune import find_study, show_study, study_page

group = typer.Typer(
    help="Show what a search for parameters found: the section `tune` of a spec.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@group.callback()
def _group() -> None:
    """Keeps `show` a word of its own."""


@group.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="RUN|SPEC",
            help="Run id or `last`; or a spec, for its newest search. Left out: the newest search of all.",
            show_default=False,
        ),
    ] = "",
    json: Json = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write it as one HTML page with its plots."),
    ] = None,
) -> int:
    """Show the trials of a search, the best one, and which parameters mattered.

    A search that still runs, or was stopped, is shown as far as it came.
    """
    here = Path.cwd()
    with open_shelf(here, read_settings(os.environ)) as shelf:
        study = find_study(shelf, name, here)
        if html is not None:
            _write(html, study_page(study))
        if json:
            print_json(study)
        else:
            show_study(study)
        return EXIT_DONE


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise EnvironmentFault(f"can't write {path}: {error.strerror}", hint="choose another file") from None
    typer.echo(f"wrote {path}", err=True)
