"""`fiat gc`: remove what no kept run needs."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json
from fiat.cli.output import print_json
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf
from fiat.wiring.views import size_text


def command(
    keep_runs: Annotated[
        int, typer.Option("--keep-runs", min=0, help="Keep so many of the newest runs of each spec.")
    ] = 20,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    json: Json = False,
) -> int:
    """Remove artifacts, results and logs that no kept run and no release needs, and say how much."""
    with open_shelf(Path.cwd(), read_settings(os.environ)) as shelf:
        report = shelf.store.gc(keep_runs=keep_runs, dry_run=dry_run)
        if json:
            print_json(report)
            return 0
        verb = "would remove" if dry_run else "removed"
        typer.echo(
            f"{verb} {report.removed_objects} artifacts ({size_text(report.removed_bytes)}), "
            f"{report.removed_results} results, {report.removed_runs} runs; kept {report.kept_objects} artifacts"
        )
        return 0
