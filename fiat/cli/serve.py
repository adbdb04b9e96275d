"""`fiat serve`: models over HTTP."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from fiat.errors import SpecError
from fiat.wiring.serve import ServeRequest, server_command
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf


def command(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...", help="A model's name, NAME@ALIAS, NAME@VERSION, package digest, or folder."
        ),
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8080,
    host: Annotated[
        str, typer.Option(help="Address to listen on. The server asks nobody who they are.")
    ] = "127.0.0.1",
    workers: Annotated[int, typer.Option(min=1, help="Server processes on the same port.")] = 1,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="What it takes, in the words of a target's `limits`, such as body=1MiB; may be repeated.",
        ),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write requests and answers down there, as Parquet files."),
    ] = None,
) -> int:
    """Serve released models over HTTP: the Open Inference Protocol, MLflow's /invocations, Prometheus /metrics.

    Runs until Ctrl-C or SIGTERM; requests that are worked on then are answered. Prints the URL and a request to try.
    For a server that is kept alive and moves traffic step by step, deploy to a target of kind `service`.
    """
    request = ServeRequest(models, host, port, workers, _pairs(limit or []), log)
    with open_shelf(Path.cwd(), read_settings(os.environ)) as shelf:
        words = server_command(shelf, request)
    sys.stdout.flush()
    os.execv(words[0], words)  # noqa: S606 - the server takes this process's place: its signals, its id


def _pairs(words: list[str]) -> dict[str, str]:
    found = {}
    for word in words:
        key, mark, value = word.partition("=")
        if not mark:
            raise SpecError(f"--limit {word}: expected KEY=VALUE", hint="such as --limit body=1MiB")
        found[key] = value
    return found
