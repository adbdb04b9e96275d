"""`fiat doctor`: is this machine ready, and does every link of a runner hold?"""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json
from fiat.cli.output import print_json
from fiat.errors import EXIT_DONE, EXIT_ENVIRONMENT
from fiat.wiring.doctor import check_machine
from fiat.wiring.doctor_runner import check_runner
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf

_MARKS = {"good": "ok  ", "note": "note", "bad": "BAD "}
_NARROWEST = 12


def command(
    runner_config: Annotated[
        Path | None,
        typer.Option(
            "--runner-config", metavar="FILE", help="Look at a runner instead, by its settings file."
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Check this machine: Python, git, the store, Ray, GPUs, plugins, disk; and say how to mend what is wrong.

    With --runner-config every link of a runner is tested: webhook secrets, tokens, git, Ray, store, clock, sandbox,
    undelivered reports, its address. Exit code 3 when something is wrong.
    """
    if runner_config is not None:
        checks = check_runner(runner_config, os.environ)
    else:
        checks = check_machine(open_shelf(Path.cwd(), read_settings(os.environ)))
    if json:
        print_json({"checks": checks})
    else:
        width = max(_NARROWEST, *(len(check.name) for check in checks))
        for check in checks:
            typer.echo(f"{_MARKS[check.state]}  {check.name:<{width}}  {check.found}")
            if check.mend:
                typer.echo(f"      {'':<{width}}  mend: {check.mend}")
    return EXIT_ENVIRONMENT if any(check.state == "bad" for check in checks) else EXIT_DONE
