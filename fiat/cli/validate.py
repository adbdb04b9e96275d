"""`fiat validate`: is the spec right?"""

import os
import time
from typing import Annotated

import typer

from fiat.cli.options import Json
from fiat.cli.output import print_json
from fiat.errors import SpecErrors
from fiat.wiring.desk import open_desk
from fiat.wiring.settings import read_settings


def command(
    spec: Annotated[
        list[str],
        typer.Argument(
            metavar="SPEC|KEY=VALUE", help="Spec files or folders, and overrides for all of them."
        ),
    ],
    json: Json = False,
) -> int:
    """Check a spec without running anything.

    Every error is shown at once, with file:line:column, what was expected and the nearest right spelling. No code of
    the repository is run.
    """
    names = [word for word in spec if "=" not in word and not word.startswith("~")]
    overrides = [word for word in spec if word not in names]
    settings = read_settings(os.environ)
    errors = []
    good = []
    for name in names:
        started = time.perf_counter()
        try:
            with open_desk(name, overrides, settings) as desk:
                steps = len(desk.plan.steps)
                good.append({"spec": name, "steps": steps, "digest": desk.loaded.digest})
            if not json:
                typer.echo(f"{name}: valid, {steps} steps ({(time.perf_counter() - started) * 1000:.0f} ms)")
        except SpecErrors as error:
            errors.extend(error.errors)
    if errors:
        raise SpecErrors(errors)
    if json:
        print_json({"valid": good})
    return 0
