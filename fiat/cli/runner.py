"""`fiat runner`: the self-hosted service."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from fiat.errors import EXIT_DONE
from fiat.wiring.registry import load_plugin
from fiat.wiring.runner_reading import read_runner_settings
from fiat.wiring.runner_settings import RunnerSettings

_LOOPBACK = ("127.", "::1", "localhost")


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
        repositories, workers = len(settings.repositories), settings.workers
        said = f"{repositories} {'repository' if repositories == 1 else 'repositories'}"
        typer.echo(f"{config}: {said}, {workers} {'worker' if workers == 1 else 'workers'}")
        return EXIT_DONE
    for line in _warnings(settings):
        sys.stderr.write(f"warning: {line}\n")
    load_plugin("door", "web")(settings, os.environ)
    return EXIT_DONE


def _warnings(settings: RunnerSettings) -> Iterator[str]:
    """What opens the runner wider than usual."""
    if settings.insecure:
        yield "--insecure-dev: every program on this machine can send webhooks to repositories without a secret"
    if not settings.host.lower().startswith(_LOOPBACK):
        yield (
            f"listen.host is {settings.host}: other machines reach the runner over plain HTTP, past any proxy; "
            "let a firewall allow the proxy alone"
        )
