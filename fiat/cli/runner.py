"""`fiat runner`: the self-hosted service."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.errors import EXIT_DONE
from fiat.wiring.registry import load_plugin
from fiat.wiring.runner_reading import read_runner_settings


def command(
    config: Annotated[
        Path, typer.Option("--config", "-c", help="Settings file, such as runners/local.yaml.")
    ],
    insecure_dev: Annotated[
        bool, typer.Option("--insecure-dev", help="Take unsigned webhooks, on loopback only: for a trial.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Read the settings and end.")] = False,
) -> int:
    """Watch repositories, run their specs, report to commits and pull requests.

    Webhooks only make it look sooner: what git says is what runs. Ctrl-C or SIGTERM ends it in order; kill it at any
    moment, and the next start goes on where it was. `fiat doctor --runner-config FILE` tests every link.
    """
    settings = read_runner_settings(config, os.environ, insecure=insecure_dev)
    if check:
        typer.echo(f"{config}: {len(settings.repositories)} repositories, {settings.workers} workers")
        return EXIT_DONE
    load_plugin("door", "web")(settings, os.environ)
    return EXIT_DONE
