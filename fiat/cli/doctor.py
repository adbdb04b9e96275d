"""`fiat doctor`: is this machine ready?"""

import os
from pathlib import Path

import typer

from fiat.cli.options import Json
from fiat.cli.output import print_json
from fiat.errors import EXIT_DONE, EXIT_ENVIRONMENT
from fiat.wiring.doctor import check_machine
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf

_MARKS = {"good": "ok  ", "note": "note", "bad": "BAD "}


def command(json: Json = False) -> int:
    """Check this machine: Python, git, the store, Ray, GPUs, plugins, disk; and say how to mend what is wrong."""
    checks = check_machine(open_shelf(Path.cwd(), read_settings(os.environ)))
    if json:
        print_json({"checks": checks})
    else:
        for check in checks:
            typer.echo(f"{_MARKS[check.state]}  {check.name:<12}  {check.found}")
            if check.mend:
                typer.echo(f"      {'':<12}  mend: {check.mend}")
    return EXIT_ENVIRONMENT if any(check.state == "bad" for check in checks) else EXIT_DONE
